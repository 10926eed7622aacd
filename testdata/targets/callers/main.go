// callers: functions called from several places, by inlined code, deferred, as a goroutine's first
// one, by themselves and in a loop to the first byte. Tells who called what how often, by its own
// count at the places that call.
package main

import (
	"sync"
	"sync/atomic"

	"example.com/handshake"
)

var (
	firsts = handshake.Count("main.first")
	lefts  = handshake.Count("main.left")
	downs  = handshake.Count("main.down")
	turns  = handshake.Count("main.turn")
	many   = handshake.Count("main.spread")
	leafs  = handshake.Count("main.leaf")

	lock   sync.Mutex
	truths = map[[2]string]*int64{}
)

// from counts a call of callee at the place in caller that is about to make it.
func from(callee, caller string) *int64 {
	lock.Lock()
	defer lock.Unlock()
	key := [2]string{callee, caller}
	if truths[key] == nil {
		truths[key] = new(int64)
	}
	return truths[key]
}

var (
	leafByLeft    = from("main.leaf", "main.left")
	leafByShort   = from("main.leaf", "main.short")
	leafBySpread  = from("main.leaf", "main.spread")
	leafByDefer   = from("main.leaf", "main.deferring")
	downByDown    = from("main.down", "main.down")
	downByFirst   = from("main.down", "main.first")
	turnByFirst   = from("main.turn", "main.first")
	leftByFirst   = from("main.left", "main.first")
	spreadByFirst = from("main.spread", "main.first")
	firstByNone   = from("main.first", "runtime.goexit")
)

var sink int64

//go:noinline
func leaf() { atomic.AddInt64(&sink, 1) }

// short is inlined: the call in it is still its own.
func short() {
	leafs.In()
	atomic.AddInt64(leafByShort, 1)
	leaf()
	leafs.Out()
}

//go:noinline
func left() {
	for i := 0; i < 3; i++ {
		leafs.In()
		atomic.AddInt64(leafByLeft, 1)
		leaf()
		leafs.Out()
	}
	short()
}

// deferring makes the deferred call in its own code. It can't tell when that returns.
//
//go:noinline
func deferring() {
	leafs.In()
	atomic.AddInt64(leafByDefer, 1)
	defer leaf()
}

//go:noinline
func spread(n int) {
	for i := 0; i < n; i++ {
		leafs.In()
		atomic.AddInt64(leafBySpread, 1)
		leaf()
		leafs.Out()
		short()
	}
}

//go:noinline
func down(n int) int {
	if n == 0 {
		return 0
	}
	downs.In()
	atomic.AddInt64(downByDown, 1)
	r := down(n-1) + 1
	downs.Out()
	return r
}

// turn's loop goes back to its first byte.
//
//go:noinline
func turn(p *int) {
	for {
		*p++
		if *p > 100 {
			return
		}
	}
}

//go:noinline
func first() {
	firsts.In()
	for i := 0; i < 50; i++ {
		lefts.In()
		atomic.AddInt64(leftByFirst, 1)
		left()
		lefts.Out()
		many.In()
		atomic.AddInt64(spreadByFirst, 1)
		spread(i)
		many.Out()
		deferring()
		downs.In()
		atomic.AddInt64(downByFirst, 1)
		down(i)
		downs.Out()
		x := 0
		turns.In()
		atomic.AddInt64(turnByFirst, 1)
		turn(&x)
		turns.Out()
	}
	firsts.Out()
}

func main() {
	handshake.Uncounted("main.deferring")
	handshake.Ready()
	for g := 0; g < 4; g++ {
		atomic.AddInt64(firstByNone, 1)
		go first()
	}
	handshake.Settle(0)
	for key, calls := range truths {
		handshake.Say(map[string]any{"type": "caller", "function": key[0], "caller": key[1], "calls": atomic.LoadInt64(calls)})
	}
	handshake.Done()
}
