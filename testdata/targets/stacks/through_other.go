//go:build !amd64

package main

func through(f func() int) { f() }

func forger(f func() int) { f() }
