// grow: stack growth makes a function start again from its first byte, once for each growth, and
// moves the stack while calls are open. A probe at the first byte counts more calls than there were.
//
// Arguments: goroutines (4), depth (400).
package main

import (
	"os"
	"strconv"

	"example.com/handshake"
)

var (
	root   = handshake.Count("main.main.func1")
	growth = handshake.Count("main.grower")
	rec    = handshake.Count("main.recurse")
)

// recurse has a frame of 300 bytes, so that 400 levels outgrow the first 8 KiB several times.
//
//go:noinline
func recurse(n int) int {
	var pad [256]byte
	pad[n&255] = byte(n)
	if n == 0 {
		return int(pad[1])
	}
	rec.In()
	r := recurse(n - 1)
	rec.Out()
	return r + int(pad[n&255]) + 1
}

// grower's own frame stays open while recurse grows and moves the stack under it.
//
//go:noinline
func grower(n int) int {
	rec.In()
	r := recurse(n)
	rec.Out()
	return r
}

func main() {
	goroutines, depth := 4, 400
	if len(os.Args) > 2 {
		goroutines, _ = strconv.Atoi(os.Args[1])
		depth, _ = strconv.Atoi(os.Args[2])
	}
	handshake.Ready()
	for i := 0; i < goroutines; i++ {
		handshake.Go(root, func() {
			growth.In()
			grower(depth)
			growth.Out()
		})
	}
	handshake.Settle(0)
	handshake.Done()
}
