// nesting: calls inside calls, each of which also works on its own for a known time: exclusive
// times. Tells the exclusive time of each call by its own clock.
package main

import (
	"time"

	"example.com/handshake"
)

var (
	root   = handshake.Count("main.main.func1")
	tops   = handshake.Count("main.top")
	lefts  = handshake.Count("main.left")
	rights = handshake.Count("main.right")
	leafs  = handshake.Count("main.leaf")
)

//go:noinline
func leaf() { handshake.Spin(200 * time.Microsecond) }

//go:noinline
func left() {
	handshake.Spin(300 * time.Microsecond)
	leafs.In()
	leaf()
	leafs.Out()
	handshake.Spin(100 * time.Microsecond)
}

//go:noinline
func right() {
	handshake.Spin(500 * time.Microsecond)
	for i := 0; i < 3; i++ {
		leafs.In()
		leaf()
		leafs.Out()
	}
}

//go:noinline
func top() {
	handshake.Spin(1000 * time.Microsecond)
	lefts.In()
	left()
	lefts.Out()
	rights.In()
	right()
	rights.Out()
}

func main() {
	handshake.Ready()
	handshake.Go(root, func() {
		for i := 0; i < 100; i++ {
			tops.In()
			top()
			tops.Out()
		}
	})
	handshake.Settle(0)
	for function, self := range map[string]int64{"main.top": 1_000_000, "main.left": 400_000, "main.right": 500_000, "main.leaf": 200_000} {
		handshake.Say(map[string]any{"type": "self", "function": function, "self_ns_per_call": self})
	}
	handshake.Done()
}
