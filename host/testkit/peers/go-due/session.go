package main

import (
	"fmt"
	"regexp"
	"strings"
)

// Routes of the plugin lobby, of its messages, and of the session.
const (
	login, whoami, push, multicast, broadcast, join, leave       = 1, 3, 4, 5, 6, 7, 8
	publish, kick, online, counts, members, secret, events       = 9, 10, 11, 12, 13, 14, 16
	ended, pushed, toMany, toAll, published, sessionRoute        = 0, 100, 101, 102, 103, -1
	notAuthorized, sessionGone, replaced, ownCode                = 4, 11, 14, 4001
	uidA, uidB                                             int64 = 7, 8
)

// session is the script of SCRIPT.md: ann is the client it is about, bob the other one.
type session struct {
	dial     func() *peer
	ann, bob *peer
	// The connections of ann's session and of her second login.
	first, second int64
	token         string
}

func (s *session) run() {
	s.connect()
	s.login()
	s.push()
	s.channel()
	s.many()
	s.lookups()
	s.ask()
	s.drop()
	s.resume()
	s.again()
	s.replaced()
	s.kicked()
	s.events()
}

func (s *session) connect() {
	s.ann, s.bob = s.dial(), s.dial()
	who := s.ann.ask(whoami, nil).fields()
	s.first = who.Conn
	check(who.Conn > 0 && who.UID == 0 && who.Address != "", "whoami of a stranger: %+v", who)
	s.ann.refused(secret, nil, notAuthorized)
	s.ann.refused(sessionRoute, object{}, notAuthorized)
	step("connect", "conn=%d address=%s", who.Conn, who.Address)
}

func (s *session) login() {
	s.ann.replies(login, object{"uid": uidA}, `{"uid":%d,"conn":%d}`, uidA, s.first)
	s.ann.replies(secret, nil, `{"uid":%d}`, uidA)
	s.bob.ask(login, object{"uid": uidB})
	s.is(s.ann, s.first)
	step("login", "uid=%d", uidA)
}

func (s *session) push() {
	s.bob.replies(push, object{"uid": uidA, "text": "by uid"}, `{}`)
	s.bob.replies(push, object{"conn": s.first, "text": "by conn"}, `{}`)
	s.ann.heard(text(pushed, "by uid"), text(pushed, "by conn"))
	s.bob.heard()
	step("push", "route=%d", pushed)
}

func (s *session) channel() {
	room := object{"channel": "room"}
	s.ann.replies(join, room, `{}`)
	s.bob.replies(publish, object{"channel": "room", "text": "one"}, `{}`)
	s.ann.heard(text(published, "one"))
	s.ann.replies(leave, room, `{}`)
	s.bob.replies(publish, object{"channel": "room", "text": "two"}, `{}`)
	s.ann.heard()
	s.bob.heard()
	s.ann.replies(join, room, `{}`)
	step("channel", "route=%d", published)
}

func (s *session) many() {
	other := s.bob.ask(whoami, nil).fields().Conn
	s.bob.replies(multicast, object{"conns": []int64{s.first, other}, "text": "conns"}, `{}`)
	s.bob.replies(multicast, object{"uids": []int64{uidA, uidB}, "text": "uids"}, `{}`)
	s.bob.replies(broadcast, object{"text": "all"}, `{}`)
	for _, peer := range []*peer{s.ann, s.bob} {
		peer.heard(text(toMany, "conns"), text(toMany, "uids"), text(toAll, "all"))
	}
	step("many", "routes=%d,%d", toMany, toAll)
}

func (s *session) lookups() {
	s.bob.replies(online, object{"uid": uidA}, `{"online":1,"conn":%d}`, s.first)
	s.bob.replies(online, object{"uid": 99}, `{"online":0,"conn":0}`)
	// Clients of an earlier run over kcp may not have been missed yet.
	s.bob.awaits(counts, nil, `{"connections":2,"bound":2,"suspended":0}`)
	s.bob.replies(members, object{"channel": "room"}, `{"count":1,"members":[%d]}`, s.first)
	step("lookups", "")
}

func (s *session) ask() {
	told := s.ann.ask(sessionRoute, object{}).fields()
	check(len(told.Token) == 32 && told.TTL > 0 && told.Received == 0, "a token: %+v", told)
	s.token, s.ann.received, s.ann.sent = told.Token, 0, 0
	s.bob.replies(push, object{"uid": uidA, "text": "before"}, `{}`)
	s.ann.heard(text(pushed, "before"))
	step("token", "ttl_ms=%d", told.TTL)
}

// drop breaks ann's connection and has things happen meanwhile, before the server knows and after.
func (s *session) drop() {
	s.ann.cut()
	for n := 1; n <= 3; n++ {
		s.bob.replies(push, object{"uid": uidA, "text": fmt.Sprint(n)}, `{}`)
	}
	s.bob.awaits(online, object{"uid": uidA}, `{"online":2,"conn":%d}`, s.first)
	s.bob.replies(counts, nil, `{"connections":1,"bound":1,"suspended":1}`)
	s.bob.replies(push, object{"uid": uidA, "text": "4"}, `{}`)
	s.bob.replies(publish, object{"channel": "room", "text": "5"}, `{}`)
	step("drop", "")
}

func (s *session) resume() {
	used := s.token
	s.comeBack()
	s.ann.heard(text(pushed, "1"), text(pushed, "2"), text(pushed, "3"), text(pushed, "4"), text(published, "5"))
	s.is(s.ann, s.first)
	s.ann.replies(secret, nil, `{"uid":%d}`, uidA)
	s.bob.replies(members, object{"channel": "room"}, `{"count":1,"members":[%d]}`, s.first)
	s.bob.replies(publish, object{"channel": "room", "text": "back"}, `{}`)
	s.ann.heard(text(published, "back"))
	step("resume", "received=%d", s.ann.received)
	s.tokenIsGone(used)
	step("old-token", "code=%d", sessionGone)
}

// again loses the connection once more and comes back before the server may know.
func (s *session) again() {
	s.ann.cut()
	s.bob.replies(push, object{"uid": uidA, "text": "again"}, `{}`)
	s.comeBack()
	s.ann.heard(text(pushed, "again"))
	s.is(s.ann, s.first)
	step("again", "received=%d", s.ann.received)
}

func (s *session) replaced() {
	next := s.dial()
	s.second = next.ask(login, object{"uid": uidA}).fields().Conn
	check(s.second != s.first, "two connections with the id %d", s.first)
	reason := s.ann.ends(replaced, "replaced")
	s.tokenIsGone(s.token)
	s.ann = next
	s.is(s.ann, s.second)
	step("replaced", "code=%d reason=%q", replaced, reason)
}

func (s *session) kicked() {
	s.bob.replies(kick, object{"uid": uidA, "code": ownCode, "reason": "no more"}, `{}`)
	reason := s.ann.ends(ownCode, "no more")
	s.bob.awaits(counts, nil, `{"connections":1,"bound":1,"suspended":0}`)
	step("kicked", "code=%d reason=%q", ownCode, reason)
}

// The second loss may have gone unnoticed.
var firstLife = regexp.MustCompile(`^connect bind( suspend:(client_left|lost|silence) resume){1,2}( resume)? disconnect:replaced$`)

// events compares what the plugin saw of ann's two connections.
func (s *session) events() {
	of := func(conn int64) string {
		var kinds []string
		for _, event := range s.bob.ask(events, nil).list() {
			switch {
			case event.Conn != conn:
			case event.Kind == "suspend" || event.Kind == "disconnect":
				kinds = append(kinds, event.Kind+":"+event.Detail)
			default:
				kinds = append(kinds, event.Kind)
			}
		}
		return strings.Join(kinds, " ")
	}
	first, second := "", ""
	s.bob.until("the last events", func() bool {
		first, second = of(s.first), of(s.second)
		return strings.Contains(first, "disconnect") && strings.Contains(second, "disconnect")
	})
	check(firstLife.MatchString(first) && strings.Count(first, "resume") == 2, "events of the first connection: %s", first)
	check(second == "connect bind disconnect:kicked", "events of the second connection: %s", second)
	step("events", "first=%q second=%q", first, second)
}

// comeBack goes on with ann's session on a new connection.
func (s *session) comeBack() {
	back := s.dial()
	told := back.ask(sessionRoute, object{"token": s.token, "received": s.ann.received}).fields()
	check(len(told.Token) == 32 && told.Token != s.token, "a new token: %+v", told)
	check(told.Received == s.ann.sent, "the server took %d packets of %d", told.Received, s.ann.sent)
	back.received, back.sent = s.ann.received+back.received, s.ann.sent
	s.ann, s.token = back, told.Token
}

func (s *session) tokenIsGone(token string) {
	stranger := s.dial()
	stranger.refused(sessionRoute, object{"token": token, "received": 0}, sessionGone)
	stranger.close()
}

// is wants the connection to be this one of ann's account.
func (s *session) is(peer *peer, conn int64) {
	who := peer.ask(whoami, nil).fields()
	check(who.Conn == conn && who.UID == uidA, "whoami: %+v, not conn %d and uid %d", who, conn, uidA)
}
