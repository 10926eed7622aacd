//! Writes a measurement down as it goes on.

use std::io::{self, Write};

use super::frames::Frames;
use super::line::{Definition, Header, Histogram, Interval, Own, Shed, VERSION};
use crate::aggregate::{
    CallEvent, Distribution, FunctionReport, Ledger, Report, SessionInfo, ShedEvent,
};
use crate::plan::ProbePlan;
use crate::sink::{JsonSink, Sink};

/// Writes a recording to `W`. Each interval is a zstd frame of its own and goes out at once: a kill
/// loses no more than the last.
pub struct RecordingSink<W: Write> {
    lines: JsonSink<Frames<W>>,
    /// What of each function is written already.
    written: Vec<Written>,
    calls: Budget,
    next_interval: u64,
}

#[derive(Clone, Debug, Default)]
struct Written {
    distribution: Distribution,
    calls: u64,
    in_flight: u64,
}

/// Single calls of one interval. The kernel's figures have every call; of these only so many are
/// written, the first of each second, so that trees of calls are whole and no burst fills the disk.
#[derive(Debug)]
struct Budget {
    per_second: u64,
    left: u64,
    seen: u64,
    recorded: u64,
}

impl Budget {
    fn take(&mut self) -> bool {
        self.seen += 1;
        let taken = self.left > 0;
        self.left -= u64::from(taken);
        self.recorded += u64::from(taken);
        taken
    }

    /// For the next interval, taken to be as long as the last.
    fn refill(&mut self, interval_ns: u64) {
        let calls = u128::from(self.per_second) * u128::from(interval_ns) / 1_000_000_000;
        *self = Self {
            left: u64::try_from(calls).unwrap_or(u64::MAX),
            seen: 0,
            recorded: 0,
            ..*self
        };
    }
}

impl<W: Write> RecordingSink<W> {
    /// Records to `out`, at most `calls_per_second` single calls; the functions' figures hold all.
    ///
    /// # Errors
    /// Those of setting up zstd.
    pub fn new(out: W, calls_per_second: u64) -> io::Result<Self> {
        Ok(Self {
            lines: JsonSink::new(Frames::new(out)?, true).with_ids(),
            written: Vec::new(),
            calls: Budget {
                per_second: calls_per_second,
                left: calls_per_second,
                seen: 0,
                recorded: 0,
            },
            next_interval: 0,
        })
    }

    /// What changed since the last interval.
    fn interval_lines(&mut self, number: u64, report: &Report) -> io::Result<()> {
        let mut changed = Report {
            elapsed_ns: report.elapsed_ns,
            interval_ns: report.interval_ns,
            ..Report::default()
        };
        let mut histograms = Vec::new();
        for figures in &report.functions {
            let Some(written) = usize::try_from(figures.function)
                .ok()
                .and_then(|index| self.written.get_mut(index))
            else {
                continue;
            };
            if (written.calls, written.in_flight) == (figures.calls, figures.in_flight) {
                continue;
            }
            let came = figures.distribution.since(&written.distribution);
            if !came.is_empty() {
                let slots = came.slots().map(|slot| (slot.low, slot.width, slot.calls));
                histograms.push(Histogram {
                    id: figures.function,
                    slots: slots.collect(),
                });
            }
            *written = Written {
                distribution: figures.distribution.clone(),
                calls: figures.calls,
                in_flight: figures.in_flight,
            };
            changed.functions.push(FunctionReport {
                distribution: Distribution::default(),
                ..figures.clone()
            });
        }
        self.lines.functions(&changed, Some(number))?;
        for histogram in histograms {
            self.lines.line(&Own::Histogram(histogram))?;
        }
        self.lines.line(&Own::Interval(Interval {
            number,
            elapsed_ns: report.elapsed_ns,
            interval_ns: report.interval_ns,
            calls_seen: self.calls.seen,
            calls_recorded: self.calls.recorded,
        }))?;
        self.calls.refill(report.interval_ns);
        self.next_interval = number + 1;
        Ok(())
    }
}

impl<W: Write> Sink for RecordingSink<W> {
    fn wants_distributions(&self) -> bool {
        true
    }

    fn session(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        self.written = vec![Written::default(); plan.functions.len()];
        self.lines.line(&Own::Recording(Header {
            version: VERSION,
            goinstr: env!("CARGO_PKG_VERSION").to_owned(),
            cpus: std::thread::available_parallelism().ok().map(Into::into),
            calls_per_second: (self.calls.per_second > 0).then_some(self.calls.per_second),
        }))?;
        for (function, id) in plan.functions.iter().zip(0..) {
            let library = plan.library_of(function);
            let library = library.map(|library| library.path.to_string_lossy());
            self.lines.line(&Own::Definition(Definition {
                id,
                function: &function.name,
                symbol: function.symbol.as_deref(),
                file: function.location.as_ref().map(|at| at.file.as_str()),
                line: function.location.as_ref().map(|at| at.line),
                library: library.as_deref(),
                inlined_into: function.inlined_into,
            }))?;
        }
        self.lines.session(info, plan)
    }

    fn call(&mut self, call: &CallEvent) -> io::Result<()> {
        if self.calls.take() {
            self.lines.call(call)?;
        }
        Ok(())
    }

    fn shed(&mut self, event: &ShedEvent) -> io::Result<()> {
        self.lines.shed(event)?;
        self.lines.line(&Own::Shed(Shed {
            id: event.function,
            function: &event.name,
            detail: &event.detail,
            calls_per_second: event.calls_per_second,
            after_ns: event.after_ns,
            at_unix_ns: event.at_unix_ns,
        }))
    }

    fn interval(&mut self, number: u64, report: &Report) -> io::Result<()> {
        self.interval_lines(number, report)?;
        self.lines.flush()
    }

    fn finish(&mut self, report: &Report, ledger: &Ledger) -> io::Result<()> {
        self.interval_lines(self.next_interval, report)?;
        self.lines.finish(report, ledger)
    }
}
