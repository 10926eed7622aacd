// paths runs some of its code and not the rest: for coverage. Between its two parts it waits for a
// line.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"example.com/handshake"
)

var sink int

// small is inlined and runs.
func small(n int) int {
	return n*3 + 1
}

// smallUnused is inlined into code that does not run.
func smallUnused(n int) int {
	return n*5 + 2
}

//go:noinline
func never(n int) int {
	if n > 3 {
		return smallUnused(n)
	}
	return n
}

//go:noinline
func branches(n int) string {
	if n < 0 {
		return "negative"
	}
	if n == 0 {
		return "zero"
	} else if n > 1000 {
		sink += n
		return "large"
	}
	total := 0
	for i := 0; i < n; i++ {
		if i%7 == 6 {
			total += small(i)
			continue
		}
		total += i
	}
	return fmt.Sprint(total)
}

// dense is compiled to a jump through a table.
//
//go:noinline
func dense(n int) string {
	var text strings.Builder
	switch n {
	case 0:
		text.WriteString("zero")
	case 1:
		text.WriteString("one")
	case 2:
		sink++
		text.WriteString("two")
		fallthrough
	case 3:
		sink += 2
		text.WriteString("three")
	case 4:
		text.WriteString("four")
	case 5:
		text.WriteString("five")
	case 6:
		sink += 5
	case 7:
		return "seven"
	case 8:
		text.WriteString("eight")
	case 9:
		text.WriteString("nine")
	default:
		text.WriteString("many")
	}
	return text.String()
}

type shape interface{ area() int }

type square struct{ side int }

func (s square) area() int { return s.side * s.side }

type circle struct{ radius int }

func (c *circle) area() int {
	return 3 * c.radius * c.radius
}

type line struct{ square }

//go:noinline
func measure(shapes ...shape) int {
	total := 0
	for _, s := range shapes {
		total += s.area()
	}
	return total
}

func largest[T int | string](values ...T) T {
	var most T
	for _, v := range values {
		if v > most {
			most = v
		}
	}
	return most
}

//go:noinline
func mayPanic(n int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("recovered: %v", r)
		}
	}()
	values := []int{1, 2, 3}
	sink += values[n]
	if n == 2 {
		panic(errors.New("two"))
	}
	sink++
	return nil
}

//go:noinline
func closures(n int) func() int {
	unused := func() int {
		sink += 100
		return n
	}
	if n > 100 {
		return unused
	}
	return func() int {
		n++
		return n
	}
}

//go:noinline
func onlyFirst() {
	fmt.Fprintln(os.Stderr, branches(5), branches(20), dense(1), dense(2), dense(7))
	sink += measure(square{2}, &circle{3})
	sink += largest(1, 2, 3) + small(sink)
	for i := 0; i < 3; i++ {
		if err := mayPanic(i); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	sink += closures(1)()
}

//go:noinline
func onlySecond() {
	fmt.Fprintln(os.Stderr, branches(0), dense(4), mayPanic(7), largest("a", "b"))
	done := make(chan int)
	go func() {
		defer close(done)
		sink += measure(line{square{1}})
	}()
	<-done
}

func main() {
	handshake.Ready()
	onlyFirst()
	handshake.Say(map[string]string{"type": "half"})
	handshake.Wait()
	onlySecond()
	if len(os.Args) > 5 {
		sink += never(sink)
	}
	handshake.Done()
}
