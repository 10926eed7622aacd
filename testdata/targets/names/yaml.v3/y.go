// Package yaml has a dot in its path: `yaml%2ev3` in the symbol table.
package yaml

type Node struct{ K int }

//go:noinline
func Unmarshal(b []byte) int { return len(b) }

//go:noinline
func (n *Node) Decode() int { return n.K }
