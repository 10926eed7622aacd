// extra: what plugged loads.
package main

import "strings"

//go:noinline
func step(n int) string { return strings.Repeat("y", n) }

// fail is abandoned for each third n.
//
//go:noinline
func fail(n int) int {
	if n%3 == 0 {
		panic("a third")
	}
	return n
}

//go:noinline
func save(note func(string, bool)) {
	note("save", true)
	_ = recover()
	note("save", false)
}

// Serve recovers from fail's panic; note is told of each call.
//
//go:noinline
func Serve(n int, note func(string, bool)) {
	defer save(note)
	note("step", true)
	step(n & 7)
	note("step", false)
	note("fail", true)
	fail(n)
	note("fail", false)
}

func main() {}
