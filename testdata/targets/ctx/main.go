// ctx: what the g register holds in user code, on g0 (systemstack), in signal handlers and in
// assembly functions; and a stack that shrinks while a call is open.
package main

import (
	"crypto/sha1"
	"os"
	"runtime"
	"time"

	"example.com/handshake"
)

var (
	root     = handshake.Count("main.main.func1")
	recs     = handshake.Count("main.rec")
	shrinks  = handshake.Count("main.shrinker")
	busies   = handshake.Count("main.busy")
	hashes   = handshake.Count("main.hash")
	perRound = time.Duration(20) * time.Millisecond
)

//go:noinline
func rec(n int) int {
	var pad [64]int
	pad[n&63] = n
	if n == 0 {
		return pad[0]
	}
	recs.In()
	r := rec(n - 1)
	recs.Out()
	return r + pad[n&63]&1
}

// shrinker stays open while its stack grows and the garbage collector shrinks it.
//
//go:noinline
func shrinker() int {
	r := 0
	for i := 0; i < 3; i++ {
		recs.In()
		r += rec(300)
		recs.Out()
		runtime.GC()
		runtime.GC()
	}
	return r
}

//go:noinline
func busy(d time.Duration) int {
	t := time.Now()
	n := 0
	for time.Since(t) < d {
		for i := 0; i < 1000; i++ {
			n += i ^ len(os.Args)
		}
	}
	return n
}

//go:noinline
func hash(b []byte) byte {
	s := sha1.Sum(b)
	return s[0]
}

func main() {
	runtime.GOMAXPROCS(2)
	handshake.Ready()
	for i := 0; i < 4; i++ {
		handshake.Go(root, func() {
			for round := 0; round < 3; round++ {
				busies.In()
				busy(perRound)
				busies.Out()
				hashes.In()
				hash(make([]byte, 4096))
				hashes.Out()
				shrinks.In()
				shrinker()
				shrinks.Out()
			}
		})
	}
	handshake.Settle(0)
	handshake.Done()
}
