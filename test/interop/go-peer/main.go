// Go-peer is the other side of Fogproof's interoperability tests: a peer on go-libp2p, go-libp2p-kad-dht and
// go-libp2p-pubsub that a test drives over lines of JSON. The first line of standard input is the configuration; every
// further one is a command {"id", "op", ...}, answered by {"id", "ok"} or {"id", "error"} on standard output, in any order.
// Lines with "event" tell what happened by itself. It ends with its standard input.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

const (
	// A command line holds at most one gossip message in base64.
	maxLineBytes   = 1 << 20
	commandTimeout = 20 * time.Second
)

type config struct {
	Network string `json:"network"`
	// Security names the encryptions that are offered, best first: "tls", "noise".
	Security []string `json:"security"`
	// PrivateKey is a libp2p key in its protobuf form.
	PrivateKey []byte `json:"privateKey"`
	Listen     string `json:"listen"`
}

type command struct {
	ID       int    `json:"id"`
	Op       string `json:"op"`
	Address  string `json:"address"`
	Peer     string `json:"peer"`
	Key      string `json:"key"`
	Topic    string `json:"topic"`
	Protocol string `json:"protocol"`
	Cid      string `json:"cid"`
	Data     []byte `json:"data"`
	Size     int64  `json:"size"`
}

type output struct {
	mutex   sync.Mutex
	encoder *json.Encoder
}

func (o *output) write(line map[string]any) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if err := o.encoder.Encode(line); err != nil {
		// Nobody listens any more.
		os.Exit(1)
	}
}

func (o *output) event(name string, fields map[string]any) {
	fields["event"] = name
	o.write(fields)
}

func run() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 0, 64*1024), maxLineBytes)
	if !lines.Scan() {
		return fmt.Errorf("the first line is the configuration: %w", lines.Err())
	}
	var options config
	if err := json.Unmarshal(lines.Bytes(), &options); err != nil {
		return fmt.Errorf("the configuration is no JSON: %w", err)
	}
	out := &output{encoder: json.NewEncoder(os.Stdout)}
	peer, err := newTestPeer(ctx, options, out)
	if err != nil {
		return err
	}
	defer peer.close()
	out.event("ready", map[string]any{"peer": peer.host.ID().String(), "addresses": peer.addresses()})
	for lines.Scan() {
		var request command
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			return fmt.Errorf("a command is no JSON: %w", err)
		}
		go func() {
			limited, done := context.WithTimeout(ctx, commandTimeout)
			defer done()
			answer, err := peer.execute(limited, request)
			if err != nil {
				out.write(map[string]any{"id": request.ID, "error": err.Error()})
				return
			}
			out.write(map[string]any{"id": request.ID, "ok": answer})
		}()
	}
	return lines.Err()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "go-peer:", err)
		os.Exit(1)
	}
}
