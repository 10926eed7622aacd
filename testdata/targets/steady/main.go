// steady: a load that goes on until it is told to stop, by the next line of stdin, and then ends
// as its argument says:
//
//	done   tells its truth and waits (the default)
//	exit   os.Exit with calls open
//	panic  dies of a panic with calls open
//	exec   replaces itself by another program, with calls open
//	again  replaces itself by its own file once more, with calls open
//	fork   runs itself as a child, which runs the same functions; then as done
//	child  what fork runs: 1000 calls
package main

import (
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/handshake"
)

var (
	root   = handshake.Count("main.main.func1")
	outers = handshake.Count("main.outer")
	works  = handshake.Count("main.work")
	fails  = handshake.Count("main.fail")
	ends   = handshake.Count("main.end")
	stop   int32
)

//go:noinline
func work(n int) int {
	x := n
	for i := 0; i < 200; i++ {
		x = x*31 + i
	}
	return x
}

// fail is abandoned for an odd n.
//
//go:noinline
func fail(n int) int {
	if n&1 == 1 {
		panic("odd")
	}
	return n
}

//go:noinline
func outer(n int) int {
	defer ignore()
	works.In()
	r := work(n)
	works.Out()
	fails.In()
	r += fail(n)
	fails.Out()
	return r
}

var ignores = handshake.Count("main.ignore")

//go:noinline
func ignore() {
	ignores.In()
	_ = recover()
	ignores.Out()
}

//go:noinline
func load(rounds int) {
	for i := 0; i < rounds && atomic.LoadInt32(&stop) == 0; i++ {
		outers.In()
		outer(i)
		outers.Out()
		if i&15 == 0 {
			time.Sleep(100 * time.Microsecond)
		}
	}
}

// end is open when the process ends.
//
//go:noinline
func end(how string) {
	handshake.Finished()
	switch how {
	case "exit":
		os.Exit(0)
	case "panic":
		panic("the end")
	case "again":
		err := syscall.Exec("/proc/self/exe", []string{"steady"}, os.Environ())
		fmt.Println(err)
	case "exec":
		err := syscall.Exec("/bin/sleep", []string{"sleep", "600"}, nil)
		fmt.Println(err)
	}
}

var loads = handshake.Count("main.load")

func main() {
	how := "done"
	if len(os.Args) > 1 {
		how = os.Args[1]
	}
	if how == "child" {
		load(1000)
		return
	}
	handshake.Ready()
	for g := 0; g < 2; g++ {
		handshake.Go(root, func() {
			loads.In()
			load(1 << 62)
			loads.Out()
		})
	}
	if how == "fork" {
		for i := 0; i < 3; i++ {
			if err := exec.Command("/proc/self/exe", "child").Run(); err != nil {
				panic(err)
			}
		}
	}
	// A lower bound for a target that is killed.
	time.Sleep(50 * time.Millisecond)
	handshake.Say(map[string]any{"type": "progress", "function": "main.work", "calls": works.Called() - 2})
	handshake.Wait()
	atomic.StoreInt32(&stop, 1)
	handshake.Settle(0)
	switch how {
	case "exit", "panic", "exec", "again":
		ends.In()
		end(how)
	}
	handshake.Done()
}
