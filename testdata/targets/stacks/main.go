// stacks: functions called in all the ways that make a stack hard to walk. Tells the stack of each call
// as the runtime has it: at its return, or where it waited longest.
package main

import (
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"example.com/handshake"
)

// frame is a function of a stack.
type frame struct {
	Function string `json:"function"`
	File     string `json:"file"`
	Line     int    `json:"line"`
}

// told tells the stack of the function that calls it, which returns on the same line.
//
//go:noinline
func told(function string) int {
	tell(function, 3, true)
	return 1
}

// toldOfNext tells the stack of a function that is called on the same line.
//
//go:noinline
func toldOfNext(function string) int {
	tell(function, 3, false)
	return 1
}

func tell(function string, skip int, own bool) {
	pcs := make([]uintptr, 300)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(skip, pcs)])
	all := []frame{}
	for {
		next, more := frames.Next()
		if next.Function != "runtime.goexit" {
			all = append(all, frame{next.Function, next.File, next.Line})
		}
		if !more {
			break
		}
	}
	handshake.Say(map[string]any{"type": "stack", "function": function, "own": own, "frames": all})
}

//go:noinline
func leaf() int { return told("main.leaf") }

// bare has no frame.
//
//go:noinline
func bare(n int) int { return n*n + 1 }

//go:noinline
func callsBare(n int) int { return toldOfNext("main.bare") + bare(n) }

// short and shorter are inlined.
func short() int { return shorter() + 1 }

func shorter() int { return inInlined() + 1 }

//go:noinline
func inInlined() int { return told("main.inInlined") }

type ways interface{ method() int }

type small struct{ n int }

//go:noinline
func (s small) method() int { return told("main.small.method") }

//go:noinline
func dynamic(w ways) int { return w.method() + 1 }

//go:noinline
func down(n int, f func() int) int {
	var room [40]byte
	room[n%40] = 1
	if n == 0 {
		return f() + int(room[1])
	}
	return down(n-1, f) + int(room[2])
}

//go:noinline
func deep() int { return told("main.deep") }

//go:noinline
func deepest() int { return told("main.deepest") }

//go:noinline
func large(n int) int {
	var room [9000]byte
	room[n] = 1
	if n == 0 {
		return 1
	}
	return large(n-1) + int(room[n-1])
}

// grows has its stack moved while it is open.
//
//go:noinline
func grows() int { return large(200) + told("main.grows") }

//go:noinline
func deferred() int { return told("main.deferred") }

//go:noinline
func defers() {
	defer deferred()
	leaves++
}

var leaves int

//go:noinline
func inPanic() int { return told("main.inPanic") }

//go:noinline
func recovers() {
	defer func() { recover() }()
	panics()
}

//go:noinline
func panics() {
	defer inPanic()
	panic("as planned")
}

//go:noinline
func afterRecovery() int { return told("main.afterRecovery") }

// recoversFirst goes on with what it deferred first, when it has recovered.
//
//go:noinline
func recoversFirst() {
	defer afterRecovery()
	defer func() { recover() }()
	panics2()
}

//go:noinline
func panics2() { panic("as planned") }

//go:noinline
func first(done *sync.WaitGroup) int { defer done.Done(); return told("main.first") }

//go:noinline
func viaAssembly() int { return told("main.viaAssembly") }

//go:noinline
func viaForger() int { return told("main.viaForger") }

var values = make(chan int)

// receives waits twice, the second time longer.
//
//go:noinline
func receives() int {
	time.Sleep(time.Millisecond)
	return receiving()
}

func receiving() int { return <-values }

var lock sync.Mutex

//go:noinline
func locks() { lock.Lock(); lock.Unlock() }

var pipe [2]int

// reads waits in a system call.
//
//go:noinline
func reads() {
	var buffer [1]byte
	if _, err := syscall.Read(pipe[0], buffer[:]); err != nil {
		panic(err)
	}
}

//go:noinline
func selects() {
	select {
	case <-values:
	case values <- 1:
	}
}

// waits tells where f waits for one of the reasons, and lets it go on when it has waited there for much
// longer than anywhere before.
func waits(function string, reasons []string, f, free func()) {
	var done sync.WaitGroup
	done.Add(1)
	began := time.Now()
	go func() {
		f()
		done.Done()
	}()
	text := make([]byte, 1<<20)
	for found := false; !found; {
		time.Sleep(40 * time.Millisecond)
		all := string(text[:runtime.Stack(text, true)])
		for _, block := range strings.Split(all, "\n\n") {
			head := strings.SplitN(block, "\n", 2)[0]
			for _, reason := range reasons {
				if strings.Contains(head, "["+reason) && strings.Contains(block, function+"(") {
					handshake.Say(map[string]any{"type": "waited", "function": function, "text": block})
					found = true
				}
			}
		}
	}
	time.Sleep(2 * time.Since(began))
	free()
	done.Wait()
}

func main() {
	if err := syscall.Pipe(pipe[:]); err != nil {
		panic(err)
	}
	handshake.Ready()
	leaf()
	callsBare(3)
	short()
	dynamic(small{1})
	dynamic(&small{2})
	down(20, deep)
	down(100, deepest)
	grows()
	defers()
	recovers()
	recoversFirst()
	var done sync.WaitGroup
	done.Add(1)
	go first(&done)
	done.Wait()
	through(viaAssembly)
	forger(viaForger)
	waits("main.receives", []string{"chan receive"}, func() { receives() }, func() { values <- 1 })
	lock.Lock()
	// The latter since Go 1.20.
	waits("main.locks", []string{"semacquire", "sync.Mutex.Lock"}, locks, lock.Unlock)
	waits("main.reads", []string{"syscall"}, reads, func() { syscall.Write(pipe[1], []byte{1}) })
	waits("main.selects", []string{"select"}, selects, func() { values <- 1 })
	handshake.Done()
}
