package main

// through and forger are assembly: both call f, the second with a frame pointer that shows something
// like a frame where none is.
func through(f func() int)

func forger(f func() int)
