package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync/atomic"
	"time"

	"go-due-peer/netclient"

	"github.com/dobyte/due/v2/cluster"
	"github.com/dobyte/due/v2/cluster/client"
)

const answerTimeout = 5 * time.Second

// message is what due's client handed on, with the bytes it came as.
type message struct {
	route, seq int32
	body, raw  []byte
	parse      func(any) error
}

type run struct {
	set   settings
	net   *netclient.Client
	conn  *client.Conn
	inbox chan message
	gone  chan struct{}
	raw   atomic.Value
	start time.Time
}

func newRun(set settings, net *netclient.Client) *run {
	r := &run{set: set, net: net, inbox: make(chan message, 256), gone: make(chan struct{})}
	net.OnRaw(func(data []byte) { r.raw.Store(data) })
	return r
}

// receive runs on the reader, right after the raw function saw the same packet.
func (r *run) receive(ctx *client.Context) {
	body, _ := ctx.Data().([]byte)
	raw, _ := r.raw.Load().([]byte)
	r.inbox <- message{route: ctx.Route(), seq: ctx.Seq(), body: body, raw: raw, parse: ctx.Parse}
}

func (r *run) script(proxy *client.Proxy) error {
	conn, err := proxy.Dial(client.WithDialAddr(r.set.addr))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	r.conn, r.start = conn, time.Now()
	step("connect", "proto=%s", r.set.proto)
	switch r.set.script {
	case "greet":
		err = r.greet()
	case "echo":
		err = r.echo()
	case "idle":
		return r.idle()
	default:
		err = fmt.Errorf("no script %s", r.set.script)
	}
	if err != nil {
		return err
	}
	return r.close()
}

func (r *run) send(route, seq int32, body any) error {
	if err := r.conn.Push(&cluster.Message{Route: route, Seq: seq, Data: body}); err != nil {
		return fmt.Errorf("request on route %d with seq %d: %w", route, seq, err)
	}
	return nil
}

// next waits for one message from the server.
func (r *run) next(what string, limit time.Duration) (message, error) {
	select {
	case m := <-r.inbox:
		return m, nil
	case <-r.gone:
		return message{}, fmt.Errorf("the connection closed before %s: %s", what, r.net.CloseReason())
	case <-time.After(limit):
		return message{}, fmt.Errorf("%s did not come within %s", what, limit)
	}
}

func (r *run) order() binary.ByteOrder {
	order, _ := byteOrder(r.set.order)
	return order
}

// extcode is the low seven bits of the header, which due's unpacking throws away.
func (m message) extcode() byte { return m.raw[4] & 0x7f }

func (m message) String() string {
	return fmt.Sprintf("route=%d seq=%d extcode=%d body=%q raw=%s", m.route, m.seq, m.extcode(), m.body, hex.EncodeToString(m.raw))
}

func (r *run) close() error {
	if err := r.conn.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	select {
	case <-r.gone:
	case <-time.After(answerTimeout):
		return fmt.Errorf("due did not report the close")
	}
	step("close", "")
	return nil
}

// echo sends one request at a time on route 1 and wants each back as it went.
func (r *run) echo() error {
	type body struct {
		Message string `json:"message"`
	}
	want := body{Message: letters(r.set.bodyBytes)}
	_, limit := bounds(r.set.seqBytes)
	began := time.Now()
	for i := 0; i < r.set.count; i++ {
		seq := int32(0)
		if limit > 0 {
			seq = int32(i%int(limit)) + 1
		}
		if err := r.send(1, seq, want); err != nil {
			return err
		}
		m, err := r.next(fmt.Sprintf("reply %d", i+1), answerTimeout)
		if err != nil {
			return err
		}
		var got body
		if err := m.parse(&got); err != nil || m.route != 1 || m.seq != seq || m.extcode() != 0 || got != want {
			return fmt.Errorf("reply %d is wrong: %s", i+1, m)
		}
	}
	step("echo", "count=%d ms=%d", r.set.count, time.Since(began).Milliseconds())
	return nil
}

func letters(n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = 'a' + byte(i%26)
	}
	return string(out)
}

// idle says nothing, not even heartbeats, and waits for the server to hang up.
func (r *run) idle() error {
	select {
	case <-r.gone:
		step("dropped", "after_ms=%d reason=%q", time.Since(r.start).Milliseconds(), r.net.CloseReason())
		return nil
	case <-time.After(overall - 2*time.Second):
		return fmt.Errorf("the server keeps a silent connection")
	}
}
