// cgo: C calls Go: on the goroutine's own thread, on threads that C made, nested, and left by a
// panic that unwinds the C frames too.
package main

/*
#include <stdint.h>
int64_t callThroughC(int64_t a);
int64_t callOnNewThread(int64_t a);
*/
import "C"

import "example.com/handshake"

var (
	root      = handshake.Count("main.main.func1")
	callbacks = handshake.Count("main.goCallback")
	works     = handshake.Count("main.work")
	throughs  = handshake.Count("main.through")
	threads   = handshake.Count("main.onNewThread")
	ignores   = handshake.Count("main.ignore")
)

// goCallback counts itself: C calls it.
//
//export goCallback
func goCallback(a C.int64_t) C.int64_t {
	callbacks.In()
	works.In()
	r := work(a)
	works.Out()
	callbacks.Out()
	return r
}

// work panics for a multiple of 5 and calls through C again for one of 3.
//
//go:noinline
func work(a C.int64_t) C.int64_t {
	if a%5 == 0 {
		panic("five")
	}
	if a%3 == 0 {
		return C.callThroughC(a + 1)
	}
	return a*2 + 1
}

//go:noinline
func ignore() {
	ignores.In()
	_ = recover()
	ignores.Out()
}

//go:noinline
func through(a int) int {
	defer ignore()
	return int(C.callThroughC(C.int64_t(a)))
}

//go:noinline
func onNewThread(a int) int { return int(C.callOnNewThread(C.int64_t(a))) }

func main() {
	handshake.Uncounted("main._Cfunc_callThroughC")
	handshake.Uncounted("main._Cfunc_callOnNewThread")
	handshake.Uncounted("main.work.func1")
	handshake.Ready()
	for g := 0; g < 4; g++ {
		handshake.Go(root, func() {
			for i := 0; i < 60; i++ {
				throughs.In()
				through(i)
				throughs.Out()
				threads.In()
				onNewThread(i*15 + 1)
				threads.Out()
			}
		})
	}
	handshake.Settle(0)
	handshake.Done()
}
