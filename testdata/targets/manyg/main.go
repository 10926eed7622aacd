// manyg: a hundred thousand goroutines alive at once, each with calls open.
//
// Arguments: goroutines (100000), `before` (they live when goinstr attaches) or `after`.
package main

import (
	"os"
	"strconv"
	"sync"

	"example.com/handshake"
)

var (
	root  = handshake.Count("main.life")
	holds = handshake.Count("main.hold")
	steps = handshake.Count("main.step")
)

//go:noinline
func step(n int) int { return n*7 + 1 }

//go:noinline
func hold(ready *sync.WaitGroup, release chan struct{}) {
	ready.Done()
	<-release
}

//go:noinline
func life(n int, ready *sync.WaitGroup, release chan struct{}) {
	steps.In()
	step(n)
	steps.Out()
	holds.In()
	hold(ready, release)
	holds.Out()
}

func main() {
	goroutines, when := 100000, "before"
	if len(os.Args) > 2 {
		goroutines, _ = strconv.Atoi(os.Args[1])
		when = os.Args[2]
	}
	var born, held sync.WaitGroup
	start, release := make(chan struct{}), make(chan struct{})
	birth := func() {
		born.Add(goroutines)
		held.Add(goroutines)
		for i := 0; i < goroutines; i++ {
			n := i
			go func() {
				born.Done()
				<-start
				root.In()
				life(n, &held, release)
				root.Out()
			}()
		}
		born.Wait()
	}
	if when == "before" {
		birth()
	}
	handshake.Ready()
	if when != "before" {
		birth()
	}
	close(start)
	held.Wait()
	close(release)
	handshake.Settle(0)
	handshake.Done()
}
