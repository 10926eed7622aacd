package main

import (
	"encoding/json"
	"net/http"
	"sort"
	"strconv"
	"strings"
)

// Shop is the handlers and what they stand on.
type Shop struct {
	cache     *Cache
	database  *Database
	inventory *Inventory
}

func (s *Shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/product", s.handleProduct)
	mux.HandleFunc("/search", s.handleSearch)
	mux.HandleFunc("/checkout", s.handleCheckout)
	mux.HandleFunc("/report", s.handleReport)
	return mux
}

func (s *Shop) handleProduct(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.URL.Query().Get("id"))
	if err != nil {
		http.Error(w, "id: not a number", http.StatusBadRequest)
		return
	}
	writeJSON(w, s.product(id))
}

// product is the classic: fast when the cache has it, a database's time when not.
func (s *Shop) product(id int) Product {
	if p, ok := s.cache.Get(id); ok {
		return p
	}
	p := s.database.Load(id)
	s.cache.Put(p)
	return p
}

func (s *Shop) handleSearch(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, search(s.database.All(), r.URL.Query().Get("q")))
}

// search is all processor: it scores the whole catalogue and sorts it.
func search(catalogue []Product, query string) []Product {
	type hit struct {
		product Product
		score   int
	}
	hits := make([]hit, 0, len(catalogue))
	for _, p := range catalogue {
		hits = append(hits, hit{p, score(p, query)})
	}
	sort.Slice(hits, func(i, j int) bool { return hits[i].score > hits[j].score })
	found := make([]Product, 0, 10)
	for _, h := range hits[:10] {
		found = append(found, h.product)
	}
	return found
}

func score(p Product, query string) int {
	points := 0
	for _, word := range strings.Fields(strings.ToLower(p.Text)) {
		if strings.Contains(word, query) {
			points += len(query)
		}
	}
	return points
}

func (s *Shop) handleCheckout(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.Atoi(r.URL.Query().Get("id"))
	writeJSON(w, map[string]any{"reserved": s.inventory.Reserve(id), "paid": pay(id)})
}

func (s *Shop) handleReport(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, s.database.All())
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
