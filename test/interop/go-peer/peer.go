package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	datastoresync "github.com/ipfs/go-datastore/sync"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p-kad-dht/records"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/host/basic"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
)

type testPeer struct {
	host    *basichost.BasicHost
	dht     *dht.IpfsDHT
	pubsub  *pubsub.PubSub
	out     *output
	streams *bulkStreams
	values  datastore.Batching
	mutex   sync.Mutex
	topics  map[string]*pubsub.Topic
	signed  map[peer.ID]bool
}

// The parts are put together one by one: the package libp2p itself imports every transport there is, and QUIC and WebRTC
// are most of what would have to be compiled.
func newTestPeer(ctx context.Context, options config, out *output) (*testPeer, error) {
	host, err := newHost(options)
	if err != nil {
		return nil, err
	}
	identified, err := host.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted))
	if err != nil {
		return nil, errors.Join(err, host.Close())
	}
	values := datastoresync.MutexWrap(datastore.NewMapDatastore())
	table, err := dht.New(ctx, host,
		dht.Mode(dht.ModeServer),
		// Any but /ipfs, whose validators cannot be chosen; the id is what stands in the line after.
		dht.ProtocolPrefix(protocol.ID("/fogproof/"+options.Network)),
		dht.V1ProtocolOverride(protocol.ID("/fogproof/"+options.Network+"/kad/1")),
		dht.Validator(record.NamespacedValidator{recordNamespace: recordValidator{}}),
		dht.Datastore(values),
		dht.DisableAutoRefresh(),
	)
	if err != nil {
		return nil, errors.Join(err, host.Close())
	}
	gossip, err := pubsub.NewGossipSub(ctx, host, pubsub.WithMessageSignaturePolicy(pubsub.StrictSign))
	if err != nil {
		return nil, errors.Join(err, table.Close(), host.Close())
	}
	// Who does not speak `records` is taken for a peer of another network and disconnected.
	host.SetStreamHandler(protocol.ID("/fogproof/"+options.Network+"/records/1"), func(stream network.Stream) {
		_ = stream.Close()
	})
	started := &testPeer{
		host: host, dht: table, pubsub: gossip, out: out, streams: newBulkStreams(host), values: values,
		topics: map[string]*pubsub.Topic{}, signed: map[peer.ID]bool{},
	}
	go started.noteIdentified(identified)
	return started, nil
}

func newHost(options config) (*basichost.BasicHost, error) {
	key, err := crypto.UnmarshalPrivateKey(options.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("the private key: %w", err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, err
	}
	store, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(store.AddPrivKey(id, key), store.AddPubKey(id, key.GetPublic())); err != nil {
		return nil, err
	}
	bus := eventbus.NewBus()
	links, err := swarm.NewSwarm(id, store, bus)
	if err != nil {
		return nil, err
	}
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	encryptions, err := newEncryptions(options.Security, key, muxers)
	if err != nil {
		return nil, err
	}
	upgrade, err := upgrader.New(encryptions, muxers, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	transport, err := tcp.NewTCPTransport(upgrade, nil, nil)
	if err != nil {
		return nil, err
	}
	if err := links.AddTransport(transport); err != nil {
		return nil, err
	}
	host, err := basichost.NewHost(links, &basichost.HostOpts{
		EventBus:   bus,
		UserAgent:  "fogproof-go-peer",
		EnablePing: true,
	})
	if err != nil {
		return nil, errors.Join(err, links.Close())
	}
	host.Start()
	if options.Listen == "" {
		return host, nil
	}
	address, err := multiaddr.NewMultiaddr(options.Listen)
	if err != nil {
		return nil, errors.Join(err, host.Close())
	}
	return host, links.Listen(address)
}

func newEncryptions(names []string, key crypto.PrivKey, muxers []upgrader.StreamMuxer) ([]sec.SecureTransport, error) {
	var encryptions []sec.SecureTransport
	for _, name := range names {
		var encryption sec.SecureTransport
		var err error
		switch name {
		case "tls":
			encryption, err = libp2ptls.New(libp2ptls.ID, key, muxers)
		case "noise":
			encryption, err = noise.New(noise.ID, key, muxers)
		default:
			err = fmt.Errorf("no such encryption: %q", name)
		}
		if err != nil {
			return nil, err
		}
		encryptions = append(encryptions, encryption)
	}
	return encryptions, nil
}

func (p *testPeer) close() {
	_ = p.dht.Close()
	_ = p.host.Close()
}

func (p *testPeer) addresses() []string {
	addresses := []string{}
	for _, address := range p.host.Addrs() {
		addresses = append(addresses, fmt.Sprintf("%s/p2p/%s", address, p.host.ID()))
	}
	return addresses
}

func (p *testPeer) execute(ctx context.Context, request command) (any, error) {
	switch request.Op {
	case "connect":
		return p.connect(ctx, request.Address)
	case "identify":
		return p.identify(ctx, request.Peer)
	case "ping":
		return p.ping(ctx, request.Peer)
	case "stored-values":
		return p.storedValues(ctx)
	case "dht-size":
		return p.dht.RoutingTable().Size(), nil
	case "put":
		return nil, p.dht.PutValue(ctx, request.Key, request.Data)
	case "get":
		return p.dht.GetValue(ctx, request.Key)
	case "find-peer":
		return p.findPeer(ctx, request.Peer)
	case "provide":
		return nil, p.withCid(request.Cid, func(c cid.Cid) error { return p.dht.Provide(ctx, c, true) })
	case "find-providers":
		return p.findProviders(ctx, request.Cid)
	case "subscribe":
		return nil, p.subscribe(request.Topic)
	case "subscribers":
		return p.subscribers(request.Topic)
	case "publish":
		return nil, p.publish(ctx, request.Topic, request.Data)
	case "send-bulk":
		return nil, p.streams.send(ctx, request.Peer, protocol.ID(request.Protocol), request.Size)
	case "bulk-sent":
		return p.streams.sentBytes(), nil
	case "bulk-result":
		return p.streams.sendResult(ctx)
	case "hold-bulk":
		p.streams.hold(protocol.ID(request.Protocol))
		return nil, nil
	case "read-bulk":
		return p.streams.readAll(ctx)
	}
	return nil, fmt.Errorf("no such command: %q", request.Op)
}

func (p *testPeer) connect(ctx context.Context, address string) (any, error) {
	info, err := peer.AddrInfoFromString(address)
	if err != nil {
		return nil, err
	}
	return info.ID.String(), p.host.Connect(ctx, *info)
}

func (p *testPeer) identify(ctx context.Context, name string) (any, error) {
	id, err := peer.Decode(name)
	if err != nil {
		return nil, err
	}
	connections := p.host.Network().ConnsToPeer(id)
	if len(connections) == 0 {
		return nil, errors.New("not connected")
	}
	select {
	case <-p.host.IDService().IdentifyWait(connections[0]):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	protocols, err := p.host.Peerstore().GetProtocols(id)
	if err != nil {
		return nil, err
	}
	agent, err := p.host.Peerstore().Get(id, "AgentVersion")
	if err != nil {
		return nil, err
	}
	state := connections[0].ConnState()
	return map[string]any{
		"agent":     agent,
		"protocols": protocols,
		"security":  state.Security,
		"muxer":     state.StreamMultiplexer,
		"addresses": describe(p.host.Peerstore().Addrs(id)),
		"hasSignedRecord": p.hasSignedRecord(id),
	}, nil
}

// noteIdentified remembers who sent a signed peer record that could be verified.
func (p *testPeer) noteIdentified(identified event.Subscription) {
	for entry := range identified.Out() {
		if result, ok := entry.(event.EvtPeerIdentificationCompleted); ok {
			p.mutex.Lock()
			p.signed[result.Peer] = result.SignedPeerRecord != nil
			p.mutex.Unlock()
		}
	}
}

func (p *testPeer) hasSignedRecord(id peer.ID) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.signed[id]
}

// storedValues counts the records that others have put here.
func (p *testPeer) storedValues(ctx context.Context) (any, error) {
	found, err := p.values.Query(ctx, query.Query{KeysOnly: true})
	if err != nil {
		return nil, err
	}
	entries, err := found.Rest()
	count := 0
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Key, records.ProvidersKeyPrefix) {
			count++
		}
	}
	return count, err
}

func (p *testPeer) ping(ctx context.Context, name string) (any, error) {
	id, err := peer.Decode(name)
	if err != nil {
		return nil, err
	}
	result := <-ping.Ping(ctx, p.host, id)
	return float64(result.RTT) / float64(time.Millisecond), result.Error
}

func (p *testPeer) findPeer(ctx context.Context, name string) (any, error) {
	id, err := peer.Decode(name)
	if err != nil {
		return nil, err
	}
	// What is known by hand is no finding of the DHT.
	info, err := p.dht.FindPeer(ctx, id)
	return describe(info.Addrs), err
}

func (p *testPeer) withCid(text string, use func(cid.Cid) error) error {
	parsed, err := cid.Decode(text)
	if err != nil {
		return err
	}
	return use(parsed)
}

func (p *testPeer) findProviders(ctx context.Context, text string) (any, error) {
	names := []string{}
	err := p.withCid(text, func(c cid.Cid) error {
		found, err := p.dht.FindProviders(ctx, c)
		for _, info := range found {
			names = append(names, info.ID.String())
		}
		return err
	})
	return names, err
}

func (p *testPeer) join(name string) (*pubsub.Topic, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if topic, ok := p.topics[name]; ok {
		return topic, nil
	}
	topic, err := p.pubsub.Join(name)
	if err == nil {
		p.topics[name] = topic
	}
	return topic, err
}

func (p *testPeer) subscribe(name string) error {
	topic, err := p.join(name)
	if err != nil {
		return err
	}
	subscription, err := topic.Subscribe()
	if err != nil {
		return err
	}
	go func() {
		for {
			message, err := subscription.Next(context.Background())
			if err != nil {
				return
			}
			p.out.event("message", map[string]any{
				"topic": name, "from": message.GetFrom().String(), "data": message.Data,
				"receivedFrom": message.ReceivedFrom.String(),
			})
		}
	}()
	return nil
}

func (p *testPeer) subscribers(name string) (any, error) {
	topic, err := p.join(name)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, id := range topic.ListPeers() {
		names = append(names, id.String())
	}
	return names, nil
}

func (p *testPeer) publish(ctx context.Context, name string, data []byte) error {
	topic, err := p.join(name)
	if err != nil {
		return err
	}
	return topic.Publish(ctx, data)
}

func describe(addresses []multiaddr.Multiaddr) []string {
	texts := []string{}
	for _, address := range addresses {
		texts = append(texts, address.String())
	}
	return texts
}
