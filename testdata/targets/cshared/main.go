// cshared: Go as a shared library in a C host (host/host.c): no main program of its own, g through TLS.
package main

import "C"
import "fmt"

//export GoFib
func GoFib(n C.int) C.int { return C.int(fib(int(n))) }

//go:noinline
func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

//export GoHello
func GoHello() { fmt.Println("hello from go") }

func main() {}
