// rangefunc: the body of a range over a function becomes a function of its own (user-range1), and
// a defer in it belongs to the frame of the function around it.
package main

import "os"

//go:noinline
func seq(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := 0; i < n; i++ {
			if !yield(i) {
				return
			}
		}
	}
}

//go:noinline
func user(n int) int {
	for i := range seq(n) { // body becomes main.user-range1; defer inside runs in user's frame
		defer func() { _ = recover() }()
		if i > 3 {
			return i
		}
	}
	return -1
}

func main() { println(user(len(os.Args) + 9)) }
