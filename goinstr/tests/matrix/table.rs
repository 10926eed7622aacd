//! The table: one row for each form of binary.

use std::fmt;

use goinstr::binary::Arch;

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

/// What was compared, as the table's left half tells it.
pub struct Form {
    pub version: String,
    pub arch: Arch,
    pub build: String,
    pub stripped: String,
}

impl Form {
    pub fn of(plan: &Plan, stripping: Stripping) -> Self {
        Self {
            version: plan.toolchain.version.clone(),
            arch: plan.arch,
            build: plan.mode.to_string(),
            stripped: stripping.to_string(),
        }
    }
}

pub struct Row {
    pub form: Form,
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
            .map(|Row { form, outcome }| {
                let Form {
                    version,
                    arch,
                    build,
                    stripped,
                } = form;
                let arch = goarch(*arch);
                (
                    format!("{version:<9} {arch:<5} {build:<22} {stripped:<11}"),
                    outcome,
                )
            })
            .collect();
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        writeln!(
            f,
            "\n{:<9} {:<5} {:<22} {:<11} {:>13} {:>13} {:>8}",
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
