package main

import (
	"encoding/hex"
	"fmt"
	"time"
)

const (
	greetRoute   = 2
	pushRoute    = 3
	unknownRoute = 99

	// Error packets have extcode 1, and code 3 for a route nobody serves.
	errorExtcode     = 1
	codeUnknownRoute = 3
)

type greetRequest struct {
	Name string `json:"name"`
}

type greetBody struct {
	Message string `json:"message"`
}

// greet: a request with its reply and a push, a quiet time held open by heartbeats, an unknown route, and the request again.
func (r *run) greet() error {
	if err := r.ask(r.seq(1), "reply", "push"); err != nil {
		return err
	}
	if r.set.heartbeat > 0 {
		if err := r.survive(); err != nil {
			return err
		}
	}
	if err := r.unknown(); err != nil {
		return err
	}
	return r.ask(r.seq(3), "reply-again", "push-again")
}

// seq is n, or 0 where packets carry none.
func (r *run) seq(n int32) int32 {
	if r.set.seqBytes == 0 {
		return 0
	}
	return n
}

// ask sends the greet request; its reply and its push may come in any order.
func (r *run) ask(seq int32, replyStep, pushStep string) error {
	if err := r.send(greetRoute, seq, greetRequest{Name: "due"}); err != nil {
		return err
	}
	var reply, push bool
	for !reply || !push {
		m, err := r.next("the reply and the push", answerTimeout)
		if err != nil {
			return fmt.Errorf("%w (reply seen: %t, push seen: %t)", err, reply, push)
		}
		var body greetBody
		parseErr := m.parse(&body)
		switch {
		case m.extcode() != 0 || parseErr != nil:
			return fmt.Errorf("not a plain json packet: %s", m)
		case m.route == greetRoute && m.seq == seq && body.Message == "hello due" && !reply:
			reply = true
			step(replyStep, "route=%d seq=%d body=%s", m.route, m.seq, m.body)
		case m.route == pushRoute && m.seq == 0 && body.Message != "" && !push:
			push = true
			step(pushStep, "route=%d seq=%d body=%s", m.route, m.seq, m.body)
		default:
			return fmt.Errorf("neither the reply nor the push: %s", m)
		}
	}
	return nil
}

// survive stays quiet until three heartbeats went out and came back, which is longer than two intervals.
func (r *run) survive() error {
	stats := &r.net.Stats
	deadline := time.After(4*r.set.heartbeat + time.Second)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for stats.HeartbeatsSent.Load() < 3 || stats.HeartbeatsSeen.Load() < 3 {
		select {
		case m := <-r.inbox:
			return fmt.Errorf("a packet nobody asked for: %s", m)
		case <-r.gone:
			return fmt.Errorf("closed during heartbeats: %s (sent %d, seen %d)", r.net.CloseReason(), stats.HeartbeatsSent.Load(), stats.HeartbeatsSeen.Load())
		case <-deadline:
			return fmt.Errorf("heartbeats are not answered: sent %d, seen %d", stats.HeartbeatsSent.Load(), stats.HeartbeatsSeen.Load())
		case <-look.C:
		}
	}
	step("heartbeats", "sent=%d seen=%d first_ms=%d open_ms=%d", stats.HeartbeatsSent.Load(), stats.HeartbeatsSeen.Load(),
		time.Duration(stats.FirstHeartbeat.Load()).Milliseconds(), time.Since(r.start).Milliseconds())
	return nil
}

// unknown asks a route nobody serves. due's own gate says nothing; to due's client an error packet looks like a plain one.
func (r *run) unknown() error {
	seq := r.seq(2)
	if err := r.send(unknownRoute, seq, greetRequest{Name: "due"}); err != nil {
		return err
	}
	if r.set.unknown == "silence" {
		if m, err := r.next("silence", time.Second); err == nil {
			return fmt.Errorf("an unknown route was answered: %s", m)
		}
		step("unknown-route", "answer=none")
		return nil
	}
	m, err := r.next("the error packet", answerTimeout)
	if err != nil {
		return err
	}
	if m.route != unknownRoute || m.seq != seq || m.extcode() != errorExtcode || len(m.body) < 2 || r.order().Uint16(m.body) != codeUnknownRoute {
		return fmt.Errorf("not the error packet of an unknown route: %s", m)
	}
	step("unknown-route", "route=%d seq=%d header=%02x code=%d text=%q raw=%s", m.route, m.seq, m.raw[4],
		r.order().Uint16(m.body), m.body[2:], hex.EncodeToString(m.raw))
	return nil
}
