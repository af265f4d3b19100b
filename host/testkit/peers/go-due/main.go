// A due client (due v2.5.8's own cluster/client and packet) that runs a script against a server and says how it went.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"time"

	"go-due-peer/netclient"

	due "github.com/dobyte/due/v2"
	"github.com/dobyte/due/v2/cluster"
	"github.com/dobyte/due/v2/cluster/client"
	"github.com/dobyte/due/v2/encoding"
	"github.com/dobyte/due/v2/log"
	"github.com/dobyte/due/v2/packet"
)

// The session script waits for the end of silent connections on kcp.
// A load of a million replies takes as long as the slower of two servers needs on a small machine.
const overall, overallOfSession, overallOfLoad = 20 * time.Second, 60 * time.Second, 5 * time.Minute

type settings struct {
	addr, proto, fec, order, script, unknown string
	bare                                     bool
	routeBytes, seqBytes, bufferBytes, count int
	bodyBytes, conns                         int
	heartbeat                                time.Duration
}

// stdout carries the lines that tests read; due's banners and logs go to standard error.
var stdout = os.Stdout

func main() {
	os.Stdout = os.Stderr
	log.SetLogger(log.NewLogger(log.WithLevel(log.LevelError), log.WithTerminals([]log.Terminal{log.TerminalConsole})))

	set := flags()
	limit := overall
	switch set.script {
	case "session":
		limit = overallOfSession
	case "load":
		limit = overallOfLoad
	}
	time.AfterFunc(limit, func() { finish(fmt.Errorf("not done after %s", limit)) })
	if set.script == "vectors" {
		finish(writeVectors(stdout))
	}
	order, err := byteOrder(set.order)
	if err != nil {
		finish(err)
	}
	packet.SetPacker(packet.NewPacker(packet.WithByteOrder(order), packet.WithRouteBytes(set.routeBytes),
		packet.WithSeqBytes(set.seqBytes), packet.WithBufferBytes(set.bufferBytes), packet.WithHeartbeatTime(false)))
	finish(serve(set))
}

func flags() settings {
	var s settings
	flag.StringVar(&s.addr, "addr", "127.0.0.1:3554", "host:port of the server; for ws and wss also a whole URL")
	flag.StringVar(&s.proto, "proto", "tcp", "tcp, tls, ws, wss or kcp")
	flag.StringVar(&s.fec, "fec", "10/3", "kcp: data and parity shards of the error correction, 0/0 for none")
	flag.BoolVar(&s.bare, "bare", false, "session: without due's client, on tcp, tls or kcp, big endian with two bytes each")
	flag.IntVar(&s.routeBytes, "route-bytes", 2, "1, 2 or 4")
	flag.IntVar(&s.seqBytes, "seq-bytes", 2, "0, 1, 2 or 4")
	flag.StringVar(&s.order, "byte-order", "big", "big or little")
	flag.IntVar(&s.bufferBytes, "buffer-bytes", 5000, "the largest body this client packs")
	flag.DurationVar(&s.heartbeat, "heartbeat", time.Second, "heartbeat interval, 0 for none")
	flag.StringVar(&s.script, "script", "greet", "greet, echo, idle, session, load or vectors")
	flag.IntVar(&s.count, "count", 100, "echo and load: how many requests")
	flag.IntVar(&s.bodyBytes, "body-bytes", 16, "echo and load: letters in the message")
	flag.IntVar(&s.conns, "connections", 50, "load: how many")
	flag.StringVar(&s.unknown, "unknown", "error", "greet: what an unknown route brings, error or silence")
	flag.Parse()
	return s
}

func byteOrder(name string) (binary.ByteOrder, error) {
	switch name {
	case "big":
		return binary.BigEndian, nil
	case "little":
		return binary.LittleEndian, nil
	}
	return nil, fmt.Errorf("the byte order is big or little, not %s", name)
}

// serve runs the script where a due game client does its work: in the start hook of a container with one client.
func serve(set settings) error {
	if set.script == "idle" {
		set.heartbeat = 0
	}
	protocol := netclient.Protocol{Name: set.proto}
	if _, err := fmt.Sscanf(set.fec, "%d/%d", &protocol.DataShards, &protocol.ParityShards); err != nil {
		return fmt.Errorf("-fec is like 10/3, not %s", set.fec)
	}
	if set.bare {
		return sessionOfStream(set, protocol)
	}
	net := netclient.New(protocol, set.heartbeat)
	component := client.NewClient(client.WithClient(net), client.WithCodec(encoding.Invoke("json")))
	proxy := component.Proxy()
	var work func(proxy *client.Proxy) error
	switch set.script {
	case "load":
		load := newLoad(set)
		proxy.SetDefaultRouteHandler(load.receive)
		proxy.AddEventListener(cluster.Disconnect, func(*client.Conn) { load.lost() })
		work = load.script
	case "session":
		proxy.SetDefaultRouteHandler(takeDue)
		proxy.AddEventListener(cluster.Disconnect, func(conn *client.Conn) { close(peerOf(conn).gone) })
		work = func(proxy *client.Proxy) error { return sessionOfDue(set, proxy, net) }
	default:
		run := newRun(set, net)
		work = run.script
		proxy.SetDefaultRouteHandler(run.receive)
		proxy.AddEventListener(cluster.Disconnect, func(*client.Conn) { close(run.gone) })
	}
	var result error
	proxy.AddHookListener(cluster.Start, func(proxy *client.Proxy) {
		defer func() { // a panic would leave due waiting for the hook
			if fault := recover(); fault != nil {
				result = fmt.Errorf("panic: %v", fault)
			}
		}()
		result = work(proxy)
	})

	container := due.NewContainer()
	container.Add(component)
	container.Serve(true)
	return result
}

// step prints one line that a test reads.
func step(name, format string, args ...any) {
	line := "step=" + name + " ok"
	if format != "" {
		line += " " + fmt.Sprintf(format, args...)
	}
	fmt.Fprintln(stdout, line)
}

func finish(err error) {
	if err != nil {
		fmt.Fprintf(stdout, "result=fail reason=%q\n", err.Error())
		os.Exit(1)
	}
	if flag.Lookup("script").Value.String() != "vectors" {
		fmt.Fprintln(stdout, "result=pass")
	}
	os.Exit(0)
}
