//! Random Go programs that count their own calls: a seed in, the source of a Go package out.
//!
//! A function is counted from outside: `In` stands just before a call and `Out` just after it, so
//! `Out` is reached exactly when the function has executed its own return, whatever its deferred
//! functions did about panics. What the runtime calls (deferred functions) counts itself, and
//! therefore defers nothing. What is open at the end is told by the Go runtime's own traceback.
//! Which branches run is decided at run time by package `chance` beside the targets, which bounds
//! depth, fuel and goroutines; so every program ends.

use super::dice::Dice;

/// How a function is written and called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Method,
    Value,
    Interface,
    Generic,
    Closure,
    ManyArguments,
}

const KINDS: [Kind; 10] = [
    Kind::Plain,
    Kind::Plain,
    Kind::Plain,
    Kind::Method,
    Kind::Value,
    Kind::Interface,
    Kind::Generic,
    Kind::Closure,
    Kind::Closure,
    Kind::ManyArguments,
];

/// Leaf functions: none calls anything, some have no stack check, some loop to their first byte.
const LEAVES: [&str; 5] = [
    "(p *int) int { return *p*3 + 1 }",
    "(p *int) int { for { *p += 3; if *p > 40 { return *p } } }",
    "(p *int) int { var b [40]byte; b[*p&31] = byte(*p); return int(b[(*p+1)&31]) }",
    "(p *int) int { var b [3000]byte; b[*p&2047] = 1; return int(b[(*p+1)&2047]) }",
    "(p *int) int { if *p&1 == 1 { return 7 }; for i := 0; i < 9; i++ { *p ^= i }; return *p }",
];

/// Bytes of a frame: none to speak of, some, one that needs the large check, one that outgrows
/// a goroutine's first stack.
const FRAMES: [u32; 6] = [0, 0, 0, 64, 700, 9000];

/// The Go package `name` of the module `module`, the same for the same seed.
pub fn package(module: &str, name: &str, seed: u64) -> String {
    let mut dice = Dice::new(seed);
    let count = 6 + dice.below(12);
    let functions = (0..count).map(|_| dice.pick(&KINDS)).collect();
    let leaves = 1 + dice.below(4);
    let deferred = 1 + dice.below(4);
    let mut writer = Writer {
        dice,
        path: format!("{module}/{name}"),
        functions,
        leaves,
        deferred,
        counters: String::new(),
        counted: 0,
        body: String::new(),
    };
    writer.program();
    format!(
        "// Generated from seed {seed}.\npackage {name}\n\nimport (\n\"runtime\"\n\n\"example.com/handshake\"\n\"example.com/handshake/chance\"\n)\n\nvar (\n{}_ = runtime.NumCPU\n)\n\n{}",
        writer.counters, writer.body
    )
}

/// Where statements are written to: the function's name so far, for the names of its closures.
struct Scope {
    name: String,
    is_closure: bool,
    closures: u32,
}

impl Scope {
    fn closure(&mut self) -> Self {
        self.closures += 1;
        let joint = if self.is_closure { "." } else { ".func" };
        Self {
            name: format!("{}{joint}{}", self.name, self.closures),
            is_closure: true,
            closures: 0,
        }
    }
}

struct Writer {
    dice: Dice,
    path: String,
    functions: Vec<Kind>,
    leaves: u64,
    deferred: u64,
    counters: String,
    counted: u32,
    body: String,
}

impl Writer {
    fn line(&mut self, line: impl AsRef<str>) {
        self.body.push_str(line.as_ref());
        self.body.push('\n');
    }

    /// A counter of its own for a closure.
    fn counter(&mut self, function: &str) -> String {
        self.counted += 1;
        let variable = format!("count{}", self.counted);
        self.named_counter(&variable, function);
        variable
    }

    fn named_counter(&mut self, variable: &str, function: &str) {
        let path = &self.path;
        self.counters.push_str(&format!(
            "{variable} = handshake.Count(\"{path}.{function}\")\n"
        ));
    }

    fn program(&mut self) {
        self.line("type T struct{ k int }\ntype V struct{ a, b int }\nvar theT = &T{3}\n");
        self.interface();
        for leaf in 0..self.leaves {
            let body = self.dice.pick(&LEAVES);
            self.named_counter(&format!("leafs{leaf}"), &format!("leaf{leaf}"));
            self.line(format!("//go:noinline\nfunc leaf{leaf}{body}\n"));
        }
        for deferred in 0..self.deferred {
            self.deferred_function(deferred);
        }
        for index in 0..self.functions.len() {
            self.function(index);
        }
        self.run();
    }

    fn interface(&mut self) {
        self.line("type caller interface {");
        for index in 0..self.functions.len() {
            if self.functions[index] == Kind::Interface {
                self.line(format!("i{index}(c *chance.Ctx, n int) int"));
            }
        }
        self.line("}\n\nvar anyCaller caller = theT\n");
    }

    /// A function that is deferred by name: it counts itself and may recover.
    fn deferred_function(&mut self, index: u64) {
        let name = format!("deferred{index}");
        let counter = self.counter(&name);
        self.line(format!("//go:noinline\nfunc {name}() {{\n{counter}.In()"));
        if self.dice.percent(60) {
            self.line("_ = recover()");
        }
        let leaf = self.dice.below(self.leaves);
        self.line(format!(
            "if chance.Roll(40) {{ x := 5; leafs{leaf}.In(); leaf{leaf}(&x); leafs{leaf}.Out() }}"
        ));
        if self.dice.percent(30) {
            self.line("if chance.Roll(8) { panic(\"deferred\") }");
        }
        self.line(format!("{counter}.Out()\n}}\n"));
    }

    fn function(&mut self, index: usize) {
        let kind = self.functions[index];
        let (name, signature) = match kind {
            Kind::Plain => (
                format!("f{index}"),
                format!("f{index}(c *chance.Ctx, n int)"),
            ),
            Kind::Method => (
                format!("(*T).m{index}"),
                format!("(t *T) m{index}(c *chance.Ctx, n int)"),
            ),
            Kind::Value => (
                format!("V.v{index}"),
                format!("(v V) v{index}(c *chance.Ctx, n int)"),
            ),
            Kind::Interface => (
                format!("(*T).i{index}"),
                format!("(t *T) i{index}(c *chance.Ctx, n int)"),
            ),
            Kind::Generic => (
                format!("g{index}[...]"),
                format!("g{index}[K any](c *chance.Ctx, n int, k K)"),
            ),
            Kind::Closure => (format!("make{index}"), format!("make{index}(k int)")),
            Kind::ManyArguments => (
                format!("a{index}"),
                format!(
                    "a{index}(c *chance.Ctx, n int, s string, b [3]int, x float64, d, e, f, g, h, i, j int)"
                ),
            ),
        };
        let mut scope = Scope {
            name: name.clone(),
            is_closure: false,
            closures: 0,
        };
        if kind == Kind::Closure {
            self.named_counter(&format!("makes{index}"), &name);
            let mut inner = scope.closure();
            self.named_counter(&format!("counts{index}"), &inner.name);
            self.line(format!(
                "//go:noinline\nfunc {signature} func(*chance.Ctx, int) int {{\nreturn func(c *chance.Ctx, n int) (r int) {{\nr = k"
            ));
            self.function_body(&mut inner);
            self.line("}\n}\n");
        } else {
            self.named_counter(&format!("counts{index}"), &name);
            self.line(format!("//go:noinline\nfunc {signature} (r int) {{"));
            self.function_body(&mut scope);
            self.line("}\n");
        }
    }

    fn function_body(&mut self, scope: &mut Scope) {
        let frame = self.dice.pick(&FRAMES);
        if frame > 0 {
            self.line(format!("var pad [{frame}]byte\npad[n&63] = byte(n)"));
        }
        if self.dice.percent(45) {
            for _ in 0..=self.dice.below(2) {
                self.defer(scope);
            }
        }
        self.line("if n <= 0 || !c.Spend() {");
        self.leaf_call();
        self.line("return r\n}");
        for _ in 0..=self.dice.below(4) {
            self.statement(scope);
        }
        if frame > 0 {
            self.line("r += int(pad[r&63])");
        }
        self.line("return r");
    }

    fn defer(&mut self, scope: &mut Scope) {
        match self.dice.below(10) {
            0..=2 => {
                let which = self.dice.below(self.deferred);
                self.line(format!("defer deferred{which}()"));
            }
            3 => {
                // In a loop: on the heap.
                self.line("for i := 0; i < 1+n&1; i++ {");
                self.deferred_closure(scope);
                self.line("}");
            }
            4 => {
                // Conditional, and still compiled into the exit.
                self.line("if n&1 == 0 {");
                self.deferred_closure(scope);
                self.line("}");
            }
            _ => self.deferred_closure(scope),
        }
    }

    fn deferred_closure(&mut self, scope: &mut Scope) {
        let mut inner = scope.closure();
        let counter = self.counter(&inner.name);
        self.line(format!("defer func() {{\n{counter}.In()"));
        let recovers = self.dice.percent(50);
        // Before recovering, calls run while the panic is on; after it, as ordinary ones.
        // Deferred before the function looks at its fuel: what is deferred pays for itself.
        if self.dice.percent(30) {
            self.line("if c.Spend() {");
            self.call();
            self.line("}");
        }
        if recovers {
            self.line("if recover() != nil { r = -1 }");
        }
        if self.dice.percent(40) {
            self.line("if c.Spend() {");
            self.statement(&mut inner);
            self.line("}");
        }
        if self.dice.percent(15) {
            self.line("if c.Roll(15) { c.Die() }");
        }
        self.line(format!("{counter}.Out()\n}}()"));
    }

    fn statement(&mut self, scope: &mut Scope) {
        match self.dice.below(20) {
            0..=6 => self.call(),
            7..=8 => {
                let most = 1 + self.dice.below(3);
                self.line(format!(
                    "for i, most := 0, c.Some({most}); i < most; i++ {{"
                ));
                self.call();
                self.line("}");
            }
            9..=10 => self.leaf_call(),
            11..=12 => self.line("c.Rest()"),
            13..=14 => self.line("if c.Roll(12) { c.Die() }"),
            15 => self.line("if c.Roll(20) { panic(n) }"),
            16 => self.line("if c.Roll(6) { runtime.Goexit() }"),
            17 => self.line("if c.Roll(1) { c.Park() }"),
            18 => self.spawn(scope),
            _ => {
                self.line("if c.Roll(50) {");
                self.call();
                self.line("} else {");
                self.leaf_call();
                self.line("}");
            }
        }
    }

    fn leaf_call(&mut self) {
        let leaf = self.dice.below(self.leaves);
        self.line(format!(
            "{{ x := n; leafs{leaf}.In(); y := leaf{leaf}(&x); leafs{leaf}.Out(); r += y }}"
        ));
    }

    fn spawn(&mut self, scope: &mut Scope) {
        let inner = scope.closure();
        let counter = self.counter(&inner.name);
        self.line(format!(
            "chance.Go({counter}, func(c *chance.Ctx) {{\nn, r := n, 0"
        ));
        self.call();
        self.line("_ = r\n})");
    }

    /// A call of some function, one level deeper.
    fn call(&mut self) {
        let count = u64::try_from(self.functions.len()).unwrap_or(1);
        let index = usize::try_from(self.dice.below(count)).unwrap_or(0);
        let (before, call) = match self.functions[index] {
            Kind::Plain => (String::new(), format!("f{index}(c, n-1)")),
            Kind::Method => (String::new(), format!("theT.m{index}(c, n-1)")),
            Kind::Value => (String::new(), format!("V{{n, 2}}.v{index}(c, n-1)")),
            Kind::Interface => (String::new(), format!("anyCaller.i{index}(c, n-1)")),
            Kind::Generic => {
                let argument = self.dice.pick(&["7", "\"text\"", "theT", "2.5"]);
                (String::new(), format!("g{index}(c, n-1, {argument})"))
            }
            Kind::Closure => (
                format!("makes{index}.In(); h := make{index}(n); makes{index}.Out(); "),
                "h(c, n-1)".to_owned(),
            ),
            Kind::ManyArguments => (
                String::new(),
                format!("a{index}(c, n-1, \"s\", [3]int{{1, n, 3}}, 0.5, 1, 2, 3, 4, 5, 6, n)"),
            ),
        };
        self.line(format!(
            "{{ {before}counts{index}.In(); y := {call}; counts{index}.Out(); r += y }}"
        ));
    }

    /// The goroutines that the program begins with.
    fn run(&mut self) {
        self.named_counter("Runs", "Run");
        self.line("// Run starts the program's first goroutines.\n//\n//go:noinline\nfunc Run() {");
        let mut scope = Scope {
            name: "Run".to_owned(),
            is_closure: false,
            closures: 0,
        };
        for _ in 0..4 {
            let inner = scope.closure();
            let counter = self.counter(&inner.name);
            let depth = 4 + self.dice.below(14);
            self.line(format!(
                "for i := 0; i < 10; i++ {{\nchance.Go({counter}, func(c *chance.Ctx) {{\nn, r := {depth}, 0\nfor c.Spend() {{"
            ));
            self.call();
            self.line("}\n_ = r\n})\n}");
        }
        self.line("}");
    }
}
