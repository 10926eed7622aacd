// calls: times calls of a small function for the benchmark: reads a number of calls from each line
// of stdin, makes them and prints how many nanoseconds they took.
package main

import (
	"bufio"
	"fmt"
	"os"
	"time"
)

var sink int

//go:noinline
func leaf(n int) int { return n + 1 }

// work has a frame, so it begins with a stack check, like most Go functions.
//
//go:noinline
func work(n int) int { return leaf(n) * 3 }

// parent is what 1,000 traced calls inside a call do to its own duration.
//
//go:noinline
func parent() {
	for i := 0; i < 1000; i++ {
		sink += spin(20000)
	}
}

// spin is a callee of some microseconds.
//
//go:noinline
func spin(n int) int {
	x := leaf(n)
	for i := 0; i < n; i++ {
		x = x*31 + i
	}
	return x
}

func main() {
	fmt.Println("ready", os.Getpid())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var what string
		var n int
		if _, err := fmt.Sscan(lines.Text(), &what, &n); err != nil {
			fmt.Fprintln(os.Stderr, "calls: not a line of mine:", lines.Text())
			os.Exit(2)
		}
		start := time.Now()
		for i := 0; i < n; i++ {
			if what == "parent" {
				parent()
			} else {
				sink += work(i)
			}
		}
		fmt.Println(time.Since(start).Nanoseconds())
	}
}
