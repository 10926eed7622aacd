// openbefore: calls that are open when the probes go in return later; others open afterwards and
// stay open past the end.
package main

import (
	"example.com/handshake"
)

const early, late = 5, 3

var (
	outers = handshake.Count("main.outer")
	holds  = handshake.Count("main.hold")
	steps  = handshake.Count("main.step")
)

//go:noinline
func step(n int) int { return n * 2 }

//go:noinline
func hold(ready chan bool, release chan bool) {
	ready <- true
	<-release
	steps.In()
	step(1)
	steps.Out()
}

//go:noinline
func outer(ready chan bool, release chan bool, again bool) {
	if again {
		holds.In()
		hold(ready, release)
		holds.Out()
		return
	}
	hold(ready, release)
	// The same place as the orphan's, now counted.
	holds.In()
	hold(ready, release)
	holds.Out()
}

func main() {
	ready, release, never := make(chan bool), make(chan bool), make(chan bool)
	for g := 0; g < early; g++ {
		go outer(ready, release, false)
	}
	for g := 0; g < early; g++ {
		<-ready
	}
	handshake.Ready()
	for round := 0; round < 2; round++ {
		for g := 0; g < early; g++ {
			release <- true
		}
		if round == 0 {
			for g := 0; g < early; g++ {
				<-ready
			}
		}
	}
	handshake.Settle(0)
	for g := 0; g < late; g++ {
		go func() {
			outers.In()
			outer(ready, never, true)
			outers.Out()
		}()
	}
	for g := 0; g < late; g++ {
		<-ready
	}
	// outer and hold of each early goroutine.
	handshake.Say(map[string]any{"type": "orphans", "returns": 2 * early})
	handshake.Done()
}
