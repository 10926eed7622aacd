package main

import (
	"fmt"
	"math/rand"
	"time"
)

// Product is a row of the catalogue.
type Product struct {
	ID    int     `json:"id"`
	Name  string  `json:"name"`
	Price float64 `json:"price"`
	Text  string  `json:"text"`
}

// Database answers as a database at the other end of a network does: mostly in a few
// milliseconds, now and then in many.
type Database struct {
	rows []Product
}

// NewDatabase has some hundred products.
func NewDatabase() *Database {
	d := &Database{}
	for id := 0; id < 500; id++ {
		d.rows = append(d.rows, Product{
			ID:    id,
			Name:  fmt.Sprintf("product %d", id),
			Price: float64(id%97) + 0.99,
			Text:  fmt.Sprintf("A very useful thing number %d that nobody should be without", id),
		})
	}
	return d
}

// Load fetches one product.
func (d *Database) Load(id int) Product {
	d.query(3 * time.Millisecond)
	return d.rows[id%len(d.rows)]
}

// All is the whole catalogue.
func (d *Database) All() []Product {
	d.query(6 * time.Millisecond)
	return d.rows
}

func (d *Database) query(typical time.Duration) {
	wait := typical/2 + time.Duration(rand.Int63n(int64(typical)))
	if rand.Intn(50) == 0 {
		wait *= 12
	}
	time.Sleep(wait)
}
