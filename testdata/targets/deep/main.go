// deep: recursion far deeper than a shadow stack holds. What is beyond it is lost and counted so;
// the outer calls, and those that follow, are right.
//
// Arguments: levels (10000), rounds (3), what happens at the bottom: `return`, `panic`, `goexit`.
package main

import (
	"os"
	"runtime"
	"strconv"

	"example.com/handshake"
)

var (
	root     = handshake.Count("main.main.func1")
	outers   = handshake.Count("main.outer")
	downs    = handshake.Count("main.down")
	ignores  = handshake.Count("main.ignore")
	bottom   = "return"
	shallows = handshake.Count("main.shallow")
)

//go:noinline
func down(n int) int {
	if n == 0 {
		switch bottom {
		case "panic":
			panic("bottom")
		case "goexit":
			runtime.Goexit()
		}
		return 0
	}
	downs.In()
	r := down(n - 1)
	downs.Out()
	return r + 1
}

//go:noinline
func ignore() {
	ignores.In()
	_ = recover()
	ignores.Out()
}

//go:noinline
func shallow(n int) int { return n ^ 5 }

//go:noinline
func outer(n int) (r int) {
	defer ignore()
	downs.In()
	r = down(n)
	downs.Out()
	shallows.In()
	r += shallow(r)
	shallows.Out()
	return r
}

func main() {
	levels, rounds := 10000, 3
	if len(os.Args) > 3 {
		bottom = os.Args[3]
	}
	if len(os.Args) > 2 {
		levels, _ = strconv.Atoi(os.Args[1])
		rounds, _ = strconv.Atoi(os.Args[2])
	}
	handshake.Ready()
	for g := 0; g < 2; g++ {
		handshake.Go(root, func() {
			for i := 0; i < rounds; i++ {
				outers.In()
				outer(levels)
				outers.Out()
			}
		})
	}
	handshake.Settle(0)
	handshake.Done()
}
