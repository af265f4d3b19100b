#!/usr/bin/env python3
"""Writes the first files of the fuzz corpus, beside which a fuzzer puts what it finds.

    python3 make_corpus.py corpus
"""

import pathlib
import struct
import sys

# The first byte of a packet input: bit 0 seed, bit 1 little, bits 2-3 route_bytes, bits 4-5 seq_bytes, bits 6-7 limit.
BIG_2_2, LITTLE_2_2, SEED_2_2, BIG_1_0, BIG_4_4 = 0xA4, 0xA6, 0xA5, 0x80, 0xB8
LITTLE_16_MIB, TINY_LIMIT = 0xE6, 0x00


def sized(content, order=">"):
    return struct.pack(order + "I", len(content)) + content


DATA = b"\x00" + struct.pack(">hh", 1, 2) + b"hello"
NEGATIVE = b"\x00" + struct.pack(">hh", -1, -32768)
ERROR = b"\x01" + struct.pack(">hhH", 1, 2, 5) + "zu groß".encode()
BEAT, BEAT_TIME = b"\x80", b"\x80" + struct.pack(">q", 1_700_000_000_123_456_789)

STREAMS = {
    "data": (BIG_2_2, sized(DATA)),
    "mixed": (BIG_2_2, sized(DATA) + sized(BEAT) + sized(b"") + sized(NEGATIVE) + sized(ERROR) + sized(BEAT_TIME)),
    "cut-short": (BIG_2_2, sized(DATA) + sized(DATA)[:7]),
    "little": (LITTLE_2_2, sized(b"\x00\x01\x00\x02\x00hi", "<") + sized(BEAT, "<")),
    "little-client-ts-heartbeat": (LITTLE_2_2, b"\x00\x00\x00\x01\x80" + sized(BEAT, "<")),
    "little-client-ts-heartbeat-cut": (LITTLE_2_2, b"\x00\x00\x00\x01"),
    "little-16-mib": (LITTLE_16_MIB, b"\x00\x00\x00\x01\x00abc"),
    "little-16-mib-heartbeat": (LITTLE_16_MIB, b"\x00\x00\x00\x01\x80abc"),
    "seed": (SEED_2_2, sized(DATA) + sized(BEAT_TIME)),
    "no-seq": (BIG_1_0, sized(b"\x00\xffbody")),
    "wide": (BIG_4_4, sized(b"\x00" + struct.pack(">ii", -(2**31), 2**31 - 1) + b"x")),
    "size-overflows": (BIG_2_2, b"\xff\xff\xff\xfc\x00"),
    "size-512-mib": (BIG_2_2, b"\x20\x00\x00\x00"),
    "tiny-limit": (TINY_LIMIT, sized(b"\x00\x01\x02") + sized(b"\x00\x01\x02\x03") + sized(BEAT_TIME)),
    "odd-heartbeat": (BIG_2_2, sized(b"\x80\x01\x02") + sized(b"\xff")),
    "negative-time": (BIG_2_2, sized(b"\x80" + b"\xff" * 8)),
    "short": (BIG_2_2, sized(b"\x00\x00\x01") + sized(b"\x00")),
}

MESSAGES = {
    "data": (BIG_2_2, sized(DATA)),
    "seed-data": (SEED_2_2, DATA),
    "seed-negative": (SEED_2_2, NEGATIVE),
    "seed-heartbeat": (SEED_2_2, BEAT),
    "seed-heartbeat-time": (SEED_2_2, b"\x80" + struct.pack(">q", 1_700_000_000_123)),
    "seed-negative-time": (SEED_2_2, b"\x80" + b"\xff" * 8),
    "error": (BIG_2_2, sized(ERROR)),
    "error-not-utf8": (SEED_2_2, b"\x01\x00\x01\x00\x02\x00\x05\xff"),
    "size-mismatch": (BIG_2_2, sized(DATA) + b"!"),
    "empty": (BIG_2_2, b""),
    "empty-sized": (BIG_2_2, sized(b"")),
    "client-ts-heartbeat": (LITTLE_2_2, b"\x00\x00\x00\x01\x80"),
    "short": (BIG_2_2, b"\x00\x00"),
    "limit": (SEED_2_2 & 0x3F | 0x40, b"\x00\x00\x01\x00\x02" + b"x" * 65),
}


def frame(first, payload, masked=True):
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head = bytes([first, bit | len(payload)])
    else:
        head = bytes([first, bit | 126]) + struct.pack(">H", len(payload))
    if not masked:
        return head + payload
    key = b"\x11\x22\x33\x44"
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


# The first byte of a ws input: bit 0 client, bit 1 no text, bit 2 limit of 1 MiB instead of 300; the second chooses the splits.
SERVER, CLIENT, NO_TEXT, LARGE = 0, 1, 2, 4
WS = {
    "binary": (SERVER, frame(0x82, b"hello")),
    "text": (SERVER, frame(0x81, "κόσμε".encode())),
    "text-refused": (NO_TEXT, frame(0x81, b"hello")),
    "text-not-utf8": (SERVER, frame(0x81, b"ok\xed\xa0\x80")),
    "text-split-character": (SERVER, frame(0x01, b"\xf0\x9f") + frame(0x80, b"\xa6\x80")),
    "fragments": (SERVER, frame(0x02, b"a") + frame(0x89, b"ping") + frame(0x00, b"") + frame(0x80, b"b" * 40)),
    "many": (LARGE, b"".join(frame(0x82, bytes([at]) * at) for at in range(140))),
    "control": (SERVER, frame(0x89, b"1" * 125) + frame(0x8A, b"") + frame(0x88, b"\x03\xe8bye") + b"rest"),
    "close-empty": (SERVER, frame(0x88, b"")),
    "close-one-byte": (SERVER, frame(0x88, b"\x03")),
    "close-bad-code": (SERVER, frame(0x88, b"\x03\xee")),
    "close-bad-reason": (SERVER, frame(0x88, b"\x03\xe8\xff")),
    "too-big": (SERVER, frame(0x82, b"x" * 301)),
    "too-big-in-fragments": (SERVER, frame(0x02, b"x" * 200) + frame(0x80, b"x" * 101)),
    "claims-8-exbibyte": (SERVER, b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00abc"),
    "length-not-minimal": (SERVER, b"\x82\xfe\x00\x05\x00\x00\x00\x00hello"),
    "reserved-bit": (SERVER, frame(0x82, b"good") + frame(0xC2, b"bad")),
    "continuation-of-nothing": (SERVER, frame(0x80, b"x")),
    "message-in-message": (SERVER, frame(0x02, b"x") + frame(0x82, b"y")),
    "fragmented-ping": (SERVER, frame(0x09, b"x")),
    "unmasked": (SERVER, frame(0x82, b"x", masked=False)),
    "client": (CLIENT, frame(0x82, b"hello", masked=False) + frame(0x81, b"text", masked=False)),
    "client-masked": (CLIENT, frame(0x82, b"x")),
}


def main():
    folder = pathlib.Path(sys.argv[1])
    for target, inputs in (("packet_stream", STREAMS), ("packet_message", MESSAGES), ("ws_decoder", WS)):
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name, (choice, data) in inputs.items():
            head = bytes([choice, 0x2A]) if target == "ws_decoder" else bytes([choice])
            (folder / target / name).write_bytes(head + data)


main()
