//! The figures as the page's script reads them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::aggregate::Distribution;

/// Columns of the time line: a page is no wider.
const COLUMNS: usize = 240;

/// All of the page. Times are in ns.
#[derive(Debug, Serialize)]
pub(super) struct Data {
    pub heading: String,
    pub elapsed_ns: u64,
    pub start_unix_ns: u64,
    /// The books and what was skipped, a line each.
    pub notes: Vec<String>,
    /// Functions called, and measured, of which the page may not have all.
    pub called: usize,
    pub measured: usize,
    /// Finished calls, and those of them that are known one by one.
    pub calls: u64,
    pub single_calls: u64,
    /// Names of the functions that paths and slow calls speak of.
    pub names: BTreeMap<u32, String>,
    /// Where each column of the time line ends, since the beginning.
    pub columns: Vec<u64>,
    pub functions: Vec<Figures>,
    /// Function, index of the caller's path or -1, calls, unwound ones, time, time of its own.
    pub paths: Vec<(u32, i64, u64, u64, u64, u64)>,
    pub slowest: Vec<Slow>,
}

/// A function.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub id: u32,
    pub name: String,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub calls: u64,
    pub unwound: u64,
    pub in_flight: u64,
    pub total_ns: u64,
    pub self_ns: u64,
    pub min_ns: Option<u64>,
    pub mean_ns: Option<u64>,
    pub p50_ns: Option<u64>,
    pub p90_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub p999_ns: Option<u64>,
    pub max_ns: Option<u64>,
    /// Shortest duration, number of durations, calls.
    pub slots: Vec<(u64, u64, u64)>,
    /// Column, band, calls.
    pub heat: Vec<(usize, u32, u64)>,
}

/// A single call.
#[derive(Debug, Serialize)]
pub(super) struct Slow {
    pub function: u32,
    pub goid: u64,
    pub at_ns: u64,
    pub duration_ns: u64,
    pub self_ns: u64,
    pub unwound: bool,
    pub parent: Option<u32>,
}

/// Durations over time: for each function the calls of a column of time and a band of durations,
/// four bands to a power of two. Where there are more intervals than columns, neighbours share one.
#[derive(Debug, Default)]
pub(super) struct Heat {
    ends: Vec<u64>,
    /// Intervals that share a column, and those that the last one has.
    shared: usize,
    in_last: usize,
    cells: BTreeMap<u32, BTreeMap<(usize, u32), u64>>,
}

impl Heat {
    /// Begins the interval that ended at `elapsed_ns`.
    pub fn next(&mut self, elapsed_ns: u64) {
        self.shared = self.shared.max(1);
        match self.ends.last_mut() {
            Some(end) if self.in_last < self.shared => {
                *end = elapsed_ns;
                self.in_last += 1;
            }
            _ => {
                if self.ends.len() >= COLUMNS {
                    self.halve();
                }
                self.ends.push(elapsed_ns);
                self.in_last = 1;
            }
        }
    }

    fn halve(&mut self) {
        self.shared *= 2;
        self.ends = self
            .ends
            .chunks(2)
            .filter_map(|two| two.last().copied())
            .collect();
        for cells in self.cells.values_mut() {
            for ((column, band), calls) in std::mem::take(cells) {
                *cells.entry((column / 2, band)).or_default() += calls;
            }
        }
    }

    /// Adds calls of the interval.
    pub fn add(&mut self, function: u32, calls: &Distribution) {
        let Some(column) = self.ends.len().checked_sub(1) else {
            return;
        };
        let cells = self.cells.entry(function).or_default();
        for slot in calls.slots() {
            *cells.entry((column, band(slot.middle()))).or_default() += slot.calls;
        }
    }

    /// The cells of a function.
    pub fn of(&self, function: u32) -> Vec<(usize, u32, u64)> {
        let cells = self.cells.get(&function).into_iter().flatten();
        cells
            .map(|(&(column, band), &calls)| (column, band, calls))
            .collect()
    }

    /// Where each column ends.
    pub fn columns(&self) -> Vec<u64> {
        self.ends.clone()
    }
}

/// The band of a duration: 4·log2 of it, rounded down.
fn band(duration_ns: u64) -> u32 {
    let duration = duration_ns.max(4);
    let octave = duration.ilog2();
    let quarter = (duration >> (octave - 2) & 3) as u32;
    octave * 4 + quarter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_quarters_of_powers_of_two() {
        let of = [4, 5, 6, 7, 8, 9, 10, 1024, 1280].map(band);
        assert_eq!(of, [8, 9, 10, 11, 12, 12, 13, 40, 41]);
        assert_eq!((band(0), band(u64::MAX)), (8, 63 * 4 + 3));
    }

    #[test]
    fn a_long_recording_shares_columns_and_loses_no_call() {
        let mut heat = Heat::default();
        let mut one = Distribution::default();
        one.add(1000, 1);
        for interval in 1..=1000 {
            heat.next(interval);
            heat.add(7, &one);
        }
        let columns = heat.columns();
        assert!(columns.len() <= COLUMNS && columns.len() >= COLUMNS / 2);
        assert_eq!(columns.last(), Some(&1000));
        assert!(columns.windows(2).all(|two| two[0] < two[1]));
        let cells = heat.of(7);
        assert_eq!(cells.iter().map(|cell| cell.2).sum::<u64>(), 1000);
        // Each column has as many calls as it has intervals.
        for &(column, _, calls) in &cells {
            let begin = column.checked_sub(1).map_or(0, |before| columns[before]);
            assert_eq!(calls, columns[column] - begin, "{column}");
        }
    }
}
