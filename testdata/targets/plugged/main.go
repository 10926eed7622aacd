// plugged: a program with a plugin (extra), whose functions are in a file of their own.
//
// Argument: the plugin.
package main

import (
	"fmt"
	"os"
	"plugin"
	"strings"

	"example.com/handshake"
)

var (
	works  = handshake.Count("main.work")
	serves = handshake.Count("example.com/plugged/extra.Serve")
	steps  = handshake.Count("example.com/plugged/extra.step")
	fails  = handshake.Count("example.com/plugged/extra.fail")
	saves  = handshake.Count("example.com/plugged/extra.save")
)

//go:noinline
func work(n int) string { return strings.Repeat("x", n) }

func symbol(p *plugin.Plugin, name string) plugin.Symbol {
	found, err := p.Lookup(name)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return found
}

func main() {
	p, err := plugin.Open(os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	serve := symbol(p, "Serve").(func(int, func(string, bool)))
	// The plugin can't reach the counters: it says what it does.
	note := func(what string, in bool) {
		counter := map[string]*handshake.Counter{"step": steps, "fail": fails, "save": saves}[what]
		if in {
			counter.In()
		} else {
			counter.Out()
		}
	}
	handshake.Ready()
	handshake.Uncounted("main.main.func1")
	// Go 1.22 and later wrap a deferred call with arguments.
	handshake.Uncounted("example.com/plugged/extra.Serve.deferwrap1")
	for i := 0; i < 2000; i++ {
		serves.In()
		serve(i, note)
		serves.Out()
		works.In()
		work(i & 15)
		works.Out()
	}
	handshake.Settle(0)
	handshake.Done()
}
