package main

import "sync"

// Cache holds the products seen last; when it is full, any of them has to go.
type Cache struct {
	mu       sync.RWMutex
	capacity int
	products map[int]Product
}

// NewCache holds as many products as capacity says.
func NewCache(capacity int) *Cache {
	return &Cache{capacity: capacity, products: make(map[int]Product, capacity)}
}

// Get is the product, when it is here.
func (c *Cache) Get(id int) (Product, bool) {
	c.mu.RLock()
	p, ok := c.products[id]
	c.mu.RUnlock()
	return p, ok
}

// Put keeps a product.
func (c *Cache) Put(p Product) {
	c.mu.Lock()
	if len(c.products) >= c.capacity {
		c.evict()
	}
	c.products[p.ID] = p
	c.mu.Unlock()
}

func (c *Cache) evict() {
	for id := range c.products {
		delete(c.products, id)
		return
	}
}
