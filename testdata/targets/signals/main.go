// signals: calls interrupted by signals: asynchronous preemption of loops without calls,
// cooperative preemption at the stack check, signals that the program itself asked for.
package main

import (
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/handshake"
)

var (
	root    = handshake.Count("main.main.func1")
	killer  = handshake.Count("main.main.func2")
	garbage = handshake.Count("main.main.func3")
	spins   = handshake.Count("main.spin")
	calls   = handshake.Count("main.caller")
	leafs   = handshake.Count("main.leaf")
	faults  = handshake.Count("main.fault")
	faultFn = handshake.Count("main.fault.func1")
	stop    int32
)

// spin has no call and no stack check in its loop: only a signal can preempt it.
//
//go:noinline
func spin(n int) int {
	x := 1
	for i := 0; i < n; i++ {
		x = x*31 + i
	}
	return x
}

//go:noinline
func leaf(n int) int { return n * 3 }

// caller is preempted at its own stack check and at those of what it calls.
//
//go:noinline
func caller(n int) int {
	r := 0
	for i := 0; i < n; i++ {
		leafs.In()
		r += leaf(i)
		leafs.Out()
	}
	return r
}

// fault is interrupted by SIGSEGV, which becomes a panic.
//
//go:noinline
func fault(p *[1 << 12]int, i int) (r int) {
	defer func() {
		faultFn.In()
		_ = recover()
		faultFn.Out()
	}()
	return p[i&4095]
}

func main() {
	runtime.GOMAXPROCS(2)
	received := make(chan os.Signal, 16)
	signal.Notify(received, syscall.SIGUSR1)
	handshake.Ready()
	for g := 0; g < 4; g++ {
		handshake.Go(root, func() {
			for i := 0; i < 60; i++ {
				spins.In()
				spin(1_000_000)
				spins.Out()
				calls.In()
				caller(100)
				calls.Out()
				faults.In()
				fault(nil, i)
				faults.Out()
			}
			atomic.AddInt32(&stop, 1)
		})
	}
	handshake.Go(killer, func() {
		for atomic.LoadInt32(&stop) < 4 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGUSR1)
			time.Sleep(200 * time.Microsecond)
		}
	})
	handshake.Go(garbage, func() {
		for atomic.LoadInt32(&stop) < 4 {
			runtime.GC()
		}
	})
	handshake.Settle(signalLoop)
	handshake.Done()
}

// signalLoop is the goroutine of package os/signal.
const signalLoop = 1
