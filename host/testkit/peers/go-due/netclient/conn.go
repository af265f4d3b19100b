package netclient

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dobyte/due/v2/errors"
	"github.com/dobyte/due/v2/log"
	"github.com/dobyte/due/v2/network"
	"github.com/dobyte/due/v2/packet"
)

const queueLen = 1024

type conn struct {
	id      int64
	uid     atomic.Int64
	attrs   attrs
	client  *Client
	sock    socket
	queue   chan []byte
	gone    chan struct{}
	once    sync.Once
	opened  time.Time
	heardAt atomic.Int64 // nanoseconds since opened
}

func open(client *Client, id int64, sock socket) *conn {
	c := &conn{id: id, client: client, sock: sock, queue: make(chan []byte, queueLen), gone: make(chan struct{}), opened: time.Now()}
	client.closeText.Store("")
	client.conns.Store(id, c)
	go c.readLoop()
	go c.writeLoop()
	if client.connect != nil {
		client.connect(c)
	}
	return c
}

func (c *conn) readLoop() {
	for {
		data, err := c.sock.read()
		if err != nil {
			c.shut(err.Error())
			return
		}
		c.heardAt.Store(int64(time.Since(c.opened)))
		if len(data) == 0 {
			continue
		}
		c.client.seeRaw(data)
		heartbeat, err := packet.CheckHeartbeat(data)
		switch {
		case err != nil:
			log.Errorf("bad packet %x: %v", data, err)
		case heartbeat:
			c.client.Stats.HeartbeatsSeen.Add(1)
		case c.client.receive != nil:
			c.client.receive(c, data)
		}
	}
}

func (c *conn) writeLoop() {
	var tick <-chan time.Time
	if c.client.interval > 0 {
		ticker := time.NewTicker(c.client.interval)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-c.gone:
			return
		case data := <-c.queue:
			if data == nil { // the mark of a graceful close
				c.shut("closed here")
				return
			}
			if err := c.sock.write(data); err != nil {
				log.Errorf("write: %v", err)
			}
		case <-tick:
			if !c.heartbeat() {
				return
			}
		}
	}
}

// heartbeat sends one, or closes after two silent intervals.
func (c *conn) heartbeat() bool {
	if time.Since(c.opened)-time.Duration(c.heardAt.Load()) > 2*c.client.interval {
		c.client.Stats.Silences.Add(1)
		c.shut("the server was silent for two intervals")
		return false
	}
	data, err := packet.PackHeartbeat()
	if err == nil {
		err = c.sock.write(data)
	}
	if err != nil {
		log.Errorf("heartbeat: %v", err)
		return true
	}
	c.client.Stats.HeartbeatsSent.Add(1)
	c.client.Stats.FirstHeartbeat.CompareAndSwap(0, int64(time.Since(c.opened)))
	return true
}

func (c *conn) cut() {
	if tcp, ok := c.sock.under().(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.shut("cut")
}

func (c *conn) shut(reason string) {
	c.once.Do(func() {
		c.client.conns.Delete(c.id)
		c.client.closeText.Store(reason)
		close(c.gone)
		_ = c.sock.close()
		if c.client.leave != nil {
			c.client.leave(c)
		}
	})
}

func (c *conn) Push(msg []byte) error {
	select {
	case <-c.gone:
		return errors.ErrConnectionClosed
	case c.queue <- msg:
		return nil
	}
}

// Send queues as well: the writer alone touches the socket.
func (c *conn) Send(msg []byte) error { return c.Push(msg) }

// Close waits for what is queued; with force it does not.
func (c *conn) Close(force ...bool) error {
	if len(force) > 0 && force[0] {
		c.shut("closed here")
		return nil
	}
	if err := c.Push(nil); err != nil {
		return err
	}
	<-c.gone
	return nil
}

func (c *conn) State() network.ConnState {
	select {
	case <-c.gone:
		return network.ConnClosed
	default:
		return network.ConnOpened
	}
}

func (c *conn) ID() int64                     { return c.id }
func (c *conn) UID() int64                    { return c.uid.Load() }
func (c *conn) Bind(uid int64)                { c.uid.Store(uid) }
func (c *conn) Unbind()                       { c.uid.Store(0) }
func (c *conn) Attr() network.Attr            { return &c.attrs }
func (c *conn) LocalAddr() (net.Addr, error)  { return c.sock.under().LocalAddr(), nil }
func (c *conn) RemoteAddr() (net.Addr, error) { return c.sock.under().RemoteAddr(), nil }
func (c *conn) LocalIP() (string, error)      { return ip(c.sock.under().LocalAddr()) }
func (c *conn) RemoteIP() (string, error)     { return ip(c.sock.under().RemoteAddr()) }

func ip(addr net.Addr) (string, error) {
	host, _, err := net.SplitHostPort(addr.String())
	return host, err
}

type attrs struct{ values sync.Map }

func (a *attrs) Set(key, value any)             { a.values.Store(key, value) }
func (a *attrs) Get(key any) (any, bool)        { return a.values.Load(key) }
func (a *attrs) Del(key any) bool               { _, had := a.values.LoadAndDelete(key); return had }
func (a *attrs) Visit(fn func(key, v any) bool) { a.values.Range(fn) }
