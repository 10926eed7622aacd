package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// Shop is the handlers and what they stand on.
type Shop struct {
	cache     *Cache
	database  *Database
	inventory *Inventory
}

// ServeHTTP is what goinstr's table is read from: everything below it is where its time goes.
func (s *Shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/product":
		s.handleProduct(w, r)
	case "/search":
		s.handleSearch(w, r)
	case "/checkout":
		s.handleCheckout(w, r)
	case "/report":
		s.handleReport(w, r)
	default:
		http.NotFound(w, r)
	}
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

// search is all processor: it reads every word of the catalogue and keeps the best ten.
func search(catalogue []Product, query string) []Product {
	type hit struct {
		product Product
		score   int
	}
	best := make([]hit, 0, 11)
	for _, p := range catalogue {
		score := 0
		for _, word := range strings.Fields(strings.ToLower(p.Text)) {
			score += strings.Count(word, query) * len(query)
		}
		best = append(best, hit{p, score})
		for i := len(best) - 1; i > 0 && best[i].score > best[i-1].score; i-- {
			best[i], best[i-1] = best[i-1], best[i]
		}
		if len(best) > 10 {
			best = best[:10]
		}
	}
	found := make([]Product, 0, 10)
	for _, h := range best {
		found = append(found, h.product)
	}
	return found
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
