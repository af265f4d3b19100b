package netclient

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/dobyte/due/v2/packet"
	"github.com/gorilla/websocket"
	"github.com/xtaci/kcp-go/v5"
)

const dialTimeout = 3 * time.Second

// Protocol says what carries the packets.
type Protocol struct {
	// Name is tcp, tls, ws, wss or kcp. Certificates are checked against the system's, which SSL_CERT_FILE names.
	Name string
	// DataShards and ParityShards are kcp's error correction; due's client has 10 and 3.
	DataShards, ParityShards int
}

// socket moves whole packets; read and write are each called by one goroutine.
type socket interface {
	// read returns the next packet with its size field; an empty one is to be ignored.
	read() ([]byte, error)
	write(data []byte) error
	close() error
	// under is what carries the packets in the end.
	under() net.Conn
}

func (p Protocol) dial(addr string) (socket, error) {
	switch p.Name {
	case "tcp", "tls", "kcp":
		sock, err := p.DialStream(addr)
		if err != nil {
			return nil, err
		}
		return streamSocket{sock}, nil
	case "ws", "wss":
		if !strings.Contains(addr, "://") {
			addr = p.Name + "://" + addr + "/"
		}
		sock, _, err := (&websocket.Dialer{HandshakeTimeout: dialTimeout}).Dial(addr, nil)
		if err != nil {
			return nil, err
		}
		return wsSocket{sock}, nil
	}
	return nil, fmt.Errorf("the protocol is tcp, tls, ws, wss or kcp, not %s", p.Name)
}

// DialStream opens the stream of bytes of tcp, tls or kcp.
func (p Protocol) DialStream(addr string) (net.Conn, error) {
	switch p.Name {
	case "tcp":
		return net.DialTimeout("tcp", addr, dialTimeout)
	case "tls":
		return tls.DialWithDialer(&net.Dialer{Timeout: dialTimeout}, "tcp", addr, nil)
	case "kcp":
		return kcp.DialWithOptions(addr, nil, p.DataShards, p.ParityShards)
	}
	return nil, fmt.Errorf("%s is no stream of bytes", p.Name)
}

type streamSocket struct{ sock net.Conn }

func (s streamSocket) read() ([]byte, error)   { return packet.ReadMessage(s.sock) }
func (s streamSocket) write(data []byte) error { _, err := s.sock.Write(data); return err }
func (s streamSocket) close() error            { return s.sock.Close() }
func (s streamSocket) under() net.Conn         { return s.sock }

type wsSocket struct{ sock *websocket.Conn }

// read drops text messages, as due's client does.
func (s wsSocket) read() ([]byte, error) {
	for {
		kind, data, err := s.sock.ReadMessage()
		if err != nil {
			return nil, err
		}
		if kind == websocket.BinaryMessage {
			return data, nil
		}
	}
}

func (s wsSocket) write(data []byte) error { return s.sock.WriteMessage(websocket.BinaryMessage, data) }
func (s wsSocket) close() error            { return s.sock.Close() }
func (s wsSocket) under() net.Conn         { return s.sock.NetConn() }
