// frames: one function for each form of prologue, and the shapes of exits.
package main

import "os"

var sink [70000]byte
var isink int

//go:noinline
func leafFrameless(a, b int) int { return a*b + 1 } // no frame, no stack check

//go:noinline
func leafSmall(a int) int { // leaf with frame <= StackSmall: NOSPLIT auto, no stack check
	var b [40]byte
	b[a&31] = byte(a)
	return int(b[(a+1)&31])
}

//go:nosplit
//go:noinline
func nosplitCaller(a int) int { return leafFrameless(a, 2) + 1 }

//go:noinline
func small(a int) int { return leafFrameless(a, 3) + 1 } // CMP SP,16(R14)

//go:noinline
func big(a int) int { // StackSmall(128) < frame < StackBig(4096): LEA -n(SP),R12
	var b [1024]byte
	b[a&1023] = 1
	use(b[:])
	return int(b[5])
}

//go:noinline
func huge(a int) int { // frame >= StackBig: MOV SP,R12; SUB $n,R12; JB
	var b [65536]byte
	b[a&65535] = 1
	use(b[:])
	return int(b[5])
}

//go:noinline
func use(p []byte) { sink[0] += p[0]; isink++ }

type T struct{ x [20]int }

//go:noinline
func byStack(t T, a, b, c, d, e, f, g, h, i, j, k int) int { // stack args
	return leafFrameless(t.x[3], a+b+c+d+e+f+g+h+i+j+k)
}

//go:noinline
func loopAtEntry(n int) int { // leaf whose loop head may be the first instruction
	for n > 1 {
		n >>= 1
	}
	return n
}

//go:noinline
func spin(p *int) { // loop back to (near) function entry, no frame
	for *p > 0 {
		*p--
	}
}

//go:noinline
func multiRet(a int) int {
	switch {
	case a == 1:
		return leafFrameless(a, 1)
	case a == 2:
		return leafFrameless(a, 5) * 7
	case a > 100:
		return leafFrameless(a, 9) - 3
	}
	for i := 0; i < a; i++ {
		if leafFrameless(i, i) == a {
			return i
		}
	}
	return -1
}

//go:noinline
func never() { panic("x") }

//go:noinline
func forever(c chan int) {
	for {
		isink += <-c
	}
}

func main() {
	a := len(os.Args)
	n := a
	spin(&n)
	isink += leafSmall(a) + nosplitCaller(a) + small(a) + big(a) + huge(a) + byStack(T{}, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, a) + loopAtEntry(a) + multiRet(a)
	if a > 5 {
		never()
	}
	if a > 6 {
		forever(nil)
	}
	println(isink)
}
