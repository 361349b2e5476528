package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/ipld/go-ipld-prime/datamodel"
	"github.com/ipld/go-ipld-prime/node/basicnode"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2precord "github.com/libp2p/go-libp2p/core/record"
)

const (
	recordNamespace = "fogproof-record"
	recordType      = "fogproof/node-record@1"
)

// recordValidator judges the node records of Fogproof in the DHT by go-libp2p's own signed envelopes (RFC 0002) and
// go-ipld-prime's dag-cbor: nothing of it is shared with the other side.
type recordValidator struct{}

func (recordValidator) Validate(key string, value []byte) error {
	opened, err := openRecord(value)
	if err != nil {
		return err
	}
	if key != "/"+recordNamespace+"/"+opened.signer {
		return fmt.Errorf("the record of %s stands under %s", opened.signer, key)
	}
	return nil
}

func (recordValidator) Select(_ string, values [][]byte) (int, error) {
	best, newest := -1, int64(-1)
	for index, value := range values {
		opened, err := openRecord(value)
		if err == nil && opened.sequence > newest {
			best, newest = index, opened.sequence
		}
	}
	if best < 0 {
		return 0, errors.New("none of the values is a record")
	}
	return best, nil
}

type openedRecord struct {
	signer   string
	sequence int64
}

// signedPayload makes an envelope of Fogproof a record of go-libp2p: it gives the domain and keeps the payload.
type signedPayload struct{ payload []byte }

func (*signedPayload) Domain() string { return "fogproof/signed/" + recordType }
func (*signedPayload) Codec() []byte  { return []byte(recordType) }
func (s *signedPayload) MarshalRecord() ([]byte, error) {
	return s.payload, nil
}
func (s *signedPayload) UnmarshalRecord(payload []byte) error {
	s.payload = bytes.Clone(payload)
	return nil
}

func openRecord(wire []byte) (openedRecord, error) {
	outer, err := decodeMap(wire)
	if err != nil {
		return openedRecord{}, err
	}
	sealed, err := lookUp(outer, "envelope", datamodel.Node.AsBytes)
	if err != nil {
		return openedRecord{}, err
	}
	var content signedPayload
	envelope, err := libp2precord.ConsumeTypedEnvelope(sealed, &content)
	if err != nil {
		return openedRecord{}, err
	}
	if string(envelope.PayloadType) != recordType {
		return openedRecord{}, fmt.Errorf("the envelope holds %q", envelope.PayloadType)
	}
	signer, err := peer.IDFromPublicKey(envelope.PublicKey)
	if err != nil {
		return openedRecord{}, err
	}
	inner, err := decodeMap(content.payload)
	if err != nil {
		return openedRecord{}, err
	}
	named, err := lookUp(inner, "peer", datamodel.Node.AsString)
	if err != nil {
		return openedRecord{}, err
	}
	sequence, err := lookUp(inner, "sequence", datamodel.Node.AsInt)
	if err != nil {
		return openedRecord{}, err
	}
	if named != signer.String() {
		return openedRecord{}, fmt.Errorf("%s signed the record of %s", signer, strings.ToValidUTF8(named, "?"))
	}
	return openedRecord{signer: signer.String(), sequence: sequence}, nil
}

func decodeMap(wire []byte) (datamodel.Node, error) {
	builder := basicnode.Prototype.Map.NewBuilder()
	if err := dagcbor.Decode(builder, bytes.NewReader(wire)); err != nil {
		return nil, err
	}
	return builder.Build(), nil
}

func lookUp[Value any](node datamodel.Node, name string, read func(datamodel.Node) (Value, error)) (Value, error) {
	field, err := node.LookupByString(name)
	if err != nil {
		var none Value
		return none, err
	}
	return read(field)
}
