// slower: calls that last as many microseconds as its argument says, and three times as long after
// each line of stdin. Ends with its stdin.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

var lasts int64

//go:noinline
func work() {
	until := time.Now().Add(time.Duration(atomic.LoadInt64(&lasts)) * time.Microsecond)
	for time.Now().Before(until) {
	}
}

// same lasts as long in every process.
//
//go:noinline
func same() {
	until := time.Now().Add(100 * time.Microsecond)
	for time.Now().Before(until) {
	}
}

func main() {
	micros, err := strconv.ParseInt(os.Args[1], 10, 64)
	if err != nil {
		panic(err)
	}
	lasts = micros
	go func() {
		for {
			work()
			same()
			time.Sleep(5 * time.Millisecond)
		}
	}()
	fmt.Println("ready", os.Getpid())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		atomic.StoreInt64(&lasts, 3*atomic.LoadInt64(&lasts))
		fmt.Println("slower")
	}
}
