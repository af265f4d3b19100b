// A due gate and a due node (v2.5.8) in one process, with the handlers that Duet's benchmarks ask for.
package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"time"

	"go-due-server/memory"
	"go-due-server/netserver"

	due "github.com/dobyte/due/v2"
	"github.com/dobyte/due/v2/cluster"
	"github.com/dobyte/due/v2/cluster/gate"
	"github.com/dobyte/due/v2/cluster/node"
	"github.com/dobyte/due/v2/encoding"
	"github.com/dobyte/due/v2/log"
	"github.com/dobyte/due/v2/packet"
	"github.com/dobyte/due/v2/session"
)

// What the routes are for; the same as in the plugins `echo` and `lobby`.
const (
	echoRoute      = 1
	broadcastRoute = 6
	joinRoute      = 7
	publishRoute   = 9
	broadcasted    = 102
	published      = 103
)

// How long gate and node may take to find each other.
const patience = 20 * time.Second

type echo struct {
	Message string `json:"message"`
}

type asked struct {
	Channel string `json:"channel"`
	Text    string `json:"text"`
}

type text struct {
	Text string `json:"text"`
}

type done struct{}

func main() {
	begun, stdout := time.Now(), os.Stdout
	if nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stdout = nowhere // due's banners
	}
	proto := flag.String("proto", "tcp", "tcp, ws or kcp")
	addr := flag.String("addr", "127.0.0.1:0", "where to listen")
	flag.Parse()

	log.SetLogger(log.NewLogger(log.WithLevel(log.LevelError), log.WithTerminals([]log.Terminal{log.TerminalConsole})))
	packet.SetPacker(packet.NewPacker(packet.WithByteOrder(binary.BigEndian), packet.WithRouteBytes(4), packet.WithSeqBytes(4),
		packet.WithBufferBytes(100000), packet.WithHeartbeatTime(false)))

	server, err := netserver.New(*proto, *addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	registry, locator := memory.NewRegistry(), memory.NewLocator()
	const inside = "127.0.0.1:0"
	n := node.NewNode(node.WithRegistry(registry), node.WithLocator(locator), node.WithCodec(encoding.Invoke("json")), node.WithAddr(inside))
	g := gate.NewGate(gate.WithServer(server), gate.WithRegistry(registry), gate.WithLocator(locator), gate.WithAddr(inside))
	route(n.Proxy())
	go func() {
		if !registry.Settled(patience, cluster.Gate.String(), cluster.Node.String()) {
			fmt.Fprintln(os.Stderr, "gate and node did not find each other")
			os.Exit(1)
		}
		fmt.Fprintf(stdout, "listening %s://%s\n", *proto, server.Addr())
		fmt.Fprintf(stdout, "ready in %d ms\n", time.Since(begun).Milliseconds())
	}()
	container := due.NewContainer()
	container.Add(n, g)
	container.Serve()
}

func route(proxy *node.Proxy) {
	router := proxy.Router()
	router.AddRouteHandler(echoRoute, handler(func(ctx node.Context, req *echo) (any, error) {
		return &echo{Message: req.Message}, nil
	}))
	router.AddRouteHandler(joinRoute, handler(func(ctx node.Context, req *asked) (any, error) {
		return done{}, ctx.Proxy().Subscribe(ctx.Context(), &cluster.SubscribeArgs{
			GID: ctx.GID(), Kind: session.Conn, Targets: []int64{ctx.CID()}, Channel: req.Channel,
		})
	}))
	router.AddRouteHandler(publishRoute, handler(func(ctx node.Context, req *asked) (any, error) {
		message := &cluster.Message{Route: published, Data: &text{Text: req.Text}}
		_, err := ctx.Proxy().Publish(context.Background(), &cluster.PublishArgs{Channel: req.Channel, Message: message})
		return done{}, err
	}))
	router.AddRouteHandler(broadcastRoute, handler(func(ctx node.Context, req *asked) (any, error) {
		message := &cluster.Message{Route: broadcasted, Data: &text{Text: req.Text}}
		_, err := ctx.Proxy().Broadcast(context.Background(), &cluster.BroadcastArgs{Kind: session.Conn, Message: message})
		return done{}, err
	}))
}

// handler parses, handles and responds.
func handler[T any](handle func(ctx node.Context, req *T) (any, error)) node.RouteHandler {
	return func(ctx node.Context) {
		req := new(T)
		if err := ctx.Parse(req); err != nil {
			log.Errorf("parse: %v", err)
			return
		}
		res, err := handle(ctx, req)
		if err == nil {
			err = ctx.Response(res)
		}
		if err != nil {
			log.Errorf("route %d: %v", ctx.Route(), err)
		}
	}
}
