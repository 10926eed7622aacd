package main

import (
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// visit sends the shop some hundred requests a second from a few customers, each of whom thinks
// between two clicks, until lifetime is over or the shop has closed.
func visit(address string, number int, lifetime time.Duration) {
	closing := time.Now().Add(lifetime)
	var answered, failed atomic.Int64
	var customers sync.WaitGroup
	for n := 0; n < number; n++ {
		customers.Add(1)
		go func() {
			defer customers.Done()
			for time.Now().Before(closing) {
				if err := click(address); err != nil {
					failed.Add(1)
					return
				}
				answered.Add(1)
				time.Sleep(time.Duration(10+rand.Intn(20)) * time.Millisecond)
			}
		}()
	}
	customers.Wait()
	fmt.Printf("answered %d failed %d\n", answered.Load(), failed.Load())
}

func click(address string) error {
	path := fmt.Sprintf("/product?id=%d", rand.Intn(500))
	switch dice := rand.Intn(100); {
	case dice < 2:
		path = "/report"
	case dice < 10:
		path = "/search?q=use"
	case dice < 30:
		path = fmt.Sprintf("/checkout?id=%d", rand.Intn(500))
	}
	answer, err := http.Get("http://" + address + path)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err = io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	return nil
}
