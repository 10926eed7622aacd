// panics: every way in which frames are abandoned: panic and recover at each depth, by open-coded,
// stack-allocated and heap-allocated defers, a nil dereference, panics in deferred functions,
// nested recovers, repanics, and the next call at the very place of an abandoned one.
package main

import (
	"errors"

	"example.com/handshake"
)

var (
	root         = handshake.Count("main.main.func1")
	loads        = handshake.Count("main.load")
	leafs        = handshake.Count("main.leaf")
	mids         = handshake.Count("main.mid")
	deeps        = handshake.Count("main.deep")
	openCodeds   = handshake.Count("main.recoverOpenCoded")
	openCodedFn  = handshake.Count("main.recoverOpenCoded.func1")
	heaps        = handshake.Count("main.recoverHeap")
	heapFn       = handshake.Count("main.recoverHeap.func1")
	repanics     = handshake.Count("main.repanic")
	repanicsFn   = handshake.Count("main.repanic.func1")
	passers      = handshake.Count("main.passThrough")
	passersFn    = handshake.Count("main.passThrough.func1")
	inDefers     = handshake.Count("main.panicInDefer")
	inDeferFn    = handshake.Count("main.panicInDefer.func1")
	nesteds      = handshake.Count("main.nestedRecover")
	nestedFn     = handshake.Count("main.nestedRecover.func1")
	outers       = handshake.Count("main.recoverDeferred")
	deferred     = handshake.Count("main.deferredRecover")
	cleanups     = handshake.Count("main.cleanup")
	errAbandoned = errors.New("abandoned")
)

// leaf panics by itself for 1, by a signal for 0, and else returns.
//
//go:noinline
func leaf(n int) int {
	switch n {
	case 0:
		var p *int
		return *p
	case 1:
		panic(errAbandoned)
	}
	return n
}

//go:noinline
func mid(n int) int {
	leafs.In()
	r := leaf(n)
	leafs.Out()
	return r + 1
}

// deep puts depth frames between the panic and whoever recovers it.
//
//go:noinline
func deep(depth, n int) (r int) {
	if depth == 0 {
		mids.In()
		r = mid(n)
		mids.Out()
		return r
	}
	deeps.In()
	r = deep(depth-1, n)
	deeps.Out()
	return r + 1
}

// recoverOpenCoded's one defer is compiled into its exit.
//
//go:noinline
func recoverOpenCoded(depth, n int) (r int) {
	defer func() {
		openCodedFn.In()
		if recover() != nil {
			r = -1
		}
		openCodedFn.Out()
	}()
	deeps.In()
	r = deep(depth, n)
	deeps.Out()
	return r
}

// recoverHeap's defer stands in a loop and is allocated on the heap.
//
//go:noinline
func recoverHeap(depth, n int) (r int) {
	for i := 0; i < 2; i++ {
		defer func() {
			heapFn.In()
			if recover() != nil {
				r = -2
			}
			heapFn.Out()
		}()
	}
	deeps.In()
	r = deep(depth, n)
	deeps.Out()
	return r
}

// repanic recovers and panics again: neither it nor its deferred function returns.
//
//go:noinline
func repanic(n int) (r int) {
	defer func() {
		repanicsFn.In()
		if e := recover(); e != nil {
			panic(e)
		}
		repanicsFn.Out()
	}()
	mids.In()
	r = mid(n)
	mids.Out()
	return r
}

// passThrough runs a deferred call, which makes traced calls, while a panic passes through it.
//
//go:noinline
func passThrough(n int) (r int) {
	defer func() {
		passersFn.In()
		mids.In()
		r += mid(7)
		mids.Out()
		passersFn.Out()
	}()
	mids.In()
	r = mid(n)
	mids.Out()
	return r
}

// panicInDefer replaces the first panic by a second one.
//
//go:noinline
func panicInDefer(n int) (r int) {
	defer func() {
		inDeferFn.In()
		mids.In()
		r = mid(1)
		mids.Out()
		inDeferFn.Out()
	}()
	mids.In()
	r = mid(n)
	mids.Out()
	return r
}

// nestedRecover's deferred function itself calls something that panics and is recovered, before
// it recovers the panic that it runs for.
//
//go:noinline
func nestedRecover(n int) (r int) {
	defer func() {
		nestedFn.In()
		openCodeds.In()
		recoverOpenCoded(2, 1)
		openCodeds.Out()
		if recover() != nil {
			r = -3
		}
		nestedFn.Out()
	}()
	mids.In()
	r = mid(n)
	mids.Out()
	return r
}

// recoverDeferred defers functions by name: one that recovers, and one that just runs.
//
//go:noinline
func recoverDeferred(what func(int) int, count *handshake.Counter, n int) int {
	defer deferredRecover()
	defer cleanup()
	count.In()
	r := what(n)
	count.Out()
	return r
}

//go:noinline
func deferredRecover() {
	deferred.In()
	_ = recover()
	deferred.Out()
}

//go:noinline
func cleanup() {
	cleanups.In()
	mids.In()
	mid(5)
	mids.Out()
	cleanups.Out()
}

//go:noinline
func load() {
	for round := 0; round < 20; round++ {
		for n := 0; n < 3; n++ {
			for depth := 0; depth < 12; depth++ {
				openCodeds.In()
				recoverOpenCoded(depth, n)
				openCodeds.Out()
				heaps.In()
				recoverHeap(depth, n)
				heaps.Out()
			}
			nesteds.In()
			nestedRecover(n)
			nesteds.Out()
			for _, f := range []struct {
				what  func(int) int
				count *handshake.Counter
			}{{repanic, repanics}, {passThrough, passers}, {panicInDefer, inDefers}, {mid, mids}, {leaf, leafs}} {
				outers.In()
				recoverDeferred(f.what, f.count, n)
				outers.Out()
			}
		}
	}
}

func main() {
	handshake.Ready()
	for g := 0; g < 3; g++ {
		handshake.Go(root, func() {
			loads.In()
			load()
			loads.Out()
		})
	}
	handshake.Settle(0)
	handshake.Done()
}
