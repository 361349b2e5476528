package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const chunkBytes = 64 * 1024

// bulkStreams moves megabytes over one stream towards a reader that does not read, in either direction.
type bulkStreams struct {
	host host.Host
	sent atomic.Int64
	done chan bulkResult
	held chan network.Stream
}

type bulkResult struct {
	Bytes  int64  `json:"bytes"`
	Sha256 string `json:"sha256"`
	err    error
}

func newBulkStreams(h host.Host) *bulkStreams {
	return &bulkStreams{host: h, done: make(chan bulkResult, 1), held: make(chan network.Stream, 1)}
}

// send begins to write and returns; what the reader does not take, it does not get.
func (b *bulkStreams) send(ctx context.Context, name string, id protocol.ID, size int64) error {
	target, err := peer.Decode(name)
	if err != nil {
		return err
	}
	stream, err := b.host.NewStream(ctx, target, id)
	if err != nil {
		return err
	}
	b.sent.Store(0)
	go func() { b.done <- b.write(stream, size) }()
	return nil
}

func (b *bulkStreams) write(stream network.Stream, size int64) bulkResult {
	digest := sha256.New()
	chunk := make([]byte, chunkBytes)
	for sent := int64(0); sent < size; {
		for index := range chunk {
			chunk[index] = byte(sent>>16) + byte(index)
		}
		count, err := stream.Write(chunk[:min(chunkBytes, size-sent)])
		digest.Write(chunk[:count])
		sent += int64(count)
		b.sent.Store(sent)
		if err != nil {
			return bulkResult{Bytes: sent, err: errors.Join(err, stream.Reset())}
		}
	}
	return bulkResult{Bytes: size, Sha256: hex.EncodeToString(digest.Sum(nil)), err: stream.CloseWrite()}
}

func (b *bulkStreams) sentBytes() int64 { return b.sent.Load() }

func (b *bulkStreams) sendResult(ctx context.Context) (any, error) {
	select {
	case result := <-b.done:
		return result, result.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hold accepts one stream and reads nothing of it yet.
func (b *bulkStreams) hold(id protocol.ID) {
	b.host.SetStreamHandler(id, func(stream network.Stream) { b.held <- stream })
}

func (b *bulkStreams) readAll(ctx context.Context) (any, error) {
	select {
	case stream := <-b.held:
		digest := sha256.New()
		count, err := io.Copy(digest, stream)
		return bulkResult{Bytes: count, Sha256: hex.EncodeToString(digest.Sum(nil))}, errors.Join(err, stream.Close())
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
