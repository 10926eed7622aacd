//! What the terminal UI shows, apart from how: the figures, the order of the rows, what is chosen.

use std::{collections::HashMap, sync::Arc};

use super::history::History;
use crate::aggregate::{CallEvent, FunctionReport, Mode, Report, SessionInfo, ShedEvent};
use crate::plan::{PlannedFunction, ProbePlan};
use crate::sink::{Sort, columns::Column, human::things, names, visible::visible};

/// Slowest calls that are kept of each function.
const SLOWEST: usize = 10;

/// What was asked for on the command line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub sort: Sort,
    pub color: bool,
    /// Single calls at least this long are told of.
    pub slower_than_ns: Option<u64>,
}

/// By what the rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// A column of figures.
    By(Column),
    /// The names.
    Name,
}

/// What is on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Table,
    /// The page of a function, by its index in the plan.
    Function(u32),
}

/// What is being typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typing {
    /// Rows without the word are not shown.
    Filter,
    /// The next row with the word is chosen.
    Search,
}

/// What is known of a function but for its figures.
#[derive(Debug)]
pub(super) struct Known {
    /// Harmless to a terminal.
    pub name: String,
    /// `file:line`, harmless too.
    pub location: Option<String>,
    pub inlined_into: u32,
}

/// The state of the terminal UI.
#[derive(Debug)]
pub(super) struct Model {
    pub heading: String,
    pub mode: Mode,
    pub settings: Settings,
    pub floor_ns: Option<u64>,
    pub functions: Vec<Known>,
    /// What is shown: the last report, or the one at which it was paused.
    pub report: Arc<Report>,
    latest: Arc<Report>,
    pub history: History,
    /// The slowest first, by function.
    pub slowest: HashMap<u32, Vec<CallEvent>>,
    /// Single calls that came, by function and the measured function around them.
    pub pairs: HashMap<(u32, Option<u32>), u64>,
    /// Single calls that came too fast to be looked at.
    pub missed: u64,
    /// Functions that are no longer measured, since when after the beginning.
    pub shed: HashMap<u32, u64>,
    pub view: View,
    pub help: bool,
    pub paused: bool,
    pub mouse: bool,
    pub quit: bool,
    pub order: Order,
    pub reversed: bool,
    pub filter: String,
    pub search: String,
    pub typing: Option<Typing>,
    /// The chosen function: the choice follows it when rows change places.
    pub chosen: Option<u32>,
    /// The first row that is shown.
    pub top: usize,
    /// Rows that there was room for when it was last drawn.
    pub room: usize,
    /// Where the table's columns begin on the screen, and its rows: for the mouse.
    pub places: Places,
}

/// Where things are on the screen.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The line of the titles.
    pub titles: u16,
    /// First column and the one after the last of each title, and the order it stands for.
    pub columns: Vec<(u16, u16, Order)>,
}

impl Model {
    /// Nothing was measured yet.
    pub fn new(info: &SessionInfo, plan: &ProbePlan, settings: Settings) -> Self {
        let who = info.pid.map_or(String::new(), |pid| format!("pid {pid}, "));
        let version = info.go_version.as_deref().unwrap_or("unknown Go");
        let heading = format!(
            "{who}{} ({}, {}): {}",
            visible(&info.exe),
            visible(version),
            info.arch,
            things(info.functions, "function"),
        );
        let known = |(function, name): (&PlannedFunction, String)| Known {
            name,
            location: function
                .location
                .as_ref()
                .map(|at| format!("{}:{}", visible(&at.file), at.line)),
            inlined_into: function.inlined_into,
        };
        let names = names::unique(plan);
        Self {
            heading,
            mode: info.mode,
            settings,
            floor_ns: info
                .probe_costs
                .and_then(|costs| costs.floor_ns)
                .map(u64::from),
            functions: plan.functions.iter().zip(names).map(known).collect(),
            report: Arc::default(),
            latest: Arc::default(),
            history: History::default(),
            slowest: HashMap::new(),
            pairs: HashMap::new(),
            missed: 0,
            shed: HashMap::new(),
            view: View::Table,
            help: false,
            paused: false,
            mouse: true,
            quit: false,
            order: Order::By(match (info.mode, settings.sort) {
                (Mode::Count | Mode::Entries, _) | (_, Sort::Calls) => Column::Calls,
                (_, Sort::Total) => Column::Total,
                (_, Sort::P50) => Column::P50,
                (_, Sort::P99) => Column::P99,
                (_, Sort::Max) => Column::Max,
                (_, Sort::SelfTime) => Column::SelfTime,
            }),
            reversed: false,
            filter: String::new(),
            search: String::new(),
            typing: None,
            chosen: None,
            top: 0,
            room: 1,
            places: Places::default(),
        }
    }

    /// Takes the figures of an interval.
    pub fn add_report(&mut self, report: Arc<Report>) {
        self.history.add(&report);
        self.latest = report;
        if !self.paused {
            self.report = Arc::clone(&self.latest);
        }
    }

    /// Takes a single call.
    pub fn add_call(&mut self, call: CallEvent) {
        *self.pairs.entry((call.function, call.parent)).or_default() += 1;
        let slowest = self.slowest.entry(call.function).or_default();
        let at = slowest.partition_point(|other| other.duration_ns >= call.duration_ns);
        if at < SLOWEST {
            slowest.insert(at, call);
            slowest.truncate(SLOWEST);
        }
    }

    /// Takes that a function is no longer measured.
    pub fn add_shed(&mut self, event: &ShedEvent) {
        self.shed.insert(event.function, event.after_ns);
    }

    /// Keeps what is shown, or goes on with the latest.
    pub fn pause(&mut self) {
        self.paused = !self.paused;
        if !self.paused {
            self.report = Arc::clone(&self.latest);
        }
    }

    /// The name of a function.
    pub fn name(&self, function: u32) -> &str {
        let known = usize::try_from(function)
            .ok()
            .and_then(|index| self.functions.get(index));
        known.map_or("?", |known| &known.name)
    }

    /// The figures of a function.
    pub fn figures(&self, function: u32) -> Option<&FunctionReport> {
        self.report
            .functions
            .iter()
            .find(|figures| figures.function == function)
    }

    /// The functions that are shown, in order: those that were called and pass the filter.
    pub fn rows(&self) -> Vec<&FunctionReport> {
        let filter = self.filter.to_lowercase();
        let shown = |figures: &&FunctionReport| {
            (figures.calls > 0 || figures.in_flight > 0)
                && (filter.is_empty()
                    || self.name(figures.function).to_lowercase().contains(&filter))
        };
        let mut rows: Vec<_> = self.report.functions.iter().filter(shown).collect();
        let by_name = |a: &FunctionReport, b: &FunctionReport| {
            self.name(a.function).cmp(self.name(b.function))
        };
        rows.sort_by(|a, b| {
            let ordering = match self.order {
                Order::Name => by_name(a, b),
                Order::By(column) => column.figure(b).cmp(&column.figure(a)),
            };
            let ordering = if self.reversed {
                ordering.reverse()
            } else {
                ordering
            };
            ordering.then_with(|| by_name(a, b))
        });
        rows
    }

    /// Chooses the row `by` rows from the chosen one; from none, the first or the last.
    pub fn step(&mut self, by: isize) {
        let rows: Vec<u32> = self.rows().iter().map(|row| row.function).collect();
        let now = self
            .chosen
            .and_then(|chosen| rows.iter().position(|&row| row == chosen));
        let last = rows.len().saturating_sub(1);
        let to = match now {
            Some(now) => now.saturating_add_signed(by).min(last),
            None if by < 0 => last,
            None => 0,
        };
        self.chosen = rows.get(to).copied();
        self.reveal(to);
    }

    /// Chooses the row at a place, from 0.
    pub fn choose(&mut self, place: usize) {
        self.chosen = self.rows().get(place).map(|row| row.function);
        self.reveal(place);
    }

    /// Chooses the next row that has the word searched for, or the one before.
    pub fn find(&mut self, forwards: bool) {
        let word = self.search.to_lowercase();
        let rows: Vec<(u32, bool)> = self
            .rows()
            .iter()
            .map(|row| {
                let name = self.name(row.function).to_lowercase();
                (row.function, !word.is_empty() && name.contains(&word))
            })
            .collect();
        let count = rows.len();
        let now = self
            .chosen
            .and_then(|chosen| rows.iter().position(|&(row, _)| row == chosen));
        // From the row after the chosen one, once around.
        let place = (1..=count).map(|step| match (now, forwards) {
            (None, true) => step - 1,
            (None, false) => count - step,
            (Some(now), true) => (now + step) % count,
            (Some(now), false) => (now + count - step) % count,
        });
        let hit = place
            .into_iter()
            .find(|&place| rows.get(place).is_some_and(|&(_, hit)| hit));
        if let Some(place) = hit {
            self.choose(place);
        }
    }

    /// Scrolls so that a row is on the screen.
    fn reveal(&mut self, place: usize) {
        let room = self.room.max(1);
        self.top = self.top.clamp((place + 1).saturating_sub(room), place);
    }
}
