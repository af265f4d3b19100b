// A client on kcp-go: sends random bytes to a server that echoes, and compares what comes back.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"time"

	"github.com/xtaci/kcp-go/v5"
)

var (
	addr     = flag.String("addr", "", "the server")
	data     = flag.Int("fec-data", 0, "data shards of the error correction, 0 for none")
	parity   = flag.Int("fec-parity", 0, "parity shards")
	noDelay  = flag.Bool("nodelay", false, "nodelay 1, 10 ms, 2, 1 instead of the defaults")
	ackNow   = flag.Bool("ack-no-delay", false, "acknowledge at once")
	stream   = flag.Bool("stream", false, "stream mode")
	mtu      = flag.Int("mtu", 1400, "longest datagram")
	size     = flag.Int("bytes", 200<<10, "how much to echo")
	writing  = flag.Int("write-bytes", 4096, "size of a write")
	greeting = flag.Int("greeting-bytes", 5, "what the server sends first")
	conv     = flag.Uint("conv", 0, "the conversation, 0 for any")
	local    = flag.String("local", ":0", "the address to send from, if there is a conversation")
	timeout  = flag.Duration("timeout", 20*time.Second, "how long all of it may take")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Printf("result=fail reason=%q\n", err)
		os.Exit(1)
	}
	fmt.Println("result=pass")
}

func run() error {
	session, err := dial()
	if err != nil {
		return err
	}
	defer session.Close()
	if *noDelay {
		session.SetNoDelay(1, 10, 2, 1)
		session.SetWindowSize(128, 128)
	}
	session.SetACKNoDelay(*ackNow)
	session.SetStreamMode(*stream)
	if !session.SetMtu(*mtu) {
		return errors.New("kcp-go does not take this mtu")
	}
	if err := session.SetDeadline(time.Now().Add(*timeout)); err != nil {
		return err
	}

	sent := make([]byte, *size)
	rand.New(rand.NewSource(1)).Read(sent)
	writes := make(chan error, 1)
	go func() { writes <- write(session, sent) }()

	received := make([]byte, *greeting+*size)
	if _, err := io.ReadFull(session, received); err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	if err := <-writes; err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	if !bytes.Equal(received[*greeting:], sent) {
		return errors.New("the echo differs")
	}
	fmt.Printf("step=echo ok bytes=%d\n", *size)
	return nil
}

func dial() (*kcp.UDPSession, error) {
	if *conv == 0 {
		return kcp.DialWithOptions(*addr, nil, *data, *parity)
	}
	server, err := net.ResolveUDPAddr("udp", *addr)
	if err != nil {
		return nil, err
	}
	socket, err := net.ListenPacket("udp", *local)
	if err != nil {
		return nil, err
	}
	return kcp.NewConn4(uint32(*conv), server, nil, *data, *parity, true, socket)
}

func write(to io.Writer, data []byte) error {
	for len(data) > 0 {
		n := min(len(data), *writing)
		if _, err := to.Write(data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}
