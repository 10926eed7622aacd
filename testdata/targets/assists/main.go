// assists: a function that is slow because what it allocates makes it help the garbage collector. Tells how
// long it helped by the runtime's own clock (runtime/metrics), where this version of Go has one.
package main

import (
	"runtime"
	"runtime/debug"
	"time"

	"example.com/handshake"
)

const rounds = 5

// node is what the collector has to follow.
type node struct {
	next *node
	room [6]*node
}

var (
	live *node
	last *node
	made = handshake.Count("main.allocates")
)

// allocates keeps nothing of what it allocates.
//
//go:noinline
func allocates() {
	for i := 0; i < 400_000; i++ {
		last = &node{next: last}
		if i%64 == 0 {
			last = nil
		}
	}
}

// assisted is how long goroutines helped the collector so far, in seconds; false: it isn't known.
var assisted = func() (float64, bool) { return 0, false }

func main() {
	// The collector's own workers get a quarter of the only P: whoever allocates does the rest.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(20)
	for i := 0; i < 500_000; i++ {
		live = &node{next: live}
	}
	handshake.Ready()
	// What the runtime says is of the cycles that are over.
	runtime.GC()
	before, known := assisted()
	took := time.Duration(0)
	for i := 0; i < rounds; i++ {
		made.In()
		began := time.Now()
		allocates()
		took += time.Since(began)
		made.Out()
	}
	runtime.GC()
	after, _ := assisted()
	handshake.Settle(0)
	line := map[string]any{"type": "assists", "calls": rounds, "took_ns": took.Nanoseconds()}
	if known {
		line["assisted_ns"] = int64((after - before) * 1e9)
	}
	handshake.Say(line)
	runtime.KeepAlive(live)
	handshake.Done()
}
