//! The hardest targets again: by every Go toolchain of this machine, in every form of executable.

use crate::{
    Test,
    support::{build::Build, case::Case, toolchain},
    test,
};

pub fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for target in ["grow", "panics", "goexit", "overtaken"] {
        for (form, build) in [
            ("stripped", Build::of(target).stripped()),
            ("pie", Build::of(target).pie()),
        ] {
            tests.push(test(format!("versions::{target}_{form}"), move || {
                Case::of(build)
                    .args(small(target))
                    .may_skip(endless(target))
                    .exact()
                    .map(drop)
            }));
        }
        tests.push(
            test(format!("versions::{target}_race"), move || {
                Case::of(Build::of(target).race())
                    .args(small(target))
                    .may_skip(endless(target))
                    .exact()
                    .map(drop)
            })
            .needing_c(),
        );
        // The first is the usual one, which all other tests use.
        for go in toolchain::all().iter().skip(1) {
            for (form, build) in [
                ("optimised", Build::of(target).with(go)),
                ("unoptimised", Build::of(target).with(go).unoptimised()),
            ] {
                let name = format!("versions::{target}_go_{}_{form}", go.version);
                tests.push(test(name, move || {
                    Case::of(build)
                        .args(small(target))
                        .may_skip(endless(target))
                        .exact()
                        .map(drop)
                }));
            }
        }
    }
    tests
}

/// Arguments that keep unoptimised frames within the shadow stack.
fn small(target: &str) -> &'static [&'static str] {
    match target {
        "grow" => &["4", "200"],
        _ => &[],
    }
}

/// What may be skipped for want of a return.
fn endless(target: &str) -> &'static [&'static str] {
    match target {
        "overtaken" => &["main.park", "main.raise", "main.leave"],
        _ => &[],
    }
}
