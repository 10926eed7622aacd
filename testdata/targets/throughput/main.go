// throughput: a small service and what loads it, for the benchmark.
//
// "serve" answers requests on a port of its choice, which it prints, and does sums beside: each line of
// stdin is a number of milliseconds, the answer how many sums it did in that time. "load PORT CLIENTS"
// reads such lines too: the answer is how many requests were answered and the 99th percentile of how long
// that took, in ns.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type item struct {
	Name  string `json:"name"`
	Price int    `json:"price"`
	Sum   string `json:"sum"`
}

//go:noinline
func find(number int) item {
	name := "item " + strconv.Itoa(number)
	return item{name, price(name), sum(name)}
}

//go:noinline
func price(name string) int {
	total := 0
	for _, letter := range name {
		total += int(letter)
	}
	return total
}

//go:noinline
func sum(name string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
}

//go:noinline
func handle(w http.ResponseWriter, r *http.Request) {
	number, _ := strconv.Atoi(r.URL.Query().Get("n"))
	items := []item{}
	for i := 0; i < 5; i++ {
		items = append(items, find(number+i))
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(items)
}

// work is a unit of the CPU-bound part: some tens of microseconds in a few calls.
//
//go:noinline
func work(n int) int {
	total := 0
	for i := 0; i < 4; i++ {
		total += mix(n + i)
	}
	return total
}

//go:noinline
func mix(n int) int {
	for i := 0; i < 10000; i++ {
		n = n*31 + i
	}
	return n
}

func milliseconds(lines *bufio.Scanner) (time.Duration, bool) {
	if !lines.Scan() {
		return 0, false
	}
	n, err := strconv.Atoi(lines.Text())
	if err != nil {
		fmt.Fprintln(os.Stderr, "throughput: not a number:", lines.Text())
		os.Exit(2)
	}
	return time.Duration(n) * time.Millisecond, true
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/", handle)
	go http.Serve(listener, nil)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	lines := bufio.NewScanner(os.Stdin)
	total := 0
	for {
		span, more := milliseconds(lines)
		if !more {
			return
		}
		done := 0
		for end := time.Now().Add(span); time.Now().Before(end); done++ {
			total += work(done)
		}
		fmt.Println(done)
		if total == 1 {
			fmt.Println()
		}
	}
}

func load(port string, clients int) {
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	client := &http.Client{Transport: transport}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for {
		span, more := milliseconds(lines)
		if !more {
			return
		}
		end := time.Now().Add(span)
		took := make([][]int64, clients)
		var done sync.WaitGroup
		for i := range took {
			done.Add(1)
			go func(i int) {
				defer done.Done()
				for n := i; time.Now().Before(end); n += clients {
					start := time.Now()
					answer, err := client.Get("http://127.0.0.1:" + port + "/?n=" + strconv.Itoa(n))
					if err != nil {
						fmt.Fprintln(os.Stderr, "throughput:", err)
						os.Exit(1)
					}
					io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
					took[i] = append(took[i], time.Since(start).Nanoseconds())
				}
			}(i)
		}
		done.Wait()
		all := []int64{}
		for _, one := range took {
			all = append(all, one...)
		}
		sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
		fmt.Println(len(all), all[len(all)*99/100])
	}
}

// paced reads lines of a number of requests a second and of milliseconds, and asks for so many as long, by
// as many clients; the answer is how many were answered in each twentieth of a second.
func paced(port string, clients int) {
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	client := &http.Client{Transport: transport}
	fmt.Println("ready")
	for {
		var rate, ms int
		if _, err := fmt.Scan(&rate, &ms); err != nil {
			return
		}
		slots := make([]int64, ms/50+1)
		start := time.Now()
		each := time.Duration(clients) * time.Second / time.Duration(rate)
		var done sync.WaitGroup
		for i := 0; i < clients; i++ {
			done.Add(1)
			go func(i int) {
				defer done.Done()
				for n := 0; ; n++ {
					// What could not be asked in time is not made up for: clients in a hurry would be another load.
					due := time.Duration(n) * each
					late := time.Since(start) - due
					if late > each {
						n += int(late / each)
					}
					time.Sleep(-late)
					if time.Since(start) >= time.Duration(ms)*time.Millisecond {
						return
					}
					answer, err := client.Get("http://127.0.0.1:" + port + "/?n=" + strconv.Itoa(n))
					if err != nil {
						fmt.Fprintln(os.Stderr, "throughput:", err)
						os.Exit(1)
					}
					io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
					if slot := int(time.Since(start) / (50 * time.Millisecond)); slot < len(slots) {
						atomic.AddInt64(&slots[slot], 1)
					}
				}
			}(i)
		}
		done.Wait()
		fmt.Println(strings.Trim(fmt.Sprint(slots[:ms/50]), "[]"))
	}
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		serve()
		return
	}
	if len(os.Args) == 4 && os.Args[1] == "load" {
		clients, _ := strconv.Atoi(os.Args[3])
		load(os.Args[2], clients)
		return
	}
	if len(os.Args) == 4 && os.Args[1] == "paced" {
		clients, _ := strconv.Atoi(os.Args[3])
		paced(os.Args[2], clients)
		return
	}
	fmt.Fprintln(os.Stderr, "usage: throughput serve | load PORT CLIENTS | paced PORT CLIENTS")
	os.Exit(2)
}
