// threads: calls that move from thread to thread while they are open, goroutines locked to their
// thread, calls that block in the kernel, threads that die with their goroutine.
//
// Argument: GOMAXPROCS (4).
package main

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"example.com/handshake"
)

var (
	root   = handshake.Count("main.main.func1")
	moves  = handshake.Count("main.move")
	waits  = handshake.Count("main.wait")
	sends  = handshake.Count("main.wait.func1")
	blocks = handshake.Count("main.block")
	locks  = handshake.Count("main.locked")
	lasts  = handshake.Count("main.lastOfThread")
	steps  = handshake.Count("main.step")
	mutex  sync.Mutex
)

//go:noinline
func step(n int) int { return n + 1 }

// move gives its thread up in the middle of a call.
//
//go:noinline
func move(n int) {
	for i := 0; i < n; i++ {
		steps.In()
		step(i)
		steps.Out()
		runtime.Gosched()
	}
}

// wait waits for a channel, a mutex and the clock.
//
//go:noinline
func wait(c chan int) {
	handshake.Go(sends, func() { c <- 1 })
	<-c
	mutex.Lock()
	runtime.Gosched()
	mutex.Unlock()
	time.Sleep(50 * time.Microsecond)
}

// block blocks its thread in the kernel.
//
//go:noinline
func block() {
	t := syscall.NsecToTimespec(100_000)
	_ = syscall.Nanosleep(&t, nil)
}

//go:noinline
func locked(n int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	moves.In()
	move(n)
	moves.Out()
	blocks.In()
	block()
	blocks.Out()
}

// lastOfThread ends its goroutine locked, so that the runtime ends the thread.
//
//go:noinline
func lastOfThread() {
	runtime.LockOSThread()
	moves.In()
	move(2)
	moves.Out()
}

func main() {
	procs := 4
	if len(os.Args) > 1 {
		procs, _ = strconv.Atoi(os.Args[1])
	}
	runtime.GOMAXPROCS(procs)
	handshake.Ready()
	for g := 0; g < 16; g++ {
		n := g
		handshake.Go(root, func() {
			c := make(chan int)
			for i := 0; i < 20; i++ {
				moves.In()
				move(10)
				moves.Out()
				waits.In()
				wait(c)
				waits.Out()
				blocks.In()
				block()
				blocks.Out()
				locks.In()
				locked(3)
				locks.Out()
			}
			if n%2 == 0 {
				lasts.In()
				lastOfThread()
				lasts.Out()
			}
		})
	}
	handshake.Settle(0)
	handshake.Done()
}
