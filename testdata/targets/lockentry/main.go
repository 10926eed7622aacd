// lockentry: the first instruction carries a LOCK prefix, where an x86 kernel puts no uprobe: one
// that is armed before the file is mapped never fires, one armed on a running process is refused.
package main

import (
	"sync/atomic"

	"example.com/handshake"
)

//go:noinline
func orMask(p *uint32, m uint32) { atomic.OrUint32(p, m) }

// Its calls are seen from the next instruction on.
//
//go:noinline
func answered(p *uint32, m uint32) uint32 {
	atomic.OrUint32(p, m)
	return m + 1
}

//go:noinline
func normal(p *uint32) uint32 { return atomic.LoadUint32(p) }

var (
	root    = handshake.Count("main.main.func1")
	normals = handshake.Count("main.normal")
	answers = handshake.Count("main.answered")
	masks   = handshake.Count("main.orMask")
)

func main() {
	handshake.Ready()
	handshake.Go(root, func() {
		var x uint32
		for i := uint32(0); i < 1000; i++ {
			masks.In()
			orMask(&x, i)
			masks.Out()
			answers.In()
			answered(&x, i)
			answers.Out()
			normals.In()
			normal(&x)
			normals.Out()
		}
	})
	handshake.Settle(0)
	handshake.Done()
}
