package netserver

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dobyte/due/v2/errors"
	"github.com/dobyte/due/v2/network"
	"github.com/dobyte/due/v2/packet"
)

// due's write queues, and its heartbeat interval.
const (
	tcpQueue = 1024
	kcpQueue = 4096
	interval = 10 * time.Second
)

type conn struct {
	server *Server
	sock   socket
	id     int64
	uid    atomic.Int64
	state  atomic.Int32
	heard  atomic.Int64 // Unix nanoseconds
	attrs  attrs
	mu     sync.RWMutex
	queue  chan []byte
	once   sync.Once
}

func (s *Server) serve(sock socket, queue int) {
	c := &conn{server: s, sock: sock, id: s.nextID.Add(1), queue: make(chan []byte, queue)}
	c.state.Store(int32(network.ConnOpened))
	c.heard.Store(time.Now().UnixNano())
	if s.connect != nil {
		s.connect(c)
	}
	go c.write()
	go c.read()
}

func (c *conn) read() {
	defer c.Close(true)
	for {
		data, err := c.sock.read()
		if err != nil {
			return
		}
		c.heard.Store(time.Now().UnixNano())
		if len(data) == 0 {
			continue
		}
		heartbeat, err := packet.CheckHeartbeat(data)
		switch {
		case err != nil:
		case heartbeat:
			if reply, err := packet.PackHeartbeat(); err == nil {
				_ = c.Push(reply)
			}
		case c.server.receive != nil:
			c.server.receive(c, data)
		}
	}
}

func (c *conn) write() {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case data, open := <-c.queue:
			if !open || c.sock.write(data) != nil {
				return
			}
		case <-ticker.C:
			if time.Since(time.Unix(0, c.heard.Load())) > 2*interval {
				go c.Close(true)
				return
			}
		}
	}
}

// Push queues.
func (c *conn) Push(data []byte) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.State() != network.ConnOpened {
		return errors.ErrConnectionClosed
	}
	c.queue <- data
	return nil
}

// Send is Push here: a socket has one writer.
func (c *conn) Send(data []byte) error { return c.Push(data) }

// Close ends it at once.
func (c *conn) Close(...bool) error {
	c.once.Do(func() {
		_ = c.sock.close()
		go func() { // whoever waits for room in the queue holds the lock
			for range c.queue {
			}
		}()
		c.mu.Lock()
		c.state.Store(int32(network.ConnClosed))
		close(c.queue)
		c.mu.Unlock()
		if c.server.disconnect != nil {
			c.server.disconnect(c)
		}
	})
	return nil
}

func (c *conn) ID() int64                     { return c.id }
func (c *conn) UID() int64                    { return c.uid.Load() }
func (c *conn) Attr() network.Attr            { return &c.attrs }
func (c *conn) Bind(uid int64)                { c.uid.Store(uid) }
func (c *conn) Unbind()                       { c.uid.Store(0) }
func (c *conn) State() network.ConnState      { return network.ConnState(c.state.Load()) }
func (c *conn) LocalAddr() (net.Addr, error)  { return c.sock.under().LocalAddr(), nil }
func (c *conn) RemoteAddr() (net.Addr, error) { return c.sock.under().RemoteAddr(), nil }
func (c *conn) LocalIP() (string, error)      { return host(c.sock.under().LocalAddr()) }
func (c *conn) RemoteIP() (string, error)     { return host(c.sock.under().RemoteAddr()) }

func host(addr net.Addr) (string, error) {
	host, _, err := net.SplitHostPort(addr.String())
	return host, err
}

type attrs struct{ values sync.Map }

func (a *attrs) Set(key, value any)             { a.values.Store(key, value) }
func (a *attrs) Get(key any) (any, bool)        { return a.values.Load(key) }
func (a *attrs) Del(key any) bool               { _, ok := a.values.LoadAndDelete(key); return ok }
func (a *attrs) Visit(fn func(key, v any) bool) { a.values.Range(fn) }
