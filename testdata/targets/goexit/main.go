// goexit: goroutines that die by runtime.Goexit with calls open, and whose `g` is used again at
// once by the next one: same g, same depth, other goroutine. Also Goexit with deferred functions
// that call, panic and recover.
package main

import (
	"runtime"

	"example.com/handshake"
)

var (
	quit     = handshake.Count("main.main.func1")
	short    = handshake.Count("main.main.func2")
	leafs    = handshake.Count("main.leaf")
	mids     = handshake.Count("main.mid")
	outers   = handshake.Count("main.outer")
	outerFn  = handshake.Count("main.outer.func1")
	works    = handshake.Count("main.work")
	revivals = handshake.Count("main.revive")
	reviveFn = handshake.Count("main.revive.func1")
	catchFn  = handshake.Count("main.revive.func2")
	bangs    = handshake.Count("main.bang")
)

//go:noinline
func leaf() { runtime.Goexit() }

//go:noinline
func mid() {
	leafs.In()
	leaf()
	leafs.Out()
}

//go:noinline
func work(n int) int { return n*3 + 1 }

// outer's deferred function runs during Goexit and makes calls of its own.
//
//go:noinline
func outer() {
	defer func() {
		outerFn.In()
		works.In()
		work(1)
		works.Out()
		outerFn.Out()
	}()
	mids.In()
	mid()
	mids.Out()
}

//go:noinline
func bang() { panic("bang") }

// revive panics in a function deferred by a frame that Goexit is leaving, and recovers that panic
// in the frame itself: Goexit goes on, the frame does not return.
//
//go:noinline
func revive() {
	defer func() {
		reviveFn.In()
		_ = recover()
		works.In()
		work(2)
		works.Out()
		reviveFn.Out()
	}()
	defer func() {
		catchFn.In()
		bangs.In()
		bang()
		bangs.Out()
		catchFn.Out()
	}()
	mids.In()
	mid()
	mids.Out()
}

func main() {
	handshake.Ready()
	for i := 0; i < 300; i++ {
		for k := 0; k < 3; k++ {
			n := i + k
			handshake.Go(quit, func() {
				works.In()
				work(n)
				works.Out()
				if n%2 == 0 {
					outers.In()
					outer()
					outers.Out()
				}
				revivals.In()
				revive()
				revivals.Out()
			})
		}
		handshake.Settle(0)
		for k := 0; k < 3; k++ {
			n := i + k
			handshake.Go(short, func() {
				works.In()
				work(n)
				works.Out()
			})
		}
		handshake.Settle(0)
	}
	handshake.Done()
}
