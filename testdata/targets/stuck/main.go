// stuck: goroutines that hang for different reasons, some through inlined functions. Tells its own
// stacks as the runtime traces them.
package main

import (
	"net"
	"runtime"
	"strings"
	"sync"
	"time"

	"example.com/handshake"
)

var (
	lock   sync.Mutex
	values = make(chan int)
	other  = make(chan string)
	group  sync.WaitGroup
)

//go:noinline
func locker() {
	take()
	lock.Unlock()
}

// take is inlined.
func take() { lock.Lock() }

//go:noinline
func receiver(depth int) int {
	if depth > 0 {
		return receiver(depth-1) + 1
	}
	return <-values
}

//go:noinline
func selecter() {
	func() {
		select {
		case <-values:
		case <-other:
		}
	}()
}

//go:noinline
func sleeper() { time.Sleep(time.Hour) }

//go:noinline
func waiter() { group.Wait() }

//go:noinline
func acceptor(listener net.Listener) {
	if _, err := listener.Accept(); err != nil {
		panic(err)
	}
}

//go:noinline
func large() int {
	var room [20000]byte
	room[len(other)] = 1
	<-values
	return int(room[len(values)])
}

func main() {
	handshake.Ready()
	lock.Lock()
	group.Add(1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	for i := 0; i < 3; i++ {
		go locker()
	}
	go receiver(50)
	go selecter()
	go sleeper()
	go waiter()
	go acceptor(listener)
	go large()
	text := make([]byte, 1<<20)
	for waiting := 0; waiting < 9; {
		time.Sleep(10 * time.Millisecond)
		text = text[:cap(text)]
		text = text[:runtime.Stack(text, true)]
		waiting = 0
		for _, reason := range []string{"[semacquire", "[sync.", "[chan receive", "[select", "[sleep", "[IO wait"} {
			waiting += strings.Count(string(text), reason)
		}
	}
	handshake.Say(map[string]any{"type": "stacks", "text": string(text)})
	handshake.Done()
}
