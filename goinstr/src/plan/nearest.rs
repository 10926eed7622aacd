//! The existing names nearest to a pattern that matches none.
//!
//! People leave out what they don't see: the import path, the receiver's `(*)`, type arguments,
//! capitals. So names are compared without those, ends and parts of names before misspellings.

use std::cmp::Ordering;

use strsim::osa_distance;

use super::pattern::without_type_arguments;

/// How many are named: what fits an error line.
const NAMED: usize = 3;
/// Longer names are nobody's misspelling, and comparing costs the product of the lengths.
const MAX_BYTES: usize = 200;

/// The names nearest to `pattern`, best first; none if nothing is like it.
#[must_use]
pub fn nearest<'n>(pattern: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let needle = plain(pattern);
    if needle.is_empty() || needle.len() > MAX_BYTES {
        return Vec::new();
    }
    // More edits than a third of what was typed is another word.
    let most = (needle.chars().count() / 3).clamp(1, 8);
    let mut best: Vec<(Likeness, &'n str)> = Vec::with_capacity(NAMED + 1);
    for name in names {
        let worst = match best.last() {
            Some((likeness, _)) if best.len() == NAMED => Some(*likeness),
            _ => None,
        };
        let Some(likeness) = likeness(&needle, name, most, worst) else {
            continue;
        };
        let key = (likeness, name);
        let at = best.partition_point(|entry| order(entry, &key) == Ordering::Less);
        if best.get(at).is_some_and(|entry| entry.1 == name) {
            continue;
        }
        best.insert(at, key);
        best.truncate(NAMED);
    }
    best.into_iter().map(|(_, name)| name).collect()
}

/// How alike, best first: the kind, then how much differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    /// Only what people leave out differs.
    Same,
    /// The name ends in it: the path or the receiver was left out. How much was.
    End(usize),
    /// It is in the name. How much else is.
    Part(usize),
    /// So many edits apart.
    Edits(usize),
}

fn order(a: &(Likeness, &str), b: &(Likeness, &str)) -> Ordering {
    // A misspelling by a letter or two is meant more probably than a longer name it is a part of.
    let rank = |likeness: Likeness| match likeness {
        Likeness::Same => (0, 0),
        Likeness::End(rest) => (1, rest),
        Likeness::Edits(edits) if edits <= 2 => (2, edits),
        Likeness::Part(rest) => (3, rest),
        Likeness::Edits(edits) => (4, edits),
    };
    rank(a.0).cmp(&rank(b.0)).then_with(|| a.1.cmp(b.1))
}

fn likeness(needle: &str, name: &str, most: usize, worst: Option<Likeness>) -> Option<Likeness> {
    if name.len() > MAX_BYTES {
        return None;
    }
    let name = plain(name);
    if name == needle {
        return Some(Likeness::Same);
    }
    if let Some(before) = name.strip_suffix(needle)
        && (before.ends_with(['.', '/']) || needle.starts_with(['.', '/']))
    {
        return Some(Likeness::End(before.len()));
    }
    if needle.len() >= 3 && name.contains(needle) {
        return Some(Likeness::Part(name.len() - needle.len()));
    }
    // What stands before the part that was typed is no difference: path, package, receiver.
    let after = |mark| name.rsplit(mark).next().unwrap_or(&name);
    let name = match (needle.contains('/'), needle.contains('.')) {
        (true, _) => &name,
        (false, true) => after('/'),
        (false, false) => after('.'),
    };
    let most = match worst {
        Some(Likeness::Edits(edits)) => most.min(edits),
        _ => most,
    };
    if name.len().abs_diff(needle.len()) > most {
        return None;
    }
    let edits = osa_distance(needle, name);
    (edits <= most).then_some(Likeness::Edits(edits))
}

/// The name in small letters without wildcards, receivers' brackets and type arguments.
fn plain(name: &str) -> String {
    let name = if name.contains('[') {
        without_type_arguments(name)
    } else {
        name.to_owned()
    };
    let name = name.replace("[...]", "");
    name.chars()
        .filter(|c| !matches!(c, '(' | ')' | '*' | '?'))
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &[
        "main.work",
        "main.worker",
        "main.main",
        "main.(*Cache[go.shape.int]).Get",
        "main.(*Cache[go.shape.string]).Get",
        "net/http.(*conn).serve",
        "net/http.(*conn).serve.func1",
        "net/http.(*Server).Serve",
        "runtime.gcBgMarkWorker",
    ];

    fn of(pattern: &str) -> Vec<&'static str> {
        nearest(pattern, NAMES.iter().copied())
    }

    #[test]
    fn a_misspelling_finds_its_name_first() {
        assert_eq!(of("main.wrok")[0], "main.work");
        assert_eq!(of("net/http.(*con).serve")[0], "net/http.(*conn).serve");
    }

    #[test]
    fn what_people_leave_out_is_no_difference() {
        assert_eq!(of("(*conn).serve")[0], "net/http.(*conn).serve");
        assert_eq!(of("http.conn.serve")[0], "net/http.(*conn).serve");
        assert_eq!(of("main.cache.get")[0], "main.(*Cache[go.shape.int]).Get");
        assert_eq!(
            of("main.(*Cache).Get")[1],
            "main.(*Cache[go.shape.string]).Get"
        );
        assert_eq!(of("MAIN.WORK")[0], "main.work");
        assert_eq!(of("gcBgMrakWorker"), ["runtime.gcBgMarkWorker"]);
    }

    #[test]
    fn a_glob_that_matches_nothing_finds_what_its_letters_are_near_to() {
        assert_eq!(of("main.wrk*")[0], "main.work");
    }

    #[test]
    fn nothing_alike_is_nothing() {
        assert!(of("github.com/acme/zebra.Stripe").is_empty());
        assert!(of("*").is_empty());
    }

    #[test]
    fn among_many_alike_the_nearest_are_named() {
        let names: Vec<String> = (0..2_000)
            .map(|n| {
                format!(
                    "github.com/acme/package{}/sub.(*Type{}).Method{}",
                    n % 70,
                    n % 9,
                    n
                )
            })
            .collect();
        let found = nearest(
            "github.com/acme/packge50/sub.(*Type4).Metod400",
            names.iter().map(String::as_str),
        );
        assert_eq!(found.len(), NAMED);
        assert_eq!(found[0], "github.com/acme/package50/sub.(*Type4).Method400");
    }
}
