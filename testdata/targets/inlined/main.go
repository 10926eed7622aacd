// inlined: functions whose code the compiler copies into their callers, wholly or in part.
package main

import "os"

// tiny has no code of its own; it is in one, two and main.(*Box).Get, through which it is in three.
func tiny(n int) int { return n*3 + len(os.Args) }

// nested is in two only, and brings tiny with it.
func nested(n int) int { return tiny(n) + 1 }

// partly is in three, and has a body too: its value is taken.
func partly(n int) int { return n ^ len(os.Args) }

// Box has a method that is inlined.
type Box struct{ n int }

// Get is in three.
func (b *Box) Get() int { return tiny(b.n) }

// pick is generic, and in one.
func pick[T any](a, b T) T {
	if len(os.Args) > 1 {
		return a
	}
	return b
}

//go:noinline
func one(n int) int { return tiny(n) + pick(n, 2) }

//go:noinline
func two(n int) int { return nested(n) }

//go:noinline
func three(b *Box) int { return b.Get() + partly(b.n) }

//go:noinline
func apply(f func(int) int, n int) int { return f(n) }

func main() {
	println(one(1), two(2), three(&Box{3}), apply(partly, 4))
}
