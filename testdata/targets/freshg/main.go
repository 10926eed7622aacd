// freshg: a function with an 8 KB frame, called once in each new goroutine, starts again from its
// first byte on nearly every call: a probe there doubles the count.
package main

import (
	"sync"

	"example.com/handshake"
)

var (
	root   = handshake.Count("main.main.func1")
	worked = handshake.Count("main.work")
	used   = handshake.Count("main.use")
	sink   byte
	lock   sync.Mutex
)

//go:noinline
func work(n int) byte {
	var b [8000]byte
	b[n&4095] = 1
	used.In()
	use(b[:])
	used.Out()
	return b[7]
}

//go:noinline
func use(p []byte) {
	lock.Lock()
	sink += p[3]
	lock.Unlock()
}

func main() {
	handshake.Ready()
	for i := 0; i < 500; i++ {
		n := i
		for k := 0; k < 4; k++ {
			handshake.Go(root, func() {
				worked.In()
				work(n)
				worked.Out()
			})
		}
		handshake.Settle(0)
	}
	handshake.Done()
}
