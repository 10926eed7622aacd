package main

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// Inventory has one lock for everything: the shop's contention.
type Inventory struct {
	mu    sync.Mutex
	stock map[int]int
}

// NewInventory has plenty of everything.
func NewInventory() *Inventory {
	stock := make(map[int]int)
	for id := 0; id < 500; id++ {
		stock[id] = 1_000_000
	}
	return &Inventory{stock: stock}
}

// Reserve waits for its turn, then takes one piece.
func (i *Inventory) Reserve(id int) bool {
	i.mu.Lock()
	i.audit(id)
	i.stock[id]--
	left := i.stock[id]
	i.mu.Unlock()
	return left > 0
}

// audit is slow, and done under the lock.
func (i *Inventory) audit(id int) {
	for piece := 0; piece < 3; piece++ {
		if i.stock[id] > piece {
			time.Sleep(500 * time.Microsecond)
		}
	}
}

// pay signs the order and waits for the bank.
func pay(id int) bool {
	seal := sign(id)
	time.Sleep(4*time.Millisecond + time.Duration(seal[0])*10*time.Microsecond)
	return true
}

func sign(id int) [sha256.Size]byte {
	var order [8]byte
	binary.LittleEndian.PutUint64(order[:], uint64(id))
	seal := sha256.Sum256(order[:])
	for round := 0; round < 200; round++ {
		seal = sha256.Sum256(seal[:])
	}
	return seal
}
