package netclient

import (
	"net"

	"github.com/dobyte/due/v2/packet"
	"github.com/gorilla/websocket"
)

// socket moves whole packets; read and write are each called by one goroutine.
type socket interface {
	// read returns the next packet with its size field; an empty one is to be ignored.
	read() ([]byte, error)
	write(data []byte) error
	close() error
	local() net.Addr
	remote() net.Addr
}

type tcpSocket struct{ sock net.Conn }

func (s tcpSocket) read() ([]byte, error)   { return packet.ReadMessage(s.sock) }
func (s tcpSocket) write(data []byte) error { _, err := s.sock.Write(data); return err }
func (s tcpSocket) close() error            { return s.sock.Close() }
func (s tcpSocket) local() net.Addr         { return s.sock.LocalAddr() }
func (s tcpSocket) remote() net.Addr        { return s.sock.RemoteAddr() }

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
func (s wsSocket) local() net.Addr         { return s.sock.LocalAddr() }
func (s wsSocket) remote() net.Addr        { return s.sock.RemoteAddr() }
