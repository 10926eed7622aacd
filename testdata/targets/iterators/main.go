// iterators: loop bodies that are functions of their own (range over a function), left early, by
// panic or by a defer that belongs to the function around them; and coroutines (iter.Pull), which
// switch goroutines without the scheduler.
package main

import (
	"iter"

	"example.com/handshake"
)

var (
	root    = handshake.Count("main.main.func1")
	makes   = handshake.Count("main.numbers")
	yields  = handshake.Count("main.numbers.func1")
	ranges  = handshake.Count("main.rangeOver")
	pulls   = handshake.Count("main.pull")
	works   = handshake.Count("main.work")
	ignores = handshake.Count("main.ignore")
)

//go:noinline
func work(n int) int {
	if n%11 == 10 {
		panic(n)
	}
	return n*3 + 1
}

//go:noinline
func ignore() {
	ignores.In()
	_ = recover()
	ignores.Out()
}

//go:noinline
func numbers(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; i < n; i++ {
			works.In()
			v := work(i)
			works.Out()
			if !yield(v) {
				return
			}
		}
	}
}

func sequence(n int) iter.Seq[int] {
	makes.In()
	s := numbers(n)
	makes.Out()
	return func(yield func(int) bool) {
		yields.In()
		s(yield)
		yields.Out()
	}
}

// rangeOver's loop body returns for some n, panics for others, and defers into this frame.
//
//go:noinline
func rangeOver(n int) (r int) {
	defer ignore()
	for v := range sequence(n) {
		if v == 13 && n%2 == 0 {
			return v
		}
		if v == 7 {
			defer ignore()
		}
		works.In()
		r += work(v % 13)
		works.Out()
	}
	return r
}

// pull runs the sequence as a coroutine, to its end or not, or to its panic.
//
//go:noinline
func pull(n int) (r int) {
	defer ignore()
	next, stop := iter.Pull(sequence(n))
	defer stop()
	for i := 0; i < 8; i++ {
		v, ok := next()
		if !ok {
			break
		}
		r += v
	}
	if n%3 == 0 {
		for {
			if _, ok := next(); !ok {
				break
			}
		}
	}
	return r
}

func main() {
	for _, name := range []string{
		"main.rangeOver-range1", "main.sequence", "main.sequence.func1", "main.pull.func1",
		"main.rangeOver.sequence.func1", "main.pull.sequence.func1", "main.rangeOver.sequence.func2",
		"main.rangeOver.sequence.func1-range1", "main.rangeOver.func1",
	} {
		handshake.Uncounted(name)
	}
	handshake.Ready()
	for g := 0; g < 3; g++ {
		handshake.Go(root, func() {
			for n := 0; n < 60; n++ {
				ranges.In()
				rangeOver(n % 17)
				ranges.Out()
				pulls.In()
				pull(n % 17)
				pulls.Out()
			}
		})
	}
	handshake.Settle(0)
	handshake.Done()
}
