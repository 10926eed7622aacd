//go:build go1.21

package main

import "context"

func init() {
	newer = func(ctx context.Context) []context.Context {
		without := context.WithoutCancel(ctx)
		return []context.Context{without, context.WithValue(without, Level(1), 1)}
	}
}
