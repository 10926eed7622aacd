// exchange: a function that begins with `xchg rax, r8`. Its opcode is NOP's, for which Linux takes
// it when it carries a uprobe: left out, the program runs on with wrong registers. The runtime of Go
// up to 1.20 has such a function, the write barrier for R8.
package main

import "example.com/handshake"

// check calls exchange with 1 and 2 in RAX and R8, and returns ten times RAX and R8 then.
func check() int

var (
	root      = handshake.Count("main.main.func1")
	checks    = handshake.Count("main.check")
	exchanges = handshake.Count("main.exchange")
)

func main() {
	handshake.Ready()
	handshake.Go(root, func() {
		for i := 0; i < 1000; i++ {
			checks.In()
			exchanges.In()
			got := check()
			exchanges.Out()
			checks.Out()
			if got != 21 {
				panic(got)
			}
		}
	})
	handshake.Settle(0)
	handshake.Done()
}
