package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"go-due-peer/netclient"

	"github.com/dobyte/due/v2/cluster"
	"github.com/dobyte/due/v2/cluster/client"
)

// runSession runs the script and makes an error of its failure.
func runSession(dial func() (*peer, error)) (err error) {
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case failure:
			err = errors.New(string(fault))
		default:
			panic(fault)
		}
	}()
	s := &session{dial: func() *peer {
		opened, err := dial()
		check(err == nil, "connect: %v", err)
		return opened
	}}
	s.run()
	s.bob.close()
	step("close", "")
	return nil
}

const peerKey = "peer"

// sessionOfDue connects as a due game does; run.receive finds the peer by its connection.
func sessionOfDue(set settings, proxy *client.Proxy, sock *netclient.Client) error {
	return runSession(func() (*peer, error) {
		p := newPeer(set)
		conn, err := proxy.Dial(client.WithDialAddr(set.addr), client.WithConnAttr(peerKey, p))
		if err != nil {
			return nil, err
		}
		p.post = func(route, seq int32, body any) error {
			return conn.Push(&cluster.Message{Route: route, Seq: seq, Data: body})
		}
		p.cut = func() { sock.Cut(conn.ID()) }
		p.close = func() { _ = conn.Close() }
		p.reason = sock.CloseReason
		return p, nil
	})
}

// takeDue takes what due's client hands on. It does not say which packets are errors: their bodies are no json.
func takeDue(ctx *client.Context) {
	p := peerOf(ctx.Conn())
	body, _ := ctx.Data().([]byte)
	in := incoming{route: ctx.Route(), seq: ctx.Seq(), body: body, code: -1}
	if !json.Valid(body) && len(body) >= 2 {
		in.code = int(binary.BigEndian.Uint16(body))
	}
	p.inbox <- in
}

func peerOf(conn *client.Conn) *peer { return conn.GetAttr(peerKey).Value().(*peer) }

func newPeer(set settings) *peer {
	return &peer{inbox: make(chan incoming, 256), gone: make(chan struct{}), noGoodbye: set.proto == "kcp"}
}

// sessionOfStream connects without any code of due: the packets are read and written here. Big endian, route and seq of two bytes.
func sessionOfStream(set settings, protocol netclient.Protocol) error {
	return runSession(func() (*peer, error) {
		sock, err := protocol.DialStream(set.addr)
		if err != nil {
			return nil, err
		}
		s := &stream{sock: sock, peer: newPeer(set), heard: time.Now()}
		s.peer.post = s.post
		s.peer.cut = func() { s.end("cut") }
		s.peer.close = func() { s.end("closed here") }
		s.peer.reason = func() string { s.mu.Lock(); defer s.mu.Unlock(); return s.why }
		go s.read()
		go s.beat(set.heartbeat)
		return s.peer, nil
	})
}

type stream struct {
	peer  *peer
	sock  net.Conn
	mu    sync.Mutex
	heard time.Time
	why   string
}

func (s *stream) post(route, seq int32, body any) error {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return err
		}
	}
	packet := binary.BigEndian.AppendUint32(nil, uint32(5+len(data)))
	packet = append(packet, 0)
	packet = binary.BigEndian.AppendUint16(packet, uint16(route))
	packet = binary.BigEndian.AppendUint16(packet, uint16(seq))
	_, err := s.sock.Write(append(packet, data...))
	return err
}

func (s *stream) read() {
	reader := bufio.NewReader(s.sock)
	for {
		var size [4]byte
		if _, err := io.ReadFull(reader, size[:]); err != nil {
			s.end(err.Error())
			return
		}
		packet := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(reader, packet); err != nil {
			s.end(err.Error())
			return
		}
		s.mu.Lock()
		s.heard = time.Now()
		s.mu.Unlock()
		if len(packet) == 0 || packet[0]&0x80 != 0 {
			continue
		}
		in := incoming{route: int32(int16(binary.BigEndian.Uint16(packet[1:]))), seq: int32(int16(binary.BigEndian.Uint16(packet[3:]))), body: packet[5:], code: -1}
		if packet[0] == errorExtcode {
			in.code = int(binary.BigEndian.Uint16(in.body))
		}
		s.peer.inbox <- in
	}
}

// beat sends heartbeats and ends the connection after two silent intervals: kcp has no other end.
func (s *stream) beat(interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-s.peer.gone:
			return
		case <-ticker.C:
		}
		s.mu.Lock()
		silent := time.Since(s.heard)
		s.mu.Unlock()
		if silent > 2*interval {
			s.end(fmt.Sprintf("the server was silent for %d ms", silent.Milliseconds()))
			return
		}
		if _, err := s.sock.Write([]byte{0, 0, 0, 1, 0x80}); err != nil {
			s.end(err.Error())
			return
		}
	}
}

func (s *stream) end(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == "" {
		s.why = why
		_ = s.sock.Close()
		close(s.peer.gone)
	}
}
