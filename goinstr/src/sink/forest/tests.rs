//! Calls that are made up, and the trees they become.

use super::*;
use crate::aggregate::{CallValues, Content, Outcome, Value, Values};

fn call(function: u32, goid: u64, depth: u32, start: u64, end: u64) -> CallEvent {
    CallEvent {
        function,
        goid,
        parent_goid: None,
        start_unix_ns: start,
        duration_ns: end - start,
        self_ns: 0,
        corrected_ns: 0,
        outcome: Outcome::Returned,
        parent: None,
        depth,
        states: None,
        callers: Vec::new(),
        stack: None,
        values: None,
    }
}

fn started_by(parent: u64, call: CallEvent) -> CallEvent {
    CallEvent {
        parent_goid: Some(parent),
        ..call
    }
}

/// Function and level of each entry; open calls as 1000 + function.
fn lines(entries: &[Entry]) -> Vec<(u32, u32)> {
    entries
        .iter()
        .map(|entry| match entry {
            Entry::Call { call, level, .. } => (call.function, *level),
            Entry::Open { call, level } => (1000 + call.function, *level),
        })
        .collect()
}

fn open(function: u32, goid: u64, depth: u32, start_unix_ns: u64) -> OpenCall {
    OpenCall {
        function,
        goid,
        depth,
        start_unix_ns,
    }
}

#[test]
fn calls_stand_under_the_one_they_were_made_in() {
    let mut forest = Forest::default();
    forest.add(call(2, 7, 2, 20, 30));
    forest.add(call(9, 8, 0, 25, 35));
    forest.add(call(1, 7, 1, 15, 40));
    forest.add(call(2, 7, 1, 50, 60));
    assert_eq!(
        lines(&forest.ready(Some(&[open(0, 7, 0, 10)]), 70)),
        [(9, 0)]
    );
    forest.add(call(0, 7, 0, 10, 70));
    assert_eq!(
        lines(&forest.ready(Some(&[]), 70)),
        [(0, 0), (1, 1), (2, 2), (2, 1)]
    );
    assert_eq!(forest.kept, Kept::default());
}

#[test]
fn a_root_that_never_returns_keeps_nothing_for_ever() {
    let mut forest = Forest::default();
    let root = open(0, 7, 0, 10);
    forest.add(call(1, 7, 1, 20, 30));
    assert_eq!(
        lines(&forest.ready(Some(std::slice::from_ref(&root)), 40)),
        []
    );
    let later = 40 + PATIENCE_NS;
    let shown = forest.ready(Some(&[root]), later);
    assert_eq!(lines(&shown), [(1000, 0), (1, 1)]);
    let many = (KEPT_BYTES / call(1, 7, 1, 0, 0).bytes()) as u64;
    for at in 0..=many {
        forest.add(call(1, 7, 1, later + at, later + at));
    }
    let shown = forest.ready(Some(&[open(0, 7, 0, 10)]), later);
    assert_eq!(shown.len() as u64, many + 2);
    assert_eq!(forest.kept, Kept::default());
}

#[test]
fn calls_with_values_wait_in_less_number() {
    let text = Value {
        type_name: "string".to_owned(),
        content: Content::Text {
            bytes: vec![b'a'; 100_000],
            length: 100_000,
            capacity: None,
        },
    };
    let values = CallValues {
        args: Some(Values(vec![("s".to_owned(), text)])),
        returns: None,
    };
    let large = CallEvent {
        values: Some(Box::new(values)),
        ..call(1, 7, 1, 20, 30)
    };
    let root = open(0, 7, 0, 10);
    let mut forest = Forest::default();
    let fit = KEPT_BYTES / large.bytes();
    for _ in 0..fit {
        forest.add(large.clone());
    }
    assert_eq!(
        lines(&forest.ready(Some(std::slice::from_ref(&root)), 40)),
        []
    );
    forest.add(large);
    let shown = forest.ready(Some(&[root]), 40);
    assert_eq!(shown.len(), fit + 2);
    assert_eq!(forest.kept, Kept::default());
}

#[test]
fn a_goroutine_stands_under_the_call_that_started_it() {
    let mut forest = Forest::default();
    forest.add(started_by(7, call(5, 8, 0, 22, 28)));
    assert_eq!(lines(&forest.ready(Some(&[open(0, 7, 0, 10)]), 30)), []);
    forest.add(call(1, 7, 1, 20, 30));
    forest.add(call(2, 7, 1, 40, 50));
    forest.add(started_by(7, call(6, 9, 0, 33, 90)));
    forest.add(call(0, 7, 0, 10, 60));
    assert_eq!(
        lines(&forest.ready(Some(&[]), 100)),
        [(0, 0), (1, 1), (5, 2), (6, 1), (2, 1)]
    );
    // Nobody waits for it any more.
    forest.add(started_by(7, call(5, 8, 0, 70, 80)));
    assert_eq!(
        lines(&forest.ready(Some(&[open(3, 7, 0, 75)]), 100)),
        [(5, 0)]
    );
}

#[test]
fn only_the_roots_and_levels_that_were_asked_for() {
    let mut forest = Forest::new(Cut {
        roots: Some(vec![false, true, false]),
        levels: Some(2),
    });
    for finished in [
        call(2, 7, 3, 22, 23),
        call(2, 7, 2, 21, 24),
        call(1, 7, 1, 20, 25),
        call(2, 7, 1, 26, 27),
        call(0, 7, 0, 10, 30),
        call(2, 8, 0, 10, 30),
    ] {
        forest.add(finished);
    }
    assert_eq!(lines(&forest.ready(Some(&[]), 40)), [(1, 0), (2, 1)]);
    assert_eq!(forest.kept, Kept::default());
}

#[test]
fn what_was_in_a_call_that_was_shed_waits_for_nobody() {
    let mut forest = Forest::default();
    // 0 is shed and open; the calls in it are one level deeper than what is told of.
    forest.add(call(2, 7, 2, 21, 22));
    forest.add(call(1, 7, 1, 20, 25));
    assert_eq!(lines(&forest.ready(Some(&[]), 30)), [(1, 0), (2, 1)]);
    // 3 is open inside of it, and will come.
    forest.add(call(2, 7, 2, 41, 42));
    assert_eq!(
        lines(&forest.ready(Some(&[open(3, 7, 1, 40)]), 50)),
        [(0, 0); 0]
    );
    forest.add(call(3, 7, 1, 40, 60));
    assert_eq!(lines(&forest.ready(Some(&[]), 70)), [(3, 0), (2, 1)]);
    // It is given up, and the next call is outermost.
    forest.add(call(1, 7, 1, 80, 85));
    forest.add(call(1, 7, 0, 90, 95));
    assert_eq!(lines(&forest.ready(Some(&[]), 100)), [(1, 0), (1, 0)]);
    assert_eq!(forest.kept, Kept::default());
}

#[test]
fn a_call_that_was_shed_leaves_no_level_empty() {
    let mut forest = Forest::default();
    let root = open(0, 7, 0, 10);
    // 5 was shed, and is around 1 and no longer around the second 2.
    forest.add(call(2, 7, 3, 21, 22));
    forest.add(call(1, 7, 2, 20, 25));
    forest.add(call(2, 7, 1, 30, 31));
    let shown = forest.ready(Some(&[root]), 40 + PATIENCE_NS);
    assert_eq!(lines(&shown), [(1000, 0), (1, 1), (2, 2), (2, 1)]);
    assert_eq!(forest.kept, Kept::default());
}

#[test]
fn what_a_root_that_was_shed_called_is_shown() {
    let mut forest = Forest::new(Cut {
        roots: Some(vec![true, false, false, false]),
        levels: None,
    });
    let inside = |parent, call| CallEvent {
        parent: Some(parent),
        ..call
    };
    forest.shed(0);
    // What it called itself begins a tree, and what is open in it is waited for.
    forest.add(inside(1, call(2, 7, 2, 21, 22)));
    assert_eq!(
        lines(&forest.ready(Some(&[open(1, 7, 1, 20)]), 30)),
        [(0, 0); 0]
    );
    forest.add(inside(0, call(1, 7, 1, 20, 25)));
    assert_eq!(lines(&forest.ready(Some(&[]), 30)), [(1, 0), (2, 1)]);
    // No longer in a root.
    forest.add(call(1, 7, 0, 40, 50));
    assert_eq!(lines(&forest.ready(Some(&[]), 60)), [(0, 0); 0]);
    assert_eq!(forest.kept, Kept::default());
}

#[test]
fn that_a_root_was_shed_may_be_told_after_calls_that_show_it() {
    let mut forest = Forest::new(Cut {
        roots: Some(vec![true, false]),
        levels: None,
    });
    forest.add(CallEvent {
        parent: Some(0),
        ..call(1, 7, 1, 20, 25)
    });
    // The root is given up, and this one outermost.
    forest.add(call(1, 7, 0, 40, 50));
    forest.shed(0);
    let shown = forest.ready(Some(&[]), 60);
    assert_eq!(lines(&shown), [(1, 0)]);
    assert_eq!(forest.kept, Kept::default());
}
