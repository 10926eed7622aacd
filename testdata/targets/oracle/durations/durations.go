// Package durations is what `defer duration("pkg", "func")()` calls.
package durations

import (
	"sort"
	"sync"
	"time"

	"example.com/handshake"
)

var (
	lock sync.Mutex
	all  = map[string][]int64{}
)

// Start begins a call of a function; the call ends when what it returns is called.
func Start(pkg, function string) func() {
	start := time.Now()
	return func() {
		ns := int64(time.Since(start))
		lock.Lock()
		defer lock.Unlock()
		name := pkg + "." + function
		all[name] = append(all[name], ns)
	}
}

func init() {
	handshake.AtDone = append(handshake.AtDone, say)
}

func say() {
	lock.Lock()
	defer lock.Unlock()
	for name, ns := range all {
		sort.Slice(ns, func(i, j int) bool { return ns[i] < ns[j] })
		handshake.Say(map[string]any{
			"type": "durations", "function": name, "calls": len(ns),
			"p50_ns": ns[(len(ns)*50-1)/100], "p99_ns": ns[(len(ns)*99-1)/100],
		})
	}
}
