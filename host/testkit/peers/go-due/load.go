package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dobyte/due/v2/cluster"
	"github.com/dobyte/due/v2/cluster/client"
)

type echoed struct {
	Message string `json:"message"`
}

// load is due's own load test: every connection pushes as fast as its queue of 1,024 takes, without a window, until this many replies came.
type load struct {
	set             settings
	pushed, replies atomic.Int64
	closed          atomic.Int64
	over            atomic.Bool
	done, gone      chan struct{}
	wrong           atomic.Value
}

func newLoad(set settings) *load {
	return &load{set: set, done: make(chan struct{}), gone: make(chan struct{}, 1)}
}

// receive takes one reply.
func (l *load) receive(ctx *client.Context) {
	var got echoed
	if err := ctx.Parse(&got); err != nil || ctx.Route() != 1 || len(got.Message) != l.set.bodyBytes {
		l.wrong.CompareAndSwap(nil, fmt.Sprintf("a reply on route %d with seq %d and %d letters: %v", ctx.Route(), ctx.Seq(), len(got.Message), err))
	}
	if l.replies.Add(1) == int64(l.set.count) {
		close(l.done)
	}
}

// lost notes a connection that ended before the last reply.
func (l *load) lost() {
	if l.over.Load() {
		return
	}
	l.closed.Add(1)
	select {
	case l.gone <- struct{}{}:
	default:
	}
}

func (l *load) script(proxy *client.Proxy) error {
	conns := make([]*client.Conn, l.set.conns)
	for i := range conns {
		conn, err := proxy.Dial(client.WithDialAddr(l.set.addr))
		if err != nil {
			return fmt.Errorf("connection %d: %w", i+1, err)
		}
		conns[i] = conn
	}
	body := &echoed{Message: letters(l.set.bodyBytes)}
	began := time.Now()
	for _, conn := range conns {
		go func() {
			for n := l.pushed.Add(1); n <= int64(l.set.count); n = l.pushed.Add(1) {
				if conn.Push(&cluster.Message{Route: 1, Seq: int32(n), Data: body}) != nil {
					return // its end is noted elsewhere
				}
			}
		}()
	}
	select {
	case <-l.done:
	case <-l.gone:
		time.Sleep(time.Second) // how many go
	}
	took := time.Since(began)
	l.over.Store(true)
	replies, closed := l.replies.Load(), l.closed.Load()
	line := fmt.Sprintf("connections=%d letters=%d replies=%d ms=%d rate=%.0f closed=%d", len(conns), l.set.bodyBytes, replies,
		took.Milliseconds(), float64(replies)/took.Seconds(), closed)
	if closed > 0 {
		return fmt.Errorf("connections ended: %s", line)
	}
	if wrong, ok := l.wrong.Load().(string); ok {
		return fmt.Errorf("%s", wrong)
	}
	for _, conn := range conns {
		if err := conn.Close(); err != nil {
			return fmt.Errorf("close: %w", err)
		}
	}
	step("load", "%s", line)
	return nil
}
