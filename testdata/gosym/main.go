// gosym prints the functions of a Go program as Go's own debug/gosym reads them, one a line: address
// (relative to the text since Go 1.18), file, line and name, with tabs between. It needs no symbol table and
// no section, so it can tell of stripped programs what other tools can't.
package main

import (
	"bufio"
	"bytes"
	"debug/elf"
	"debug/gosym"
	"fmt"
	"os"
)

// tables are the bytes that may begin a function table: by name of a section, else wherever its magic is.
func tables(path string) ([][]byte, error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for _, name := range []string{".gopclntab", ".data.rel.ro.gopclntab"} {
		if section := file.Section(name); section != nil {
			data, err := section.Data()
			return [][]byte{data}, err
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var found [][]byte
	for _, magic := range []byte{0xf1, 0xf0, 0xfa} {
		begin := []byte{magic, 0xff, 0xff, 0xff, 0, 0}
		for at := 0; ; {
			next := bytes.Index(whole[at:], begin)
			if next < 0 {
				break
			}
			at += next
			found = append(found, whole[at:])
			at++
		}
	}
	return found, nil
}

// functions are those of a table; none if it is something else.
func functions(table []byte) (read *gosym.Table) {
	defer func() {
		if recover() != nil {
			read = nil
		}
	}()
	read, err := gosym.NewTable(nil, gosym.NewLineTable(table, 0))
	if err != nil {
		return nil
	}
	return read
}

func main() {
	candidates, err := tables(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var best *gosym.Table
	for _, candidate := range candidates {
		table := functions(candidate)
		if table != nil && (best == nil || len(table.Funcs) > len(best.Funcs)) {
			best = table
		}
	}
	if best == nil || len(best.Funcs) == 0 {
		fmt.Fprintln(os.Stderr, "no function table")
		os.Exit(1)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for _, function := range best.Funcs {
		file, line, _ := best.PCToLine(function.Entry)
		fmt.Fprintf(out, "%#x\t%s\t%d\t%s\n", function.Entry, file, line, function.Name)
	}
}
