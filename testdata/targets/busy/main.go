// busy serves requests to itself as fast as it can, and says ten times a second how many it has
// served and what CPU time they took: what a probe costs shows in their ratio.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"text/template"
	"time"
)

type item struct {
	ID    int               `json:"id"`
	Name  string            `json:"name"`
	Price float64           `json:"price"`
	Tags  []string          `json:"tags"`
	Extra map[string]string `json:"extra,omitempty"`
}

var (
	served uint64
	word   = regexp.MustCompile(`([a-z]+)-([0-9]+)`)
	page   = template.Must(template.New("page").Funcs(template.FuncMap{
		"join": func(tags []string) string { return strings.Join(tags, ",") },
	}).Parse(`{{range .}}<li>{{.Name}}: {{printf "%.2f" .Price}} ({{join .Tags}})</li>{{end}}`))
)

func items(seed int) []item {
	all := make([]item, 8)
	for i := range all {
		n := (seed*31 + i*17) % 1000
		all[i] = item{
			ID: n, Name: "item-" + strconv.Itoa(n), Price: float64(n) / 7,
			Tags: []string{"a", strconv.Itoa(i)}, Extra: map[string]string{"k": fmt.Sprint(i)},
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Price < all[j].Price })
	return all
}

func asJSON(w http.ResponseWriter, r *http.Request) {
	seed, _ := strconv.Atoi(r.URL.Query().Get("seed"))
	text, err := json.Marshal(items(seed))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var back []item
	if err := json.Unmarshal(text, &back); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("X-Sum", sum(text))
	w.Write(text)
}

func sum(text []byte) string {
	digest := sha256.Sum256(text)
	return hex.EncodeToString(digest[:])
}

func asPage(w http.ResponseWriter, r *http.Request) {
	var text bytes.Buffer
	if err := page.Execute(&text, items(len(r.URL.Path))); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	found := word.ReplaceAllString(text.String(), "$2-$1")
	packed := gzip.NewWriter(w)
	io.WriteString(packed, found)
	packed.Close()
}

func serve(mux http.Handler, from int) {
	for n := from; ; n++ {
		path := "/json?seed=" + strconv.Itoa(n)
		if n%16 == 0 {
			path = "/page"
		}
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
		if answer.Code != http.StatusOK {
			fmt.Fprintln(os.Stderr, answer.Code, answer.Body)
			os.Exit(1)
		}
		atomic.AddUint64(&served, 1)
	}
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/json", asJSON)
	mux.HandleFunc("/page", asPage)
	for i := 0; i < runtime.GOMAXPROCS(0); i++ {
		go serve(mux, i*1000)
	}
	fmt.Println("ready", os.Getpid())
	for range time.Tick(100 * time.Millisecond) {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			panic(err)
		}
		cpu := usage.Utime.Nano() + usage.Stime.Nano()
		if _, err := fmt.Println(atomic.LoadUint64(&served), cpu); err != nil {
			return
		}
	}
}
