//! The parts of a Go symbol's name: package, receiver, what is generic, what is a closure.
//!
//! In: a name as pclntab has it (`gopkg.in/yaml%2ev3.(*Decoder[go.shape.int]).Read.func1`). The
//! grammar is the linker's (`cmd/internal/objabi/path.go`, `debug/gosym/symtab.go`), not the
//! language's: names hold spaces, braces and slashes inside type arguments.

use std::borrow::Cow;

/// The package's part of a name as the symbol has it, escapes included; empty for what the linker
/// or the compiler made up (`type:.eq.…`, `go:…`).
pub fn package(name: &str) -> &str {
    if ["type:", "type..", "go:", "go.shape."]
        .iter()
        .any(|made_up| name.starts_with(made_up))
    {
        return "";
    }
    let path = before_arguments(name);
    let last = path.rfind('/').map_or(0, |slash| slash + 1);
    path[last..].find('.').map_or("", |dot| &name[..last + dot])
}

/// The import path of a package's part of a name: `yaml%2ev3` is `yaml.v3`.
pub fn import_path(package: &str) -> Cow<'_, str> {
    if !package.contains('%') {
        return Cow::Borrowed(package);
    }
    let mut path = Vec::with_capacity(package.len());
    let mut rest = package.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        path.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() {
            &after[2..]
        } else {
            after
        };
    }
    String::from_utf8(path).map_or(Cow::Borrowed(package), Cow::Owned)
}

/// The type that a method belongs to, without pointer and type arguments: `Decoder`. `None` for
/// what is no method, closures of functions among them.
pub fn receiver(name: &str) -> Option<&str> {
    let package = package(name);
    let rest = name
        .get(package.len() + 1..)
        .filter(|_| !package.is_empty())?;
    if let Some(pointer) = rest.strip_prefix("(*") {
        return pointer.find(['[', ')']).map(|end| &pointer[..end]);
    }
    let (first, after) = rest.split_at(before_arguments(rest).find('.').unwrap_or_else(|| {
        let arguments = arguments_end(rest);
        if arguments > 0 { arguments } else { rest.len() }
    }));
    let second = after.strip_prefix('.')?.split('.').next()?;
    let receiver = before_arguments(first);
    let method = !second.is_empty() && !is_closure_part(second);
    (method && !receiver.is_empty()).then_some(receiver)
}

/// Whether the function is a literal inside another one (or the compiler's own such: a `go` or
/// `defer` wrapper, a body of a range over a function).
pub fn is_closure(name: &str) -> bool {
    let end = arguments_end(name);
    let last = name[end..].rsplit('.').next().unwrap_or_default();
    is_closure_part(last) || last.contains("-range")
}

/// Whether the compiler made the function up: wrappers of `go` and `defer` statements and of method
/// values, bodies of loops over functions, functions of types, initialisers of variables.
pub fn is_made_up(name: &str) -> bool {
    let end = arguments_end(name);
    let last = name[end..].rsplit('.').next().unwrap_or_default();
    let numbered = |prefix: &str| {
        last.strip_prefix(prefix)
            .is_some_and(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))
    };
    let package = package(name);
    package.is_empty()
        || numbered("gowrap")
        || numbered("deferwrap")
        || last.contains("-range")
        || last.ends_with("-fm")
        // The user's own `init` functions are numbered: `main.init.0`.
        || name.get(package.len() + 1..) == Some("init")
        || name[package.len() + 1..].starts_with("map.init.")
}

/// Whether the name has type arguments.
pub fn is_generic(name: &str) -> bool {
    name.contains('[') && arguments_end(name) > 0
}

/// The name as Go's own traces and profiles print it: type arguments as `[...]`
/// (`runtime.funcNameForPrint`).
pub fn printed(name: &str) -> Cow<'_, str> {
    match (name.find('['), name.rfind(']')) {
        (Some(open), Some(close)) if open < close => {
            Cow::Owned(format!("{}[...]{}", &name[..open], &name[close + 1..]))
        }
        _ => Cow::Borrowed(name),
    }
}

/// What stands before the type arguments, which hold package paths of their own.
fn before_arguments(name: &str) -> &str {
    name.find('[').map_or(name, |open| &name[..open])
}

/// Where the last type argument list ends, 0 if there is none.
fn arguments_end(name: &str) -> usize {
    name.rfind(']').map_or(0, |close| close + 1)
}

/// `func1`, `gowrap2`, `deferwrap1`, or a bare number, of a nested closure.
fn is_closure_part(part: &str) -> bool {
    let part = part.split('-').next().unwrap_or(part);
    let digits = ["func", "gowrap", "deferwrap"]
        .iter()
        .find_map(|prefix| part.strip_prefix(prefix))
        .unwrap_or(part);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packages() {
        for (name, expected) in [
            ("main.work", "main"),
            ("net/http.(*conn).serve", "net/http"),
            (
                "github.com/acme/app.(*Cache[go.shape.int]).Get",
                "github.com/acme/app",
            ),
            ("main.F[github.com/a/b.T].func1", "main"),
            (
                "main.(*T[github.com/a/b.X,go.shape.struct { A int }]).Do",
                "main",
            ),
            ("gopkg.in/yaml%2ev3.Unmarshal", "gopkg.in/yaml%2ev3"),
            ("main.glob..func1", "main"),
            ("type:.eq.main.T", ""),
            ("type..eq.[2]interface {}", ""),
            ("go:buildid", ""),
            ("_rt0_amd64_linux", ""),
            ("", ""),
        ] {
            assert_eq!(package(name), expected, "{name}");
        }
        assert_eq!(import_path("gopkg.in/yaml%2ev3"), "gopkg.in/yaml.v3");
        assert_eq!(import_path("a%2"), "a%2");
        assert_eq!(import_path("a%zz%2e"), "a%zz.");
        assert_eq!(import_path("caf%c3%a9"), "café");
    }

    #[test]
    fn receivers() {
        for (name, expected) in [
            ("net/http.(*conn).serve", Some("conn")),
            ("main.(*Cache[go.shape.int]).Get.func1", Some("Cache")),
            ("main.(*Cache[...]).Get", Some("Cache")),
            ("main.T.Get", Some("T")),
            ("main.T[go.shape.int].Get", Some("T")),
            ("main.T.Get-fm", Some("T")),
            ("main.run", None),
            ("main.run.func1", None),
            ("main.run.gowrap1", None),
            ("main.run.func1.2", None),
            ("main.F[go.shape.int]", None),
            ("main.F[go.shape.int].func1", None),
            ("main.run-range1", None),
            ("main.glob..func1", None),
            ("_rt0_amd64_linux", None),
        ] {
            assert_eq!(receiver(name), expected, "{name}");
        }
    }

    #[test]
    fn closures_and_generics() {
        for name in [
            "main.run.func1",
            "main.run.func1.2",
            "main.run.gowrap3",
            "main.f-range1",
            "main.glob..func4",
            "main.F[go.shape.int].func1",
            "main.(*T).Do.deferwrap1",
            "main.run.func2-range1",
        ] {
            assert!(is_closure(name), "{name}");
        }
        for name in [
            "main.run",
            "main.(*T).Do",
            "main.T.Get-fm",
            "main.F[go.shape.int]",
            "main.func2x",
        ] {
            assert!(!is_closure(name), "{name}");
        }
        for name in [
            "main.run.gowrap3",
            "main.(*T).Do.deferwrap1",
            "main.f-range1",
            "main.T.Get-fm",
            "main.init",
            "main.map.init.0",
            "type:.eq.main.T",
        ] {
            assert!(is_made_up(name), "{name}");
        }
        for name in [
            "main.run.func1",
            "main.init.0",
            "main.T.Get",
            "main.gowrapper",
            "main.initialise",
        ] {
            assert!(!is_made_up(name), "{name}");
        }
        assert!(is_generic("main.F[go.shape.int]") && !is_generic("main.F"));
        assert_eq!(printed("main.(*T[go.shape.[]int]).Do[x]"), "main.(*T[...]");
        assert_eq!(printed("main.(*T[go.shape.[]int]).Do"), "main.(*T[...]).Do");
        assert_eq!(printed("main.F"), "main.F");
    }

    proptest! {
        #[test]
        fn any_name_is_taken(name: String) {
            let _ = (package(&name), import_path(&name), receiver(&name), is_closure(&name), printed(&name));
        }

        #[test]
        fn any_name_of_the_grammar_s_marks_is_taken(name in "[a./\\[\\](*%2e)-]{0,24}") {
            let _ = (package(&name), import_path(&name), receiver(&name), is_closure(&name), printed(&name));
        }
    }
}
