// noreturn: functions that never return: endless loops, a select for ever; and what called them.
// They are open at the end.
package main

import (
	"sync"

	"example.com/handshake"
)

var (
	root    = handshake.Count("main.main.func1")
	callers = handshake.Count("main.caller")
	loops   = handshake.Count("main.forever")
	parks   = handshake.Count("main.park")
	steps   = handshake.Count("main.step")
	sink    int
)

//go:noinline
func step(n int) int { return n + 1 }

//go:noinline
func forever(c chan int, ready *sync.WaitGroup, done chan bool) {
	ready.Done()
	for {
		n := <-c
		steps.In()
		sink += step(n)
		steps.Out()
		done <- true
	}
}

//go:noinline
func park(ready *sync.WaitGroup) {
	ready.Done()
	select {}
}

//go:noinline
func caller(c chan int, ready *sync.WaitGroup, done chan bool, looping bool) {
	if looping {
		loops.In()
		forever(c, ready, done)
		loops.Out()
	}
	parks.In()
	park(ready)
	parks.Out()
}

func main() {
	handshake.Ready()
	c, done := make(chan int), make(chan bool)
	var ready sync.WaitGroup
	ready.Add(6)
	for g := 0; g < 6; g++ {
		looping := g%2 == 0
		handshake.Go(root, func() {
			callers.In()
			caller(c, &ready, done, looping)
			callers.Out()
		})
	}
	ready.Wait()
	for i := 0; i < 100; i++ {
		c <- i
		<-done
	}
	handshake.Settle(6)
	handshake.Done()
}
