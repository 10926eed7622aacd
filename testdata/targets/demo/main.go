// Command shop is the program that `cargo xtask demo` measures: a small web shop with the
// troubles of a real one. Product pages come from a cache or a slow database, checkouts queue at
// one lock, a report encodes a lot of JSON.
//
//	shop                serves on a free loopback port and prints `listening ADDR`
//	shop -load ADDR     is its customers, and prints how many requests were answered or failed
//
// Both end by themselves after -for, so that nothing is left behind when their parent dies.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"
)

func main() {
	address := flag.String("load", "", "send requests to the shop at this address")
	customers := flag.Int("customers", 16, "number of customers that send them")
	lifetime := flag.Duration("for", time.Minute, "end after this time")
	flag.Parse()

	if *address != "" {
		visit(*address, *customers, *lifetime)
		return
	}
	if err := serve(*lifetime); err != nil {
		log.Fatal(err)
	}
}

func serve(lifetime time.Duration) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	shop := &Shop{
		cache:     NewCache(400),
		database:  NewDatabase(),
		inventory: NewInventory(),
	}
	time.AfterFunc(lifetime, func() { listener.Close() })
	fmt.Printf("listening %s\n", listener.Addr())
	if err := http.Serve(listener, shop); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
