// links: calls that start goroutines and wait for them. Tells the goroutine of each such call, by
// the runtime's own traceback.
package main

import (
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.com/handshake"
)

const rounds = 50

var (
	parents  = handshake.Count("main.parent")
	children = handshake.Count("main.child")
	inner    = handshake.Count("main.nested")
	lock     sync.Mutex
	// goids are those that a round's calls of parent ran on.
	goids []uint64
)

func goid() uint64 {
	text := make([]byte, 64)
	text = text[:runtime.Stack(text, false)]
	id, _ := strconv.ParseUint(strings.Fields(string(text))[1], 10, 64)
	return id
}

//go:noinline
func work() { handshake.Spin(50 * time.Microsecond) }

//go:noinline
func child() {
	work()
	inner.In()
	nested()
	inner.Out()
}

//go:noinline
func nested() { work() }

//go:noinline
func parent() {
	lock.Lock()
	goids = append(goids, goid())
	lock.Unlock()
	var group sync.WaitGroup
	for i := 0; i < 2; i++ {
		group.Add(1)
		go func() {
			children.In()
			child()
			children.Out()
			group.Done()
		}()
	}
	group.Wait()
}

func main() {
	handshake.Ready()
	for i := 0; i < rounds; i++ {
		done := make(chan bool)
		go func() {
			parents.In()
			parent()
			parents.Out()
			done <- true
		}()
		<-done
	}
	handshake.Settle(0)
	handshake.Say(map[string]any{"type": "goids", "goids": goids})
	handshake.Done()
}
