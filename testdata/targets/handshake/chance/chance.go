// Package chance decides at run time what a random program does next, and does what must not be
// measured itself: waiting, dying, parking, starting goroutines.
package chance

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"example.com/handshake"
)

// Ctx belongs to one goroutine: its dice, and its fuel, without which it makes no more calls.
type Ctx struct {
	state uint64
	fuel  int
}

const (
	fuelEach      = 60
	maxGoroutines = 150
	maxParked     = 12
)

var (
	started int64
	parked  int64
	shared  = uint64(88172645463325252)
	mutex   sync.Mutex
	asked   = make(chan chan int)
	answer  sync.Once
	errDie  = errors.New("die")
)

func next(state uint64) uint64 {
	state ^= state << 13
	state ^= state >> 7
	state ^= state << 17
	return state
}

func (c *Ctx) below(n uint64) uint64 {
	c.state = next(c.state)
	return c.state >> 11 % n
}

// Roll is true in so many cases of a hundred.
func (c *Ctx) Roll(percent uint64) bool { return c.below(100) < percent }

// Roll is the same for functions without a Ctx.
func Roll(percent uint64) bool {
	return next(atomic.AddUint64(&shared, 0x9e3779b97f4a7c15))>>11%100 < percent
}

// Some is a number from 0 to max.
func (c *Ctx) Some(max int) int { return int(c.below(uint64(max) + 1)) }

// Spend takes a unit of fuel, if any is left.
func (c *Ctx) Spend() bool {
	c.fuel--
	return c.fuel >= 0
}

// Rest waits in one of the ways in which goroutines wait.
func (c *Ctx) Rest() {
	switch c.below(12) {
	case 0, 1, 2:
		runtime.Gosched()
	case 3, 4:
		reply := make(chan int)
		asked <- reply
		<-reply
	case 5, 6:
		mutex.Lock()
		runtime.Gosched()
		mutex.Unlock()
	case 7:
		time.Sleep(20 * time.Microsecond)
	case 8:
		runtime.LockOSThread()
		runtime.Gosched()
		runtime.UnlockOSThread()
	case 9:
		if c.Roll(5) {
			runtime.GC()
		}
	}
}

// Die panics in one of the ways in which programs panic.
func (c *Ctx) Die() {
	switch c.below(5) {
	case 0:
		panic(errDie)
	case 1:
		var p *int
		*p = 1
	case 2:
		var s []int
		s[c.Some(3)] = 1
	case 3:
		var i any = "text"
		_ = i.(int)
	case 4:
		panic(runtime.Error(nil))
	}
}

// Park stays for ever, for some few goroutines.
func (c *Ctx) Park() {
	if atomic.AddInt64(&parked, 1) > maxParked {
		atomic.AddInt64(&parked, -1)
		return
	}
	select {}
}

// Go runs f, which counter counts, in a goroutine of its own, unless there have been too many.
func Go(counter *handshake.Counter, f func(*Ctx)) {
	answer.Do(func() {
		go func() {
			for reply := range asked {
				reply <- 1
			}
		}()
	})
	n := atomic.AddInt64(&started, 1)
	if n > maxGoroutines {
		return
	}
	c := &Ctx{uint64(n)*0x9e3779b97f4a7c15 | 1, fuelEach}
	go func() {
		defer func() { _ = recover() }()
		counter.In()
		f(c)
		counter.Out()
	}()
}

// Settle returns when all goroutines have ended or are parked.
func Settle() {
	const answering = 1
	for runtime.NumGoroutine() > 1+answering+int(atomic.LoadInt64(&parked)) {
		time.Sleep(time.Millisecond)
	}
}
