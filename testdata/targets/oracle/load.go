package main

import (
	"syscall"
	"time"
)

const (
	us = time.Microsecond
	ms = time.Millisecond
)

type request struct {
	reply chan int
	after time.Duration
}

type counter struct{ sum int64 }

// add lasts next to nothing.
//
//go:noinline
func (c *counter) add(n int) { c.sum += int64(n) }

// mostly is usual, and for one call in fifty rare: both the median and the 99th percentile fall in
// the middle of equal durations.
//
//go:noinline
func mostly(usual, rare time.Duration, i int) time.Duration {
	if i%50 == 7 {
		return rare
	}
	return usual
}

// spin computes.
//
//go:noinline
func spin(d time.Duration) {
	for t := time.Now(); time.Since(t) < d; {
	}
}

// descend spins at the bottom of a recursion.
//
//go:noinline
func descend(n int, d time.Duration) int {
	if n == 0 {
		spin(d)
		return 0
	}
	return descend(n-1, d) + 1
}

// block blocks its thread.
//
//go:noinline
func block(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&t, nil)
}

// nap parks its goroutine.
//
//go:noinline
func nap(d time.Duration) { time.Sleep(d) }

// serve answers after a while.
//
//go:noinline
func serve(r request) {
	block(r.after)
	r.reply <- 1
}

// ask waits for another goroutine.
//
//go:noinline
func ask(requests chan request, after time.Duration) int {
	reply := make(chan int)
	requests <- request{reply, after}
	return <-reply
}
