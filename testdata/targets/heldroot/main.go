// heldroot: one call of root is open for as long as the load lasts, and calls child moderately. At the second
// line of stdin root is called as often as the machine can elsewhere, at the third the load ends.
package main

import (
	"sync/atomic"
	"time"

	"example.com/handshake"
)

var (
	roots  = handshake.Count("main.root")
	childs = handshake.Count("main.child")
	// stage is 1 while root is loud; 2: the end.
	stage int32
)

const (
	// loud is how often root is called at once.
	loud  = 3_600
	pause = 30 * time.Millisecond
)

//go:noinline
func child(n int) int { return n*31 + 7 }

//go:noinline
func root(held bool, n int) int {
	for held && atomic.LoadInt32(&stage) < 2 {
		childs.In()
		n = child(n)
		childs.Out()
		time.Sleep(pause / 3)
	}
	return n + 1
}

func call(held bool, n int) int {
	roots.In()
	n = root(held, n)
	roots.Out()
	return n
}

func main() {
	handshake.Ready()
	go call(true, 0)
	handshake.Wait()
	atomic.StoreInt32(&stage, 1)
	go func() {
		for atomic.LoadInt32(&stage) < 2 {
			for i := 0; i < loud; i++ {
				call(false, i)
			}
			time.Sleep(pause)
		}
	}()
	handshake.Wait()
	atomic.StoreInt32(&stage, 2)
	handshake.Settle(0)
	handshake.Done()
}
