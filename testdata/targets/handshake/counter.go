package handshake

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Counter counts the calls of one function from outside: In stands just before a call and Out
// just after it, so that Out is reached exactly when the function has executed its return. The
// function itself stays as it is. A function that defers nothing and is called by the runtime
// (deferred, or a goroutine's first) may count itself: In first, Out last.
type Counter struct {
	name     string
	called   int64
	returned int64
}

var (
	counters     []*Counter
	countersLock sync.Mutex
)

// Truth is what a target knows about one of its functions.
type Truth struct {
	Type     string `json:"type"`
	Function string `json:"function"`
	Calls    int64  `json:"calls"`
	Unwound  int64  `json:"unwound"`
	InFlight int64  `json:"in_flight"`
}

// Count makes the counter of the function that stack traces call name.
func Count(name string) *Counter {
	c := &Counter{name: name}
	countersLock.Lock()
	defer countersLock.Unlock()
	counters = append(counters, c)
	return c
}

// In is called just before the function.
func (c *Counter) In() { atomic.AddInt64(&c.called, 1) }

// Out is called just after the function.
func (c *Counter) Out() { atomic.AddInt64(&c.returned, 1) }

// Called tells how often In was called.
func (c *Counter) Called() int64 { return atomic.LoadInt64(&c.called) }

// Go runs f, which c counts, in a goroutine.
func Go(c *Counter, f func()) {
	go func() {
		c.In()
		f()
		c.Out()
	}()
}

// SayTruth prints what is known about a function that no counter counts.
func SayTruth(function string, calls, unwound, inFlight int64) {
	Say(Truth{"truth", function, calls, unwound, inFlight})
}

// Uncounted names a function that is called and that the target can't count.
func Uncounted(function string) {
	Say(map[string]string{"type": "uncounted", "function": function})
}

func sayCounters() {
	open := openFrames()
	countersLock.Lock()
	defer countersLock.Unlock()
	for _, c := range counters {
		called, returned := atomic.LoadInt64(&c.called), atomic.LoadInt64(&c.returned)
		finished := called - open[c.name]
		SayTruth(c.name, finished, finished-returned, open[c.name])
	}
}

// openFrames counts the frames on all stacks by function, as the runtime's own traceback tells
// them (which shows at most 100 frames of a goroutine).
func openFrames() map[string]int64 {
	text := make([]byte, 1<<20)
	for unavailable := true; unavailable; {
		n := runtime.Stack(text, true)
		switch {
		case n == len(text):
			text = make([]byte, 2*len(text))
			continue
		case strings.Contains(string(text[:n]), "stack unavailable"):
			// A goroutine is still on its way to where it parks.
			time.Sleep(time.Millisecond)
			continue
		}
		text, unavailable = text[:n], false
	}
	open := map[string]int64{}
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "created by ") {
			continue
		}
		if paren := strings.LastIndexByte(line, '('); paren > 0 {
			open[line[:paren]]++
		}
	}
	return open
}
