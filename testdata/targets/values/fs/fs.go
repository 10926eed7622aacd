// Package fs has an error whose type prints like one of the standard library.
package fs

// PathError has fields as io/fs has them, and says something else.
type PathError struct {
	Op, Path string
	Err      error
}

func (e *PathError) Error() string { return "another one" }
