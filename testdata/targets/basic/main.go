// basic: the ordinary forms of functions: generics, closures, method wrappers, init, inlined ones,
// defer and panic.
package main

import (
	"fmt"
	"os"
	"strings"
)

type Shape interface{ Area() float64 }
type Sq struct{ s float64 }

func (q Sq) Area() float64 { return q.s * q.s }

type Box struct{ Sq }

func (b *Box) Grow(f float64) { b.s *= f }

//go:noinline
func Map[T, U any](in []T, f func(T) U) []U {
	out := make([]U, 0, len(in))
	for _, v := range in {
		out = append(out, f(v))
	}
	return out
}

type List[T any] struct{ items []T }

//go:noinline
func (l *List[T]) Push(v T) { l.items = append(l.items, v) }

var inited int

func init() { inited++ }
func init() { inited += len(os.Args) }

func tiny(a, b int) int { return a + b } // inlined

//go:noinline
func closureMaker(n int) func(int) int {
	return func(x int) int { return x*n + len(os.Args) }
}

//go:noinline
func useShape(s Shape) float64 { return s.Area() }

//go:noinline
func recovers(p bool) (r int) {
	defer func() {
		if e := recover(); e != nil {
			r = 42
		}
	}()
	if p {
		panics(3)
	}
	return 7
}

//go:noinline
func panics(n int) int {
	if n == 0 {
		panic("boom")
	}
	return panics(n-1) + 1
}

func main() {
	fmt.Println(Map([]int{1, 2}, func(i int) string { return strings.Repeat("x", i) }))
	fmt.Println(Map([]string{"a"}, func(s string) int { return len(s) }))
	l := &List[int]{}
	l.Push(1)
	ls := &List[string]{}
	ls.Push("1")
	fmt.Println(tiny(len(os.Args), 2), closureMaker(3)(4), inited)
	b := &Box{Sq{2}}
	b.Grow(2)
	fmt.Println(useShape(b), useShape(b.Sq), recovers(true), recovers(false))
	f := b.Area
	fmt.Println(f())
}
