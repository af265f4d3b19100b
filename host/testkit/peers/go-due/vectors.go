package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/dobyte/due/v2/packet"
)

const refused = "refused"

// writeVectors prints what due's packer makes of settings and messages, one `name settings hex` line each.
func writeVectors(out io.Writer) error {
	fmt.Fprintln(out, "# Packets as due v2.5.8 packs them: name, settings, hex (or refused).")
	for _, order := range []string{"big", "little"} {
		for _, routeBytes := range []int{1, 2, 4} {
			for _, seqBytes := range []int{0, 1, 2, 4} {
				for _, c := range dataCases(routeBytes, seqBytes) {
					line, err := dataLine(order, routeBytes, seqBytes, c)
					if err != nil {
						return err
					}
					fmt.Fprintln(out, line)
				}
			}
		}
		for _, withTime := range []bool{false, true} {
			line, err := heartbeatLine(order, withTime)
			if err != nil {
				return err
			}
			fmt.Fprintln(out, line)
		}
	}
	return nil
}

type dataCase struct {
	name       string
	route, seq int32
	body       []byte
}

func dataCases(routeBytes, seqBytes int) []dataCase {
	routeMin, routeMax := bounds(routeBytes)
	seqMin, seqMax := bounds(seqBytes)
	cases := []dataCase{
		{"empty", 1, seqOr(seqBytes, 1), nil},
		{"json", 2, seqOr(seqBytes, 3), []byte(`{"message":"hi"}`)},
		{"push", 3, 0, []byte{0x00, 0xff, 0x80}},
		{"minus-one", -1, seqOr(seqBytes, -1), []byte("x")},
		{"lowest", routeMin, seqMin, []byte("x")},
		{"highest", routeMax, seqMax, []byte("x")},
	}
	if routeBytes < 4 {
		cases = append(cases, dataCase{"route-over", routeMax + 1, 0, nil}, dataCase{"route-under", routeMin - 1, 0, nil})
	}
	if seqBytes == 1 || seqBytes == 2 {
		cases = append(cases, dataCase{"seq-over", 1, seqMax + 1, nil}, dataCase{"seq-under", 1, seqMin - 1, nil})
	}
	return cases
}

// bounds are those of a signed number of so many bytes.
func bounds(bytes int) (int32, int32) {
	switch bytes {
	case 1:
		return math.MinInt8, math.MaxInt8
	case 2:
		return math.MinInt16, math.MaxInt16
	case 4:
		return math.MinInt32, math.MaxInt32
	}
	return 0, 0
}

func seqOr(seqBytes int, seq int32) int32 {
	if seqBytes == 0 {
		return 0
	}
	return seq
}

func packerFor(order string, routeBytes, seqBytes int, withTime bool) (packet.Packer, binary.ByteOrder, error) {
	bytes, err := byteOrder(order)
	return packet.NewPacker(packet.WithByteOrder(bytes), packet.WithRouteBytes(routeBytes), packet.WithSeqBytes(seqBytes),
		packet.WithBufferBytes(5000), packet.WithHeartbeatTime(withTime)), bytes, err
}

func dataLine(order string, routeBytes, seqBytes int, c dataCase) (string, error) {
	packer, _, err := packerFor(order, routeBytes, seqBytes, false)
	if err != nil {
		return "", err
	}
	set := fmt.Sprintf("%s order=%s,route_bytes=%d,seq_bytes=%d,route=%d,seq=%d,body=%x", c.name, order, routeBytes, seqBytes, c.route, c.seq, c.body)
	data, err := packer.PackMessage(&packet.Message{Route: c.route, Seq: c.seq, Buffer: c.body})
	if err != nil {
		return set + " " + refused, nil
	}
	back, err := packer.UnpackMessage(data)
	if err != nil || back.Route != c.route || back.Seq != c.seq || string(back.Buffer) != string(c.body) {
		return "", fmt.Errorf("%s does not survive unpacking", set)
	}
	return set + " " + hex.EncodeToString(data), nil
}

func heartbeatLine(order string, withTime bool) (string, error) {
	packer, bytes, err := packerFor(order, 2, 2, withTime)
	if err != nil {
		return "", err
	}
	data, err := packer.PackHeartbeat()
	if err != nil {
		return "", err
	}
	if is, err := packer.CheckHeartbeat(data); err != nil || !is {
		return "", fmt.Errorf("due does not take its own heartbeat: %x", data)
	}
	if !withTime {
		return fmt.Sprintf("heartbeat order=%s %x", order, data), nil
	}
	ns := int64(bytes.Uint64(data[5:]))
	if age := time.Since(time.Unix(0, ns)); age < 0 || age > time.Minute {
		return "", fmt.Errorf("the time is not in nanoseconds: %x", data)
	}
	return fmt.Sprintf("heartbeat-time order=%s,unix_ns=%d %x", order, ns, data), nil
}
