//! A Go program with many functions, written for the occasion.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::target;

/// Its functions: with an entry and a return each, 30,000 sites.
pub const FUNCTIONS: usize = 15_000;

/// What it does besides: each line of stdin is what to do and how often, the answer how many ns it took.
const MAIN: &str = r#"package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

//go:noinline
func leaf(n int) int { return n + 1 }

// in makes n calls in each of g goroutines, of k functions in turn.
func in(g, k, n int) {
	var done sync.WaitGroup
	for i := 0; i < g; i++ {
		done.Add(1)
		go func() {
			defer done.Done()
			sum := 0
			for i := 0; i < n; i++ {
				sum += functions[i%k](i)
			}
			if sum == 1 {
				fmt.Println()
			}
		}()
	}
	done.Wait()
}

func main() {
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var what string
		var n int
		fmt.Sscan(lines.Text(), &what, &n)
		var kind string
		number := 1
		fmt.Sscanf(what, "%1s%d", &kind, &number)
		runtime.GOMAXPROCS(1)
		start := time.Now()
		switch kind {
		case "f": // functions
			in(1, number, n)
		case "g": // goroutines
			in(number, 1, n/number)
		case "p": // CPUs
			runtime.GOMAXPROCS(number)
			in(number, 1, n)
		}
		fmt.Println(time.Since(start).Nanoseconds())
	}
}
"#;

/// Builds it.
pub fn build() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("many");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("go.mod"), "module many\n\ngo 1.21\n")?;
    fs::write(folder.join("main.go"), MAIN)?;
    let mut source = "package main\n\nvar functions = []func(int) int{\n".to_owned();
    for number in 0..FUNCTIONS {
        writeln!(source, "\tf{number},")?;
    }
    source.push_str("}\n");
    for number in 0..FUNCTIONS {
        writeln!(
            source,
            "\n//go:noinline\nfunc f{number}(n int) int {{ return leaf(n) * {} }}",
            number + 3
        )?;
    }
    fs::write(folder.join("functions.go"), source)?;
    target::build_in(&folder, "many-functions")
}
