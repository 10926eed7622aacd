// oracle: an ordinary program whose calls last known times: spinning, blocked in the kernel,
// asleep, waiting for another goroutine, recursing, or next to nothing. Package inject makes its
// twin, which measures itself by a `defer duration(…)()` in each function.
package main

import (
	"fmt"

	"example.com/handshake"
)

func main() {
	var c counter
	token := make(chan bool, 1)
	token <- true
	// One goroutine spins at a time, so that none waits for a CPU while it is measured.
	alone := func(f func()) {
		<-token
		f()
		token <- true
	}
	requests := make(chan request)
	handshake.Ready()
	go func() {
		for r := range requests {
			go serve(r)
		}
	}()
	done := make(chan bool)
	workers := []func(i int){
		func(i int) { alone(func() { spin(mostly(300*us, 6*ms, i)) }) },
		func(i int) { alone(func() { descend(6, mostly(2*ms, 6*ms, i)) }) },
		func(i int) { block(mostly(5*ms, 20*ms, i)) },
		func(i int) { nap(mostly(25*ms, 80*ms, i)) },
		func(i int) { ask(requests, mostly(5*ms, 20*ms, i)) },
		func(i int) { alone(func() { c.add(i) }) },
	}
	rounds := []int{400, 150, 200, 100, 200, 5000}
	for g := 0; g < 2; g++ {
		for k, work := range workers {
			work, n := work, rounds[k]
			go func() {
				for i := 0; i < n; i++ {
					work(i)
				}
				done <- true
			}()
		}
	}
	for i := 0; i < 2*len(workers); i++ {
		<-done
	}
	handshake.Settle(1)
	handshake.Say(map[string]string{"sum": fmt.Sprint(c.sum)})
	handshake.Done()
}
