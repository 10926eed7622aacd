//! The table: one row for each form of binary.

use std::fmt;

use crate::{
    compare::Score,
    form::{Plan, Stripping, goarch},
};

/// What came of one form.
pub enum Outcome {
    Compared(Score),
    /// Not built on this machine, and why.
    Skipped(&'static str),
}

pub struct Row {
    pub plan: Plan,
    pub stripping: Stripping,
    pub outcome: Outcome,
}

#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    pub fn push(&mut self, row: Row) {
        self.0.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: Vec<(String, &Outcome)> = self
            .0
            .iter()
            .map(
                |Row {
                     plan,
                     stripping,
                     outcome,
                 }| {
                    let arch = goarch(plan.arch);
                    let version = &plan.toolchain.version;
                    (
                        format!("{version:<8} {arch:<5} {:<12} {stripping:<11}", plan.mode),
                        outcome,
                    )
                },
            )
            .collect();
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        writeln!(
            f,
            "\n{:<8} {:<5} {:<12} {:<11} {:>13} {:>13} {:>8}",
            "go", "arch", "build", "stripped", "functions", "sites", "refused"
        )?;
        let mut skipped = 0;
        for (form, outcome) in rows {
            match outcome {
                Outcome::Compared(score) => writeln!(
                    f,
                    "{form} {:>6}/{:<6} {:>6}/{:<6} {:>8}",
                    score.found, score.functions, score.right, score.sites, score.refused
                )?,
                Outcome::Skipped(why) => {
                    skipped += 1;
                    writeln!(f, "{form} skipped: {why}")?;
                }
            }
        }
        writeln!(f, "found/expected, right/expected; {skipped} forms skipped")
    }
}
