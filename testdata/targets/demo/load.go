package main

import (
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"sync"
	"time"
)

// visit sends the shop some hundred requests a second from a few customers, each of whom thinks
// between two clicks, until lifetime is over or the shop has closed.
func visit(address string, lifetime time.Duration) {
	closing := time.Now().Add(lifetime)
	var customers sync.WaitGroup
	for n := 0; n < 16; n++ {
		customers.Add(1)
		go func() {
			defer customers.Done()
			for time.Now().Before(closing) {
				if err := click(address); err != nil {
					return
				}
				time.Sleep(time.Duration(10+rand.Intn(20)) * time.Millisecond)
			}
		}()
	}
	customers.Wait()
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
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
