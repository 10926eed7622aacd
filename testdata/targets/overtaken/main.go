// overtaken: a panic in a deferred function of a runtime.Goexit is recovered further out than the
// Goexit was called. The Goexit is not left: it goes on with the deferred functions of the frames
// between, which are open all the while. Here the next of them blocks for ever.
package main

import (
	"runtime"
	"sync"

	"example.com/handshake"
)

var (
	root   = handshake.Count("main.main.func1")
	outers = handshake.Count("main.outer")
	inners = handshake.Count("main.inner")
	leaves = handshake.Count("main.leave")
	raises = handshake.Count("main.raise")
	saves  = handshake.Count("main.save")
	parks  = handshake.Count("main.park")
	ready  sync.WaitGroup
)

//go:noinline
func park() {
	ready.Done()
	select {}
}

//go:noinline
func save() {
	_ = recover()
	saves.Out()
}

//go:noinline
func raise() { panic("overtaken") }

//go:noinline
func leave() { runtime.Goexit() }

//go:noinline
func inner() {
	defer raise()
	raises.In()
	leaves.In()
	leave()
}

//go:noinline
func outer() {
	defer park()
	parks.In()
	defer save()
	saves.In()
	inners.In()
	inner()
}

func main() {
	handshake.Ready()
	ready.Add(8)
	for g := 0; g < 8; g++ {
		handshake.Go(root, func() {
			outers.In()
			outer()
		})
	}
	ready.Wait()
	handshake.Settle(8)
	handshake.Done()
}
