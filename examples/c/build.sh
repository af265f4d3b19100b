#!/bin/sh
# Builds dice.wasm and hall.wasm into a folder, by default this one. Needs clang, and the linker that comes with Rust.
set -eu
cd "$(dirname "$0")"
out=${1:-.}
tools=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

build() { # NAME WORLD
    mkdir -p "$work/$1/deps/duet"
    cp ../../wit/*.wit "$work/$1/deps/duet"
    echo "package example:$1; world $1 { include duet:plugin/$2@0.1.0; }" > "$work/$1/world.wit"
    clang --target=wasm32 -mbulk-memory -O2 -Wall -Wextra -Werror -c "$1.c" -o "$work/$1.o"
    "$tools/wasm-component-ld" --wasm-ld-path "$tools/gcc-ld/wasm-ld" --component-type "$work/$1" --no-entry "$work/$1.o" -o "$out/$1.wasm"
}

build dice game-single-events
build hall game
