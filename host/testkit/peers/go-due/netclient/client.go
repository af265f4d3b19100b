// Package netclient is a network.Client for due over TCP, TLS, WebSocket or KCP. due's own clients are modules of their own
// that the Go module proxy does not serve; this one behaves as they do: a heartbeat every interval (the first after one
// interval), a close of its own when nothing came for two intervals, no reconnect, no close frame on ws.
package netclient

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dobyte/due/v2/network"
)

// Stats counts what a client has seen on all its connections.
type Stats struct {
	// HeartbeatsSent counts heartbeats written, HeartbeatsSeen those that came from the server.
	HeartbeatsSent, HeartbeatsSeen atomic.Int64
	// FirstHeartbeat is the time from the connect to the first heartbeat sent, in nanoseconds; 0 before.
	FirstHeartbeat atomic.Int64
	// Silences counts connections this side closed because nothing came for two intervals.
	Silences atomic.Int64
}

// Client dials connections of one protocol.
type Client struct {
	// Stats is live while connections are open.
	Stats Stats

	protocol  Protocol
	interval  time.Duration
	conns     sync.Map // ID to *conn
	nextID    atomic.Int64
	connect   network.ConnectHandler
	leave     network.DisconnectHandler
	receive   network.ReceiveHandler
	raw       atomic.Pointer[func(data []byte)]
	closeText atomic.Value
}

// New makes a client; an interval of 0 switches heartbeats off.
func New(protocol Protocol, interval time.Duration) *Client {
	return &Client{protocol: protocol, interval: interval}
}

// OnRaw sets a function that sees every packet as it came, heartbeats too, before due does.
func (c *Client) OnRaw(fn func(data []byte)) {
	c.raw.Store(&fn)
}

// CloseReason is why the last connection ended, as the socket said it; empty while it is open.
func (c *Client) CloseReason() string {
	text, _ := c.closeText.Load().(string)
	return text
}

// Dial opens a connection to a host:port; ws and wss also take a whole URL.
func (c *Client) Dial(addr ...string) (network.Conn, error) {
	if len(addr) == 0 || addr[0] == "" {
		return nil, errors.New("no address")
	}
	sock, err := c.protocol.dial(addr[0])
	if err != nil {
		return nil, err
	}
	return open(c, c.nextID.Add(1), sock), nil
}

// Cut ends a connection as a broken network does: on tcp with a reset, on kcp without a word.
func (c *Client) Cut(id int64) {
	if found, ok := c.conns.Load(id); ok {
		found.(*conn).cut()
	}
}

// Protocol is its name.
func (c *Client) Protocol() string { return c.protocol.Name }

// OnConnect sets what is called when a connection is open.
func (c *Client) OnConnect(h network.ConnectHandler) { c.connect = h }

// OnReceive sets what gets each data packet, size and header included.
func (c *Client) OnReceive(h network.ReceiveHandler) { c.receive = h }

// OnDisconnect sets what is called once a connection is gone, whoever closed it.
func (c *Client) OnDisconnect(h network.DisconnectHandler) { c.leave = h }

func (c *Client) seeRaw(data []byte) {
	if fn := c.raw.Load(); fn != nil {
		(*fn)(data)
	}
}
