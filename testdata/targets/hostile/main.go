// hostile: what it tells people steers their terminals: its values as they stand here; its names, its module and its
// file once a test has changed them in the executable, each into as many bytes.
package main

import (
	"errors"
	"sync/atomic"
	"time"

	"example.com/handshake"
)

// Both ways to begin a control sequence, what reorders a line, what ends one.
const steers = "\x1b[31m\u009b2J\x1b]0;x\a\x7f\u202e\u2028\r\n\""

var (
	stop    int32
	sink    string
	forever = make(chan struct{})
)

//go:noinline
func outer(key string, raw []byte, why any, err error) (string, error) { return key + "!", err }

//go:noinline
func waits(key string) { <-forever }

func main() {
	handshake.Ready()
	go waits(steers)
	err := errors.New(steers)
	for n := 0; n < 2; n++ {
		go func() {
			for atomic.LoadInt32(&stop) == 0 {
				sink, _ = outer(steers, []byte(steers), steers, err)
				time.Sleep(time.Millisecond)
			}
		}()
	}
	handshake.Say(map[string]string{"type": "progress"})
	handshake.Wait()
	atomic.StoreInt32(&stop, 1)
	handshake.Done()
}
