// values: calls with arguments and results of every kind, each of which is told as it was, in the
// order of the calls. What a function is called with is made at run time, so that none of it is known
// to the compiler.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"strings"
	"time"

	"example.com/handshake"
)

const rounds = 20

// Point is a structure that fits into registers.
type Point struct{ X, Y int32 }

// Mixed has fields of several sizes, one behind the other.
type Mixed struct {
	A bool
	B int16
	C string
	D *Point
	E [1]uint64
}

// Big has an array, so that it is passed on the stack.
type Big struct {
	Head string
	All  [6]int
	F    float64
}

// Node refers to itself.
type Node struct {
	Name string
	Next *Node
}

// Wide takes more registers than there are.
type Wide struct{ A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q int }

// Level is a named integer.
type Level int8

type failure struct {
	code int
	text string
}

func (f *failure) Error() string { return f.text }

var (
	ints   = handshake.Count("main.integers")
	sinkOf any
	keep   []byte
	calls  int
)

//go:noinline
func integers(a int8, b int16, c int32, d int64, e int) (int64, int8) {
	return d + int64(e), a
}

//go:noinline
func unsigned(a uint8, b uint16, c uint32, d uint64, e uintptr) uint64 { calls++; return d }

//go:noinline
func many(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r int) (int, bool) {
	return a + r, q > 0
}

//go:noinline
func bools(a, b bool, l Level) bool { calls++; return a && b }

//go:noinline
func texts(s, t string, raw []byte) (string, []byte) { calls++; return t + s, raw[:1] }

//go:noinline
func crowded(a, b, c, d, e, f string) (int, string) { calls++; return len(f), a }

//go:noinline
func slices(a []int, b []string, c []Point, none []int) []string { calls++; return b }

//go:noinline
func pointers(p *Point, n *Node, i *int, none *Point) *Point { calls++; return p }

//go:noinline
func structs(p Point, m Mixed, b Big) (Point, Mixed, Big) { calls++; return p, m, b }

//go:noinline
func wide(before int, w Wide, after string) (Wide, int) { calls++; return w, before }

//go:noinline
func floats(a float64, n int, b float32) (float64, int) { calls++; return a + float64(b), n + 1 }

//go:noinline
func floatsBehind(a *float64, b []float32, c *complex128) *float64 { calls++; return a }

//go:noinline
func maps(m map[string]int, none map[int]bool, c chan int) map[string]int { calls++; return m }

//go:noinline
func interfaces(e error, a any, b any, r io.Reader, none error) error { calls++; return e }

//go:noinline
func errorsOf(n int) (int, error) {
	if n%2 == 0 {
		return 0, fmt.Errorf("even: %d", n)
	}
	return n, nil
}

//go:noinline
func unused(a int, _ string, b int) int { calls++; return 7 }

//go:noinline
func named(n int) (res int, err error) {
	defer func() { res++ }()
	if n > 3 {
		return n, errors.New("too many")
	}
	return n * 2, nil
}

//go:noinline
func escapes(p Point, s string) *Point {
	sinkOf = &s
	return &p
}

//go:noinline
func (p *Point) method(s string, n int) string { calls++; return s }

//go:noinline
func (p Point) byValue(n int) int { calls++; return n }

//go:noinline
func generic[T any](v T, n int) []T { calls++; return append([]T(nil), v) }

// box has a method of a generic type.
type box[T any] struct{ v T }

//go:noinline
func (b *box[T]) get(n int) (T, int) { calls++; return b.v, n }

//go:noinline
func grows(n int, s string) int {
	var room [4096]byte
	keep = append(keep[:0], room[n&4095])
	return n + len(keep)
}

//go:noinline
func waits(ctx context.Context, d time.Duration) context.Context { calls++; return ctx }

// own has a deadline that nobody but itself knows the place of.
type own struct{ context.Context }

// contexts are some with a deadline, some without, and their parents.
func contexts() []context.Context {
	ctx, _ := context.WithDeadline(context.WithValue(context.Background(), Level(1), 2), time.Now().Add(time.Hour))
	past, _ := context.WithTimeout(ctx, -time.Second)
	wall, _ := context.WithDeadline(context.TODO(), time.Unix(4000000000, 123456789))
	child, _ := context.WithCancel(context.WithValue(ctx, Level(2), 3))
	later, _ := context.WithTimeout(child, 2*time.Hour)
	plain, _ := context.WithCancel(context.Background())
	deep := ctx
	for i := 0; i < 20; i++ {
		deep = context.WithValue(deep, Level(i), i)
	}
	all := []context.Context{ctx, past, wall, child, later, plain, context.Background(), nil, deep, own{ctx}, &own{ctx}}
	return append(all, newer(child)...)
}

// newer are contexts that only newer versions of Go have.
var newer = func(context.Context) []context.Context { return nil }

// deadlines tells of each context when it is over, by itself, and how long before and after the call.
func deadlines() {
	for _, ctx := range contexts() {
		line := map[string]any{"type": "deadline"}
		until, ok := time.Time{}, false
		if ctx != nil {
			until, ok = ctx.Deadline()
			line["dynamic"] = reflect.TypeOf(ctx).String()
		}
		if ok {
			line["unix_ns"] = until.UnixNano()
			line["before_ns"] = until.UnixNano() - time.Now().UnixNano()
		}
		waits(ctx, time.Second)
		if ok {
			line["after_ns"] = until.UnixNano() - time.Now().UnixNano()
		}
		handshake.Say(line)
	}
}

//go:noinline
func login(user, password string, token []byte) bool { calls++; return password != "" }

// plain makes of a value what a reader of the output can compare: pointers are what they point to.
func plain(v reflect.Value, depth int) any {
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return v.Uint()
	case reflect.Float32:
		return float32(v.Float())
	case reflect.Float64:
		return v.Float()
	case reflect.Complex128:
		return []float64{real(v.Complex()), imag(v.Complex())}
	case reflect.String:
		return v.String()
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return string(v.Bytes())
		}
		return list(v, depth)
	case reflect.Array:
		return list(v, depth)
	case reflect.Ptr:
		if v.IsNil() {
			return nil
		}
		if depth == 0 {
			return "deep"
		}
		return plain(v.Elem(), depth-1)
	case reflect.Struct:
		fields := map[string]any{}
		for i := 0; i < v.NumField(); i++ {
			fields[v.Type().Field(i).Name] = plain(v.Field(i), depth)
		}
		return fields
	case reflect.Map:
		if v.IsNil() {
			return nil
		}
		return map[string]int{"len": v.Len()}
	case reflect.Interface:
		if v.IsNil() {
			return nil
		}
		told := map[string]any{"dynamic": v.Elem().Type().String()}
		if err, ok := v.Interface().(error); ok && strings.HasSuffix(v.Elem().Type().String(), "rorString") {
			told["value"] = err.Error()
		} else if f, ok := v.Interface().(*failure); ok && ofReturns {
			told["value"] = map[string]string{"text": f.text}
		} else if kind := v.Elem().Kind(); kind == reflect.Int || kind == reflect.String || kind == reflect.Bool {
			told["value"] = plain(v.Elem(), depth)
		}
		return told
	default:
		return "other"
	}
}

func list(v reflect.Value, depth int) any {
	all := []any{}
	for i := 0; i < v.Len() && i < 4; i++ {
		all = append(all, plain(v.Index(i), depth))
	}
	return all
}

// values are names and pointers to what they name.
func values(of []any) map[string]any {
	told := map[string]any{}
	for i := 0; i+1 < len(of); i += 2 {
		told[of[i].(string)] = plain(reflect.ValueOf(of[i+1]).Elem(), 2)
	}
	return told
}

var told []any

// ofReturns is set while results are told: of errors among them more is read.
var ofReturns bool

func say(function string, args, returns []any) {
	line := map[string]any{"type": "values", "function": "main." + function, "args": values(args)}
	ofReturns = true
	line["returns"] = values(returns)
	ofReturns = false
	told = append(told, line)
}

func of(list ...any) []any { return list }

func round(k int) {
	text := strings.Repeat("ä", k) + fmt.Sprint(k)
	{
		a, b, c, d, e := int8(-k), int16(-300*k), int32(k<<20), int64(-1)<<uint(40+k), k
		r0, r1 := integers(a, b, c, d, e)
		say("integers", of("a", &a, "b", &b, "c", &c, "d", &d, "e", &e), of("r0", &r0, "r1", &r1))
	}
	{
		a, b, c, d, e := uint8(200+k), uint16(60000+k), uint32(4000000000)+uint32(k), uint64(1)<<63+uint64(k), uintptr(k)
		r0 := unsigned(a, b, c, d, e)
		say("unsigned", of("a", &a, "b", &b, "c", &c, "d", &d, "e", &e), of("r0", &r0))
	}
	{
		n := make([]int, 18)
		for i := range n {
			n[i] = i*1000 + k
		}
		r0, r1 := many(n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12], n[13], n[14], n[15], n[16], n[17])
		args := []any{}
		for i := range n {
			args = append(args, string(rune('a'+i)), &n[i])
		}
		say("many", args, of("r0", &r0, "r1", &r1))
	}
	{
		a, b, l := k%2 == 0, k%3 == 0, Level(-k)
		r0 := bools(a, b, l)
		say("bools", of("a", &a, "b", &b, "l", &l), of("r0", &r0))
	}
	{
		s, t, raw := text, "", []byte(text)
		r0, r1 := texts(s, t, raw)
		_ = r1
		say("texts", of("s", &s, "t", &t, "raw", &raw), of("r0", &r0))
	}
	{
		a, b, c, d, e, f := text, "b", "c", "", text+"e", "f"
		r0, r1 := crowded(a, b, c, d, e, f)
		say("crowded", of("a", &a, "b", &b, "c", &c, "d", &d, "e", &e, "f", &f), of("r0", &r0, "r1", &r1))
	}
	{
		a, b, c := make([]int, k), []string{text, "", "b"}, []Point{{int32(k), -1}, {2, 3}}
		for i := range a {
			a[i] = i * k
		}
		var none []int
		r0 := slices(a, b, c, none)
		say("slices", of("a", &a, "b", &b, "c", &c, "none", &none), of("r0", &r0))
	}
	{
		p, n, i := &Point{int32(k), 2}, &Node{"first", &Node{text, nil}}, &k
		var none *Point
		r0 := pointers(p, n, i, none)
		say("pointers", of("p", &p, "n", &n, "i", &i, "none", &none), of("r0", &r0))
	}
	{
		p, m := Point{int32(k), -3}, Mixed{k%2 == 1, int16(-k), text, &Point{4, int32(k)}, [1]uint64{uint64(k)}}
		b := Big{text, [6]int{1, 2, 3, 4, 5, k}, float64(k) / 4}
		r0, r1, r2 := structs(p, m, b)
		say("structs", of("p", &p, "m", &m, "b", &b), of("r0", &r0, "r1", &r1, "r2", &r2))
	}
	{
		w := Wide{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, k}
		r0, r1 := wide(k, w, text)
		say("wide", of("before", &k, "w", &w, "after", &text), of("r0", &r0, "r1", &r1))
	}
	{
		a, n, b := float64(k)/8, k, float32(k)
		_, r1 := floats(a, n, b)
		say("floats", of("n", &n), of("r1", &r1))
	}
	{
		x, b, c := float64(k)/8, []float32{float32(k) / 10, -1}, complex(float64(k), -0.5)
		a, cc := &x, &c
		r0 := floatsBehind(a, b, cc)
		say("floatsBehind", of("a", &a, "b", &b, "c", &cc), of("r0", &r0))
	}
	{
		m, c := map[string]int{}, make(chan int, 3)
		for i := 0; i < k*7; i++ {
			m[fmt.Sprint(i)] = i
		}
		var none map[int]bool
		r0 := maps(m, none, c)
		say("maps", of("m", &m, "none", &none), of("r0", &r0))
	}
	{
		var e error = errors.New(text)
		var a, b any = k * 1000, text
		var r io.Reader = os.Stdin
		if k%2 == 0 {
			e, a = &failure{k, text}, k%4 == 0
			r = strings.NewReader(text)
		}
		var none error
		r0 := interfaces(e, a, b, r, none)
		say("interfaces", of("e", &e, "a", &a, "b", &b, "r", &r, "none", &none), of("r0", &r0))
	}
	{
		r0, r1 := errorsOf(k)
		if r1 == nil {
			say("errorsOf", of("n", &k), of("r0", &r0, "r1", &r1))
		} else {
			say("errorsOf", of("n", &k), of("r0", &r0))
		}
	}
	{
		r0 := unused(k, text, -k)
		b := -k
		say("unused", of("a", &k, "b", &b), of("r0", &r0))
	}
	{
		r0, r1 := named(k)
		say("named", of("n", &k), of("res", &r0, "err", &r1))
	}
	{
		p := Point{int32(k), 9}
		r0 := escapes(p, text)
		say("escapes", of("p", &p, "s", &text), of("r0", &r0))
	}
	{
		p := &Point{int32(k), 10}
		r0 := p.method(text, k)
		r1 := p.byValue(k)
		say("(*Point).method", of("p", &p, "s", &text, "n", &k), of("r0", &r0))
		v := *p
		say("Point.byValue", of("p", &v, "n", &k), of("r0", &r1))
	}
	{
		r0 := generic(k, 1)
		s0 := generic(text, k)
		one := 1
		say("generic", of("v", &k, "n", &one), of("r0", &r0))
		say("generic", of("v", &text, "n", &k), of("r0", &s0))
		b := &box[string]{text}
		r1, r2 := b.get(k)
		say("(*box[...]).get", of("b", &b, "n", &k), of("r0", &r1, "r1", &r2))
	}
	{
		done := make(chan int)
		// A new goroutine's stack is too small for it: it moves before the call.
		go func() { done <- grows(k, text) }()
		r0 := <-done
		say("grows", of("n", &k, "s", &text), of("r0", &r0))
	}
	{
		u, p, t := text, "hidden", []byte("hidden")
		r0 := login(u, p, t)
		say("login", of("user", &u), of("r0", &r0))
	}
}

func main() {
	handshake.Ready()
	for k := 1; k <= rounds; k++ {
		ints.In()
		round(k)
		ints.Out()
	}
	for _, line := range told {
		handshake.Say(line)
	}
	deadlines()
	tellFailures()
	runtime.KeepAlive(sinkOf)
	handshake.Done()
}
