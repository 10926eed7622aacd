// Command inject writes the twin of the program in the current folder that measures itself: each
// function begins with `defer duration("pkg", "func")()`. It is run in that folder, with the
// folder for its output as argument, and leaves there overlay.json for `go build -overlay`.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"log"
	"os"
	"path/filepath"
	"strconv"
)

const duration = `package main

import "example.com/oracle/durations"

var duration = durations.Start
`

func main() {
	out := os.Args[1]
	sources, err := filepath.Glob("*.go")
	check(err)
	here, err := os.Getwd()
	check(err)
	replace := map[string]string{}
	put := func(name string, text []byte) {
		file := filepath.Join(out, name)
		check(os.WriteFile(file, text, 0o644))
		replace[filepath.Join(here, name)] = file
	}
	for _, source := range sources {
		put(source, instrument(source))
	}
	put("duration.go", []byte(duration))
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	check(err)
	check(os.WriteFile(filepath.Join(out, "overlay.json"), overlay, 0o644))
}

func instrument(source string) []byte {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, source, nil, parser.ParseComments)
	check(err)
	text, err := os.ReadFile(source)
	check(err)
	var result bytes.Buffer
	at := 0
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		// main is open over all the others and ends after they have been told.
		if !ok || function.Body == nil || function.Name.Name == "main" {
			continue
		}
		brace := files.Position(function.Body.Lbrace).Offset + 1
		result.Write(text[at:brace])
		fmt.Fprintf(&result, "\ndefer duration(%q, %q)()\n", file.Name.Name, name(function))
		at = brace
	}
	result.Write(text[at:])
	formatted, err := format.Source(result.Bytes())
	check(err)
	return formatted
}

// name is the function's as stack traces print it, without its package.
func name(function *ast.FuncDecl) string {
	if function.Recv == nil {
		return function.Name.Name
	}
	switch receiver := function.Recv.List[0].Type.(type) {
	case *ast.StarExpr:
		return "(*" + receiver.X.(*ast.Ident).Name + ")." + function.Name.Name
	case *ast.Ident:
		return receiver.Name + "." + function.Name.Name
	default:
		panic("a receiver at " + strconv.Itoa(int(function.Pos())))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
