// Package netserver is due's network.Server over tcp, ws and kcp. due's own servers are modules of their own that a module proxy may not
// have; this one has their shape: a reading and a writing goroutine for each connection, a bounded write queue, one write for each packet,
// heartbeats that are answered, and a ticker that checks for silence.
package netserver

import (
	"fmt"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/dobyte/due/v2/network"
	"github.com/gorilla/websocket"
	"github.com/xtaci/kcp-go/v5"
)

// Server on one address.
type Server struct {
	proto, addr         string
	listener            net.Listener
	nextID              atomic.Int64
	start               network.StartHandler
	stop                network.CloseHandler
	connect, disconnect network.ConnectHandler
	receive             network.ReceiveHandler
}

// New listens, so that the address is known; nobody is served before Start.
func New(proto, addr string) (*Server, error) {
	var listener net.Listener
	var err error
	switch proto {
	case "tcp", "ws":
		listener, err = net.Listen("tcp", addr)
	case "kcp":
		listener, err = kcp.ListenWithOptions(addr, nil, 0, 0)
	default:
		err = fmt.Errorf("the protocol is tcp, ws or kcp, not %s", proto)
	}
	if err != nil {
		return nil, err
	}
	return &Server{proto: proto, addr: listener.Addr().String(), listener: listener}, nil
}

// Addr says where it listens.
func (s *Server) Addr() string { return s.addr }

// Protocol says how.
func (s *Server) Protocol() string { return s.proto }

// The handlers, set before Start.

func (s *Server) OnStart(h network.StartHandler)           { s.start = h }
func (s *Server) OnStop(h network.CloseHandler)            { s.stop = h }
func (s *Server) OnConnect(h network.ConnectHandler)       { s.connect = h }
func (s *Server) OnReceive(h network.ReceiveHandler)       { s.receive = h }
func (s *Server) OnDisconnect(h network.DisconnectHandler) { s.disconnect = network.ConnectHandler(h) }

// Start serves.
func (s *Server) Start() error {
	if s.start != nil {
		s.start()
	}
	if s.proto == "ws" {
		go http.Serve(s.listener, http.HandlerFunc(s.upgrade))
	} else {
		go s.accept()
	}
	return nil
}

// Stop accepts no more connections.
func (s *Server) Stop() error {
	if s.stop != nil {
		s.stop()
	}
	return s.listener.Close()
}

func (s *Server) accept() {
	for {
		sock, err := s.listener.Accept()
		if err != nil {
			return
		}
		queue := tcpQueue
		if session, ok := sock.(*kcp.UDPSession); ok {
			// What games set; kcp-go's own defaults look after data every 100 ms.
			session.SetNoDelay(1, 10, 2, 1)
			session.SetWindowSize(128, 128)
			session.SetACKNoDelay(true)
			session.SetWriteDelay(false)
			queue = kcpQueue
		}
		s.serve(streamSocket{sock}, queue)
	}
}

var upgrader = websocket.Upgrader{ReadBufferSize: 4096, WriteBufferSize: 4096, CheckOrigin: func(*http.Request) bool { return true }}

func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	if sock, err := upgrader.Upgrade(w, r, nil); err == nil {
		s.serve(wsSocket{sock}, tcpQueue)
	}
}
