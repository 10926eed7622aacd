package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"syscall"
	"time"

	"example.com/handshake"
	otherfs "example.com/values/fs"
)

// refusal is an error that is its own text.
type refusal string

func (r refusal) Error() string { return string(r) }

// secretive has a field that is called like a secret.
type secretive struct{ Password, Reason string }

func (s *secretive) Error() string { return "secretive" }

//go:noinline
func fails(err error) (int, error) { calls++; return calls, err }

func second(_ any, err error) error { return err }

// failures are errors of the standard library's kinds, and some of our own.
func failures() []error {
	all := []error{
		nil,
		second(os.Open("/nowhere/ä")),
		&fs.PathError{Op: "read", Path: "/x", Err: io.ErrUnexpectedEOF},
		second(strconv.Atoi("12x")),
		second(strconv.ParseInt("99999999999999999999", 10, 64)),
		json.Unmarshal([]byte("{]"), new(any)),
		os.NewSyscallError("openat", syscall.EPERM),
		context.DeadlineExceeded,
		context.Canceled,
		io.EOF,
		fmt.Errorf("while reading: %w", io.EOF),
		second(exec.LookPath("no-such-program")),
		second(url.Parse("http://[::1")),
		os.ErrDeadlineExceeded,
	}
	all = append(all, networks()...)
	for i := 1; i <= 134; i++ {
		// Renamed between versions of Go.
		if i != 116 {
			all = append(all, syscall.Errno(i))
		}
	}
	return all
}

func networks() []error {
	all := []error{
		second(net.Dial("tcp", "127.0.0.1:1")),
		second(net.Dial("tcp", "[::1]:1")),
		second(net.Dial("unix", "/nowhere/socket")),
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		panic(err)
	}
	conn.SetReadDeadline(time.Unix(1, 0))
	all = append(all, second(conn.Read(make([]byte, 1))))
	conn.Close()
	all = append(all, second(conn.Read(make([]byte, 1))))
	listener.Close()
	return append(all, second(listener.Accept()))
}

// tellFailures tells what each error says, and of those whose text can't be had what they are made of.
func tellFailures() {
	tell := func(err error, fields any) {
		line := map[string]any{"type": "failure", "fields": fields}
		if err != nil {
			line["dynamic"], line["text"] = reflect.TypeOf(err).String(), err.Error()
		}
		fails(err)
		handshake.Say(line)
	}
	for _, err := range failures() {
		tell(err, nil)
	}
	tell(&failure{7, "seven"}, map[string]any{"text": "seven"})
	tell(&secretive{"hidden", "why"}, map[string]any{"Reason": "why"})
	tell(refusal("no"), "no")
	tell(second(strconv.Atoi("a\"b")), map[string]any{
		"Func": "Atoi", "Num": "a\"b", "Err": "invalid syntax",
	})
	tell(&url.Error{Op: "Get", URL: "http://x", Err: &fs.PathError{Op: "o", Path: "p", Err: io.EOF}},
		map[string]any{"Op": "Get", "URL": "http://x", "Err": nil})
	// Of another package, whose name is the same.
	tell(&otherfs.PathError{Op: "o", Path: "p", Err: io.EOF}, map[string]any{"Op": "o", "Path": "p"})
	tell(struct{ error }{errors.New("x")}, nil)
}
