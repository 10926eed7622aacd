// cgoint: cgo of the standard library alone (os/user) is linked internally: C functions land in
// pclntab like Go ones, with no flag to tell them.
package main

import "os/user"

func main() {
	u, err := user.Lookup("root")
	println(u != nil, err == nil)
}
