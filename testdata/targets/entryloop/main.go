// entryloop: frameless leaf functions whose loops jump back to the first instruction: a probe
// there is hit once for each turn, not once for each call.
package main

import "example.com/handshake"

type node struct{ next *node }

//go:noinline
func loopA(p *int) {
	for {
		*p++
		if *p > 1000 {
			return
		}
	}
}

//go:noinline
func loopB(p *[8]int, n int) int {
again:
	p[n&7]++
	if p[n&7] < 500 {
		goto again
	}
	return p[n&7]
}

//go:noinline
func loopC(p **node) {
	for *p != nil {
		p = &(*p).next
	}
}

//go:noinline
func loopD(n uint) uint {
	for {
		n = n*3 + 1
		if n&1023 == 836 {
			return n
		}
	}
}

var (
	a    = handshake.Count("main.loopA")
	b    = handshake.Count("main.loopB")
	c    = handshake.Count("main.loopC")
	d    = handshake.Count("main.loopD")
	root = handshake.Count("main.main.func1")
)

func main() {
	handshake.Ready()
	for g := 0; g < 3; g++ {
		handshake.Go(root, func() {
			for i := 0; i < 50; i++ {
				x := 0
				a.In()
				loopA(&x)
				a.Out()
				var y [8]int
				b.In()
				loopB(&y, i)
				b.Out()
				n := &node{&node{&node{}}}
				c.In()
				loopC(&n)
				c.Out()
				// The 251st turn from 5 ends it.
				d.In()
				loopD(5)
				d.Out()
			}
		})
	}
	handshake.Settle(0)
	handshake.Done()
}
