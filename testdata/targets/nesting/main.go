// nesting: calls inside calls, each of which also works on its own: exclusive times. Tells the
// exclusive time of each function by its own clock.
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
	// own is the time that each function spun, all calls together.
	own = map[string]time.Duration{}
)

//go:noinline
func leaf() { own["leaf"] += handshake.Spin(200 * time.Microsecond) }

//go:noinline
func left() {
	own["left"] += handshake.Spin(300 * time.Microsecond)
	leafs.In()
	leaf()
	leafs.Out()
	own["left"] += handshake.Spin(100 * time.Microsecond)
}

//go:noinline
func right() {
	own["right"] += handshake.Spin(500 * time.Microsecond)
	for i := 0; i < 3; i++ {
		leafs.In()
		leaf()
		leafs.Out()
	}
}

//go:noinline
func top() {
	own["top"] += handshake.Spin(1000 * time.Microsecond)
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
	for name, ns := range own {
		handshake.Say(map[string]any{"type": "self", "function": "main." + name, "self_ns": ns})
	}
	handshake.Done()
}
