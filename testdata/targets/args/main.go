// args: where arguments and results are: registers, stack, unused, escaping, split aggregates.
package main

import (
	"errors"
	"fmt"
	"os"
)

type P struct{ X, Y int32 }
type Big struct{ A [6]int }

//go:noinline
func ints(a int, b uint8, c int64, d float64) int { return a + int(b) + int(c) + int(d) }

//go:noinline
func strs(s string, b []byte, e error) (int, error) {
	if e != nil {
		return 0, e
	}
	return len(s) + cap(b), nil
}

//go:noinline
func structs(p P, q *P, big Big) (r P, ok bool) { return P{p.X + q.X, int32(big.A[1])}, true }

//go:noinline
func many(a, b, c, d, e, f, g, h, i, j, k int) int { return a + b + c + d + e + f + g + h + i + j + k }

//go:noinline
func unused(a int, _ string, c int) int { return 7 }

//go:noinline
func escapes(v P) *P { return &v }

//go:noinline
func named(n int) (res int, err error) {
	defer func() { res++ }()
	if n > 3 {
		return n, errors.New("x")
	}
	return n * 2, nil
}

//go:noinline
func (p *P) Meth(s string) string { return s + fmt.Sprint(p.X) }

//go:noinline
func Gen[T any](v T, n int) []T { return append([]T(nil), v) }

func main() {
	n := len(os.Args)
	fmt.Println(ints(n, 2, 3, 4.5))
	fmt.Println(strs("hello", make([]byte, 3, 9), nil))
	fmt.Println(structs(P{1, 2}, &P{3, 4}, Big{}))
	fmt.Println(many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, n), unused(n, "u", 3), escapes(P{1, 2}).X)
	fmt.Println(named(n))
	fmt.Println((&P{1, 2}).Meth("m"), Gen(n, 1), Gen("g", 2))
}
