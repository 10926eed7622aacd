// Package handshake lets a test hold a target until it is being measured, and hear the truth
// from it afterwards.
//
// The target says `ready PID` and waits for a line; runs; prints what it did as JSON lines, the
// last of them `{"type":"done"}`; waits for a second line, so that it can be looked at while it
// is still alive; and exits. The end of stdin counts as any line: `target </dev/null` just runs.
package handshake

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

var (
	stdin = bufio.NewReader(os.Stdin)
	lines sync.Mutex
)

// AtDone holds what is called before Done says so: for files that are added to a target.
var AtDone []func()

// Ready says that the target can be attached to and returns when the load is to start.
func Ready() {
	fmt.Printf("ready %d\n", os.Getpid())
	Wait()
}

// Wait returns at the next line of stdin, or at its end.
func Wait() {
	_, _ = stdin.ReadString('\n')
}

// Say prints a value as one JSON line.
func Say(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	lines.Lock()
	defer lines.Unlock()
	fmt.Println(string(text))
}

// Done prints every counter and `done`, and returns when the target may exit.
func Done() {
	Finished()
	Wait()
}

// Finished prints every counter and `done`.
func Finished() {
	for _, f := range AtDone {
		f()
	}
	sayCounters()
	Say(map[string]string{"type": "done"})
}

// Settle returns when no goroutine is left but this one and those that are parked for good.
// A goroutine is counted until it has executed its last return, so that all counts are final.
func Settle(parked int) {
	for runtime.NumGoroutine() > 1+parked {
		time.Sleep(time.Millisecond)
	}
}

// Spin computes for a time and returns how long it took, which is longer where others want the
// CPU. It is no function of package main, so its time is its caller's own.
func Spin(d time.Duration) time.Duration {
	start := time.Now()
	for {
		if took := time.Since(start); took >= d {
			return took
		}
	}
}
