package netserver

import (
	"net"

	"github.com/dobyte/due/v2/packet"
	"github.com/gorilla/websocket"
)

// socket moves whole packets; read and write are each called by one goroutine.
type socket interface {
	read() ([]byte, error)
	write(data []byte) error
	close() error
	under() net.Conn
}

// streamSocket is tcp or kcp.
type streamSocket struct{ net.Conn }

func (s streamSocket) read() ([]byte, error) { return packet.ReadMessage(s.Conn) }
func (s streamSocket) close() error          { return s.Conn.Close() }
func (s streamSocket) under() net.Conn       { return s.Conn }

func (s streamSocket) write(data []byte) error {
	_, err := s.Conn.Write(data)
	return err
}

type wsSocket struct{ conn *websocket.Conn }

func (s wsSocket) close() error    { return s.conn.Close() }
func (s wsSocket) under() net.Conn { return s.conn.NetConn() }

func (s wsSocket) read() ([]byte, error) {
	for {
		kind, data, err := s.conn.ReadMessage()
		if err != nil || kind == websocket.BinaryMessage {
			return data, err
		}
	}
}

func (s wsSocket) write(data []byte) error { return s.conn.WriteMessage(websocket.BinaryMessage, data) }
