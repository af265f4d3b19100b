package main

import (
	"bufio"
	"bytes"
	"os"
	"strings"
	"testing"
)

// The golden file is what due says today; only the time inside heartbeats differs between runs.
func TestGoldenFileIsWhatDuePacks(t *testing.T) {
	golden, err := os.ReadFile("vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	var now bytes.Buffer
	if err := writeVectors(&now); err != nil {
		t.Fatal(err)
	}
	want, got := stable(golden), stable(now.Bytes())
	for i := 0; i < max(len(want), len(got)); i++ {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			t.Fatalf("line %d of the file differs (%d lines there, %d now)", i+1, len(want), len(got))
		}
	}
}

// stable cuts lines with a time down to their name.
func stable(text []byte) []string {
	var lines []string
	scan := bufio.NewScanner(bytes.NewReader(text))
	for scan.Scan() {
		line := scan.Text()
		if name, _, ok := strings.Cut(line, " "); ok && name == "heartbeat-time" {
			line = name
		}
		lines = append(lines, line)
	}
	return lines
}
