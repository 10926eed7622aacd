// states: functions that are slow for known reasons in known amounts. Tells, for each, how long it
// was open by its own clock and how much of that was for its reason.
package main

import (
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"example.com/handshake"
)

const rounds = 5

// Long enough that what else the runtime does is little beside it.
const amount = 20 * time.Millisecond

// said is a function, how long its calls took together, and the part of it that its reason took.
type said struct {
	calls *handshake.Counter
	took  time.Duration
	part  time.Duration
	state string
	// reason is the runtime's name of what was waited for.
	reason string
}

var all = map[string]*said{}

// tell is a function that is slow by a reason in a state.
func tell(name, state, reason string) *said {
	s := &said{calls: handshake.Count("main." + name), state: state, reason: reason}
	all[name] = s
	return s
}

// woke is when the goroutine that waits was last woken; zero: nobody wakes it.
var woke time.Time

// call measures one call of f, all of which is its reason until it is woken.
func (s *said) call(f func()) {
	woke = time.Time{}
	s.calls.In()
	began := time.Now()
	f()
	took := time.Since(began)
	s.calls.Out()
	s.took += took
	part := took
	switch {
	case !woke.IsZero():
		part = woke.Sub(began)
	case s.state != "runnable":
		part = amount
	}
	s.part += part
}

var (
	sink   uint64
	lock   sync.Mutex
	rw     sync.RWMutex
	values = make(chan int)
	full   = make(chan int)
	group  sync.WaitGroup
	cond   = sync.NewCond(&lock)
	signal bool
	remote net.Conn
	buffer [1]byte
)

//go:noinline
func computes() {
	began := cpu()
	for cpu()-began < amount {
		for i := 0; i < 1000; i++ {
			sink = sink*6364136223846793005 + 1
		}
	}
}

// cpu is the CPU time of this thread.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(1, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

//go:noinline
func sleeps() { time.Sleep(amount) }

//go:noinline
func locks() { lock.Lock() }

//go:noinline
func readLocks() { rw.RLock() }

//go:noinline
func receives() { <-values }

//go:noinline
func sends() { full <- 1 }

//go:noinline
func selects() {
	select {
	case <-values:
	case full <- 1:
	}
}

//go:noinline
func waitsForGroup() { group.Wait() }

//go:noinline
func waitsForCond() {
	for !signal {
		cond.Wait()
	}
}

//go:noinline
func readsNetwork() {
	if _, err := remote.Read(buffer[:]); err != nil {
		panic(err)
	}
}

//go:noinline
func blocksInKernel() {
	// A system call that Go's poller knows nothing of.
	time := syscall.NsecToTimespec(int64(amount))
	if err := syscall.Nanosleep(&time, nil); err != nil {
		panic(err)
	}
}

// disk is a file without a name, and inDisk how long the system calls of syncsToDisk took.
var (
	disk   int
	inDisk time.Duration
	page   = make([]byte, 4<<20)
)

// syncsToDisk writes and syncs until that took the amount by its own clock.
//
//go:noinline
func syncsToDisk() {
	for until := inDisk + amount; inDisk < until; {
		began := time.Now()
		_, err := syscall.Pwrite(disk, page, 0)
		if err == nil {
			err = syscall.Fsync(disk)
		}
		inDisk += time.Since(began)
		if err != nil {
			panic(err)
		}
	}
}

//go:noinline
func starves(ready chan bool) {
	// The only P goes to a goroutine that keeps it for as long.
	ready <- true
	runtime.Gosched()
}

// reason is the newest of the names that this version of Go can have for it.
func since(minor int, newer, older string) string {
	version := strings.Split(strings.TrimPrefix(runtime.Version(), "go"), ".")
	own := 0
	for _, digit := range version[1] {
		if digit < '0' || digit > '9' {
			break
		}
		own = own*10 + int(digit-'0')
	}
	if own >= minor {
		return newer
	}
	return older
}

// later runs f after the amount, in another goroutine.
func later(f func()) {
	go func() {
		time.Sleep(amount)
		woke = time.Now()
		f()
	}()
}

func connect() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	accepted := make(chan net.Conn)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		accepted <- conn
	}()
	remote, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		panic(err)
	}
	peer = <-accepted
}

var peer net.Conn

// waits makes goroutines wait and wakes them.
func waits() {
	sleeping := tell("sleeps", "waiting", "sleep")
	locking := tell("locks", "waiting", since(20, "sync.Mutex.Lock", "semacquire"))
	reading := tell("readLocks", "waiting", since(20, "sync.RWMutex.RLock", "semacquire"))
	receiving := tell("receives", "waiting", "chan receive")
	sending := tell("sends", "waiting", "chan send")
	selecting := tell("selects", "waiting", "select")
	grouping := tell("waitsForGroup", "waiting", since(24, "sync.WaitGroup.Wait", "semacquire"))
	conding := tell("waitsForCond", "waiting", "sync.Cond.Wait")
	networking := tell("readsNetwork", "waiting", "IO wait")
	blocking := tell("blocksInKernel", "syscall", "")
	for i := 0; i < rounds; i++ {
		sleeping.call(sleeps)
		lock.Lock()
		later(lock.Unlock)
		locking.call(locks)
		lock.Unlock()
		rw.Lock()
		later(rw.Unlock)
		reading.call(readLocks)
		rw.RUnlock()
		later(func() { values <- 1 })
		receiving.call(receives)
		later(func() { <-full })
		sending.call(sends)
		later(func() { values <- 1 })
		selecting.call(selects)
		group.Add(1)
		later(group.Done)
		grouping.call(waitsForGroup)
		lock.Lock()
		signal = false
		later(func() {
			lock.Lock()
			signal = true
			lock.Unlock()
			cond.Signal()
		})
		conding.call(waitsForCond)
		lock.Unlock()
		later(func() { peer.Write(buffer[:]) })
		networking.call(readsNetwork)
		blocking.call(blocksInKernel)
	}
}

// computing calls what computes: what it took beyond its CPU time it was without a CPU.
func computing() {
	s := tell("computes", "running", "")
	runtime.LockOSThread()
	for i := 0; i < rounds; i++ {
		s.calls.In()
		began, used := time.Now(), cpu()
		computes()
		s.took += time.Since(began)
		s.part += cpu() - used
		s.calls.Out()
	}
	runtime.UnlockOSThread()
}

// syncing calls what waits for the disk.
func syncing() {
	s := tell("syncsToDisk", "syscall", "")
	for i := 0; i < rounds; i++ {
		s.calls.In()
		began, before := time.Now(), inDisk
		syncsToDisk()
		s.took += time.Since(began)
		s.part += inDisk - before
		s.calls.Out()
	}
}

// open makes a file that is gone when the program is.
func open() {
	file, err := os.CreateTemp("", "goinstr-states-")
	if err != nil {
		panic(err)
	}
	if err := os.Remove(file.Name()); err != nil {
		panic(err)
	}
	disk = int(file.Fd())
}

// starving makes a goroutine wait for the only P.
func starving() {
	s := tell("starves", "runnable", "")
	old := runtime.GOMAXPROCS(1)
	for i := 0; i < rounds; i++ {
		ready := make(chan bool, 1)
		go func() {
			<-ready
			for began := time.Now(); time.Since(began) < amount; {
			}
		}()
		s.call(func() { starves(ready) })
	}
	runtime.GOMAXPROCS(old)
}

func main() {
	connect()
	open()
	handshake.Ready()
	waits()
	computing()
	syncing()
	starving()
	handshake.Settle(0)
	for name, s := range all {
		handshake.Say(map[string]any{
			"type": "state", "function": "main." + name, "calls": rounds, "took_ns": s.took,
			"part_ns": s.part, "state": s.state, "reason": s.reason,
		})
	}
	handshake.Done()
}
