#!/usr/bin/env python3
"""Writes packets.txt: packets of every format, made from the description of the wire format and not by the crate under test.

    python3 make.py > packets.txt
"""

import itertools
import struct

HEAD = """\
# Packets of every format, written by make.py. The body limit is 65,536 bytes.
#
# [profile byte-order route_bytes seq_bytes carrier]
# name: what it is <-> its bytes in hex     written and read
# name: what it is <- its bytes in hex      only read: a writer gives other bytes, or none
#
# A time is in nanoseconds since the epoch; "-" stands for no bytes."""

INT = {1: "b", 2: "h", 4: "i"}
TIME_NS = 1_700_000_000_123_456_789


def number(order, letter, value):
    return struct.pack((">" if order == "big" else "<") + letter, value)


class Wire:
    def __init__(self, profile, order, route_bytes, seq_bytes, carrier):
        self.profile, self.order, self.carrier = profile, order, carrier
        self.route_bytes, self.seq_bytes = route_bytes, seq_bytes
        self.frame_order = "big" if profile == "seed" else order

    def sized(self, content):
        if self.profile == "seed" and self.carrier == "message":
            return content
        return number(self.frame_order, "I", len(content)) + content

    def data(self, extcode, route, seq, body):
        content = bytes([extcode]) + number(self.order, INT[self.route_bytes], route)
        if self.seq_bytes:
            content += number(self.order, INT[self.seq_bytes], seq)
        return self.sized(content + body)

    def heartbeat(self, time_ns=None):
        content = b"\x80"
        if time_ns is not None:
            unit = time_ns if self.profile == "due2" else time_ns // 1_000_000
            content += number(self.frame_order, "q", unit)
        return self.sized(content)


def text(data):
    return data.hex() or "-"


def lines(wire):
    def data(name, route, seq, body, extcode=0):
        arrow = "<->" if extcode == 0 else "<-"
        what = f"data extcode={extcode} route={route} seq={seq} body={text(body)}"
        return f"{name}: {what} {arrow} {text(wire.data(extcode, route, seq, body))}"

    def error(name, route, seq, code, message):
        body = number(wire.order, "H", code) + message.encode()
        what = f"error route={route} seq={seq} code={code} message={text(message.encode())}"
        return f"{name}: {what} <-> {text(wire.data(1, route, seq, body))}"

    def heartbeat(name, time_ns):
        shown = time_ns if wire.profile == "due2" else time_ns // 1_000_000 * 1_000_000
        return f"{name}: heartbeat time={shown} <-> {text(wire.heartbeat(time_ns))}"

    route_top = 2 ** (8 * wire.route_bytes - 1)
    seq_top = 2 ** (8 * wire.seq_bytes - 1) if wire.seq_bytes else None

    def seq(value):
        return value if seq_top else 0

    yield data("request", 1, seq(2), b"hello")
    yield data("push", 100, 0, b"\x00\xff\x80")
    yield data("no-body", 7, seq(1), b"")
    yield data("negative", -2, seq(-3), b"n")
    yield data("least", -route_top, seq(-seq_top if seq_top else 0), b"")
    yield data("greatest", route_top - 1, seq(seq_top - 1 if seq_top else 0), b"!")
    if wire.route_bytes > 1 and wire.seq_bytes > 1:
        yield data("unlike-bytes", 0x0102, 0x0304, b"\x05")
    if wire.route_bytes == wire.seq_bytes == 2:
        yield data("long-body", 1, 1, b"x" * 300)
    yield data("reserved-extcode", 3, seq(4), b"?", extcode=127)
    yield error("error", 1, seq(2), 5, "busy")
    yield error("error-without-message", -1, seq(-1), 0x0102, "")
    yield error("error-message-utf8", 1, seq(2), 65_535, "žluťoučký")
    yield f"heartbeat: heartbeat <-> {text(wire.heartbeat())}"
    yield heartbeat("heartbeat-with-time", TIME_NS)
    yield heartbeat("heartbeat-at-the-epoch", 0)
    yield f"empty: empty <- {text(wire.sized(b''))}"
    if wire.profile == "due2" and wire.order == "little":
        yield "heartbeat-of-due-client-ts: heartbeat <- 0000000180"


def main():
    print(HEAD)
    settings = itertools.product(("due2", "seed"), ("big", "little"), (1, 2, 4), (0, 1, 2, 4), ("stream", "message"))
    for setting in settings:
        print()
        print("[" + " ".join(str(part) for part in setting) + "]")
        for line in lines(Wire(*setting)):
            print(line)


main()
