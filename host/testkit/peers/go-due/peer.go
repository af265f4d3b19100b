package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// incoming is a packet of the server.
type incoming struct {
	route, seq int32
	body       []byte
	// code is of an error packet, -1 for others.
	code int
}

// peer is one connection of the session script, whatever carries it.
type peer struct {
	post  func(route, seq int32, body any) error
	cut   func()
	close func()
	inbox chan incoming
	// gone is closed behind the last packet.
	gone   chan struct{}
	reason func() string
	// The carrier does not tell of an end.
	noGoodbye bool

	seq    int32
	pushes []incoming
	// What the session counts: all but heartbeats and what is about the session.
	received, sent int
}

type object = map[string]any

// fields are all that a reply of the script may have.
type fields struct {
	Conn, UID    int64
	Address      string
	Token        string
	TTL          int `json:"ttl_ms"`
	Received     int
	Kind, Detail string
}

// failure is what the script panics with.
type failure string

func check(holds bool, format string, args ...any) {
	if !holds {
		panic(failure(fmt.Sprintf(format, args...)))
	}
}

// take is the next packet.
func (p *peer) take(what string) incoming {
	in, ok := p.next(time.After(answerTimeout))
	check(ok, "%s did not come: %s", what, p.reason())
	return in
}

// next is the next packet; none if the connection is over or the time is.
func (p *peer) next(late <-chan time.Time) (in incoming, ok bool) {
	select {
	case in = <-p.inbox:
	default:
		select {
		case in = <-p.inbox:
		case <-late:
			return in, false
		case <-p.gone:
			select {
			case in = <-p.inbox:
			default:
				return in, false
			}
		}
	}
	if in.route != sessionRoute {
		p.received++
	}
	return in, true
}

// ask sends a request and waits for its answer. Pushes before it are kept.
func (p *peer) ask(route int32, body any) incoming {
	p.seq++
	if err := p.post(route, p.seq, body); err != nil {
		panic(failure(err.Error()))
	}
	if route != sessionRoute {
		p.sent++
	}
	for {
		in := p.take(fmt.Sprintf("the answer on route %d", route))
		if in.seq == 0 {
			p.pushes = append(p.pushes, in)
			continue
		}
		check(in.route == route && in.seq == p.seq, "not the answer on route %d with seq %d: %s", route, p.seq, in)
		return in
	}
}

// replies wants this reply.
func (p *peer) replies(route int32, body any, format string, args ...any) {
	in, want := p.ask(route, body), fmt.Sprintf(format, args...)
	check(same(in, want), "the answer on route %d is %s, not %s", route, in, want)
}

// awaits asks again and again for this reply.
func (p *peer) awaits(route int32, body any, format string, args ...any) {
	want := fmt.Sprintf(format, args...)
	p.until(want, func() bool { return same(p.ask(route, body), want) })
}

// until asks every few milliseconds.
func (p *peer) until(what string, holds func() bool) {
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		check(time.Now().Before(end), "%s did not come to be", what)
	}
}

// refused wants an error packet as the answer.
func (p *peer) refused(route int32, body any, code int) {
	in := p.ask(route, body)
	check(in.code == code, "the answer on route %d is %s, not the error %d", route, in, code)
}

// heard wants these pushes since the last time, and no others. A round trip makes sure that there are no more.
func (p *peer) heard(want ...incoming) {
	p.ask(whoami, nil)
	ok := len(p.pushes) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = p.pushes[i].route == want[i].route && same(p.pushes[i], string(want[i].body))
	}
	check(ok, "heard %s instead of %s", p.pushes, want)
	p.pushes = nil
}

// ends wants an error packet on route 0 as the last one, and then the end of the connection. Returns how that was seen.
func (p *peer) ends(code int, text string) string {
	in := p.take("the reason of the end")
	check(in.route == ended && in.seq == 0 && in.code == code && string(in.body[2:]) == text, "not the error %d %s: %s", code, text, in)
	if p.noGoodbye {
		// The library may have noticed meanwhile.
		_ = p.post(whoami, p.seq+1, nil)
		in, ok := p.next(time.After(time.Second))
		check(!ok, "an answer on an ended connection: %s", in)
		p.close()
		return "no answer"
	}
	in, ok := p.next(time.After(answerTimeout))
	check(!ok, "a packet behind the last one: %s", in)
	select {
	case <-p.gone:
	default:
		check(false, "the connection stays open")
	}
	return p.reason()
}

func text(route int32, text string) incoming {
	return incoming{route: route, code: -1, body: fmt.Appendf(nil, `{"text":%q}`, text)}
}

func (in incoming) fields() (out fields) {
	err := json.Unmarshal(in.body, &out)
	check(in.code < 0 && err == nil, "not what was asked for: %s", in)
	return out
}

func (in incoming) list() (out []fields) {
	err := json.Unmarshal(in.body, &out)
	check(in.code < 0 && err == nil, "not a list: %s", in)
	return out
}

func (in incoming) String() string {
	return fmt.Sprintf("route=%d seq=%d code=%d body=%q", in.route, in.seq, in.code, in.body)
}

// same compares json, whatever the order of keys.
func same(in incoming, want string) bool {
	var a, b any
	if in.code >= 0 || json.Unmarshal(in.body, &a) != nil || json.Unmarshal([]byte(want), &b) != nil {
		return false
	}
	return reflect.DeepEqual(a, b)
}
