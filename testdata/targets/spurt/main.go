// spurt: functions that are called moderately, until one after the other is called as often as the
// machine can: at each line of stdin the next of hot1 to hot5, and at the sixth line the load ends.
// Calls of the others go on around, inside and beside those of the hot ones; some panic through them.
package main

import (
	"sync/atomic"
	"time"

	"example.com/handshake"
)

var (
	root   = handshake.Count("main.main.func1")
	loads  = handshake.Count("main.load")
	outers = handshake.Count("main.outer")
	milds  = handshake.Count("main.mild")
	inners = handshake.Count("main.inner")
	fails  = handshake.Count("main.fail")
	hots   = [5]*handshake.Counter{
		handshake.Count("main.hot1"),
		handshake.Count("main.hot2"),
		handshake.Count("main.hot3"),
		handshake.Count("main.hot4"),
		handshake.Count("main.hot5"),
	}
	// stage is how many of the hot functions are loud; 6: the end.
	stage int32
)

const (
	// loud is how often a loud function is called where a moderate one is called once.
	loud = 1_200
	// pause is long: where a probe costs ten times what it does elsewhere, the moderate ones are moderate still.
	pause = 30 * time.Millisecond
)

//go:noinline
func mild(n int) int { return n*31 + 7 }

//go:noinline
func inner(n int) int { return mild2(n) + 1 }

//go:noinline
func mild2(n int) int {
	milds.In()
	r := mild(n)
	milds.Out()
	return r
}

// fail is abandoned for an odd n.
//
//go:noinline
func fail(n int) int {
	if n&1 == 1 {
		panic("odd")
	}
	return n
}

// within calls other functions from inside a hot one, now and then, and panics through it.
func within(n int) int {
	switch {
	case n%1499 == 0:
		inners.In()
		n += inner(n)
		inners.Out()
	case n%1511 == 0:
		fails.In()
		n += fail(n)
		fails.Out()
	}
	return n
}

//go:noinline
func hot1(n int) int { return within(n) + 1 }

//go:noinline
func hot2(n int) int { return within(n) + 2 }

//go:noinline
func hot3(n int) int { return within(n) + 3 }

//go:noinline
func hot4(n int) int { return within(n) + 4 }

//go:noinline
func hot5(n int) int { return within(n) + 5 }

var functions = [5]func(int) int{hot1, hot2, hot3, hot4, hot5}

// call calls a hot function and survives its panic.
//
//go:noinline
func call(which, n int) (r int) {
	defer func() { _ = recover() }()
	hots[which].In()
	r = functions[which](n)
	hots[which].Out()
	return r
}

//go:noinline
func outer(n int) int {
	r := mild2(n)
	for which := range functions {
		times := 1
		if int(atomic.LoadInt32(&stage)) > which {
			times = loud
		}
		for i := 0; i < times; i++ {
			r += call(which, n+i)
		}
	}
	return r
}

//go:noinline
func load() {
	for n := 0; atomic.LoadInt32(&stage) <= int32(len(functions)); n += 7 {
		outers.In()
		outer(n)
		outers.Out()
		time.Sleep(pause)
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
	for atomic.LoadInt32(&stage) <= int32(len(functions)) {
		handshake.Wait()
		atomic.AddInt32(&stage, 1)
	}
	handshake.Settle(0)
	handshake.Done()
}
