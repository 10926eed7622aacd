//! One page for a browser: what was measured, to be searched and looked into without goinstr,
//! without a server and without a network.
//!
//! The page is `page.html` with `page.css`, `page.js` and the figures as JSON put into it. Nothing
//! of the target becomes markup: the script only ever sets text.

mod data;

use std::io::{self, Write};

use data::{Data, Figures, Heat, Slow};

use super::human::{duration, things};
use super::visible::visible;
use super::{Sink, json_text, ledger, names};
use crate::aggregate::{CallEvent, CallTree, Distribution, Ledger, Outcome, Report, SessionInfo};
use crate::plan::{Location, ProbePlan};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Functions on the page, those with the most time: more make no page that a browser likes.
const FUNCTIONS: usize = 2_000;
/// Paths of the call tree on the page.
const PATHS: usize = 20_000;
/// Single calls listed, the slowest.
const SLOWEST: usize = 200;

/// Writes the page at the end.
#[derive(Debug)]
pub struct HtmlSink<W: Write> {
    out: W,
    title: String,
    heading: String,
    start_unix_ns: u64,
    names: Vec<String>,
    places: Vec<Option<Location>>,
    skipped: Vec<String>,
    tree: CallTree,
    calls: u64,
    slowest: Vec<CallEvent>,
    heat: Heat,
    /// The distributions at the last interval.
    before: Vec<Distribution>,
}

impl<W: Write> HtmlSink<W> {
    /// Writes to `out`, which should buffer.
    pub fn new(out: W) -> Self {
        Self {
            out,
            title: String::new(),
            heading: String::new(),
            start_unix_ns: 0,
            names: Vec::new(),
            places: Vec::new(),
            skipped: Vec::new(),
            tree: CallTree::default(),
            calls: 0,
            slowest: Vec::new(),
            heat: Heat::default(),
            before: Vec::new(),
        }
    }

    /// Keeps the slowest, and now and then throws away what is none of them.
    fn keep_slow(&mut self, call: &CallEvent) {
        self.slowest.push(call.bare());
        if self.slowest.len() >= 4 * SLOWEST {
            self.cut_slowest();
        }
    }

    fn cut_slowest(&mut self) {
        self.slowest
            .sort_by_key(|call| std::cmp::Reverse((call.duration_ns, call.start_unix_ns)));
        self.slowest.truncate(SLOWEST);
    }

    fn data(&mut self, report: &Report, books: &Ledger) -> Data {
        self.cut_slowest();
        let mut shown: Vec<_> = report.functions.iter().filter(|f| f.calls > 0).collect();
        let called = shown.len();
        shown.sort_by_key(|f| std::cmp::Reverse((f.total_ns, f.calls)));
        shown.truncate(FUNCTIONS);
        let functions: Vec<_> = shown
            .into_iter()
            .map(|figures| {
                let id = figures.function;
                let place = usize::try_from(id)
                    .ok()
                    .and_then(|index| self.places.get(index))
                    .and_then(Option::as_ref);
                let slots = figures.distribution.slots();
                Figures {
                    id,
                    name: names::of(&self.names, id).to_owned(),
                    file: place.map(|at| visible(&at.file).into_owned()),
                    line: place.map(|at| at.line),
                    calls: figures.calls,
                    unwound: figures.unwound,
                    in_flight: figures.in_flight,
                    total_ns: figures.total_ns,
                    self_ns: figures.self_ns,
                    min_ns: figures.min_ns,
                    mean_ns: figures.mean_ns,
                    p50_ns: figures.p50_ns,
                    p90_ns: figures.p90_ns,
                    p99_ns: figures.p99_ns,
                    p999_ns: figures.p999_ns,
                    max_ns: figures.max_ns,
                    slots: slots
                        .map(|slot| (slot.low, slot.width, slot.calls))
                        .collect(),
                    heat: self.heat.of(id),
                }
            })
            .collect();
        let paths = self.tree.finish();
        let paths = paths.iter().take(PATHS).map(|path| {
            let caller = path.caller.map_or(-1, |caller| caller as i64);
            (
                path.function,
                caller,
                path.calls,
                path.unwound,
                path.total_ns,
                path.self_ns,
            )
        });
        let paths: Vec<_> = paths.collect();
        let slowest = self.slowest.iter().map(|call| Slow {
            function: call.function,
            goid: call.goid,
            at_ns: call.start_unix_ns.saturating_sub(self.start_unix_ns),
            duration_ns: call.duration_ns,
            self_ns: call.self_ns,
            unwound: call.outcome == Outcome::Unwound,
            parent: call.parent,
        });
        let mut notes = self.skipped.clone();
        notes.extend(ledger::lines(books, report.elapsed_ns));
        Data {
            heading: self.heading.clone(),
            elapsed_ns: report.elapsed_ns,
            start_unix_ns: self.start_unix_ns,
            notes,
            called,
            measured: report.functions.len(),
            calls: report.functions.iter().map(|f| f.calls).sum(),
            single_calls: self.calls,
            names: self.tree_names(&paths),
            columns: self.heat.columns(),
            functions,
            paths,
            slowest: slowest.collect(),
        }
    }

    /// Names of what only the tree and the slowest calls speak of.
    fn tree_names(
        &self,
        paths: &[(u32, i64, u64, u64, u64, u64)],
    ) -> std::collections::BTreeMap<u32, String> {
        let in_tree = paths.iter().map(|path| path.0);
        let slow = self
            .slowest
            .iter()
            .flat_map(|call| [Some(call.function), call.parent])
            .flatten();
        let name = |id| (id, names::of(&self.names, id).to_owned());
        in_tree.chain(slow).map(name).collect()
    }
}

/// Text that can stand between tags.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

impl<W: Write> Sink for HtmlSink<W> {
    fn wants_distributions(&self) -> bool {
        true
    }

    fn session(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        let who = info.pid.map_or(String::new(), |pid| format!("pid {pid}, "));
        let version = info.go_version.as_deref().unwrap_or("unknown Go");
        self.title = visible(&info.exe).into_owned();
        self.heading = format!(
            "{who}{} ({}, {}), Linux {}: {} at {}",
            self.title,
            visible(version),
            info.arch,
            visible(&info.kernel),
            things(info.functions, "function"),
            things(info.sites, "site"),
        );
        self.start_unix_ns = info.start_unix_ns;
        self.names = names::distinct(plan);
        let place = |function: &crate::plan::PlannedFunction| function.location.clone();
        self.places = plan.functions.iter().map(place).collect();
        self.skipped = ledger::skipped_lines(&plan.skipped);
        self.before = vec![Distribution::default(); plan.functions.len()];
        Ok(())
    }

    fn call(&mut self, call: &CallEvent) -> io::Result<()> {
        self.calls += 1;
        self.keep_slow(call);
        self.tree.add(call);
        Ok(())
    }

    fn interval(&mut self, _number: u64, report: &Report) -> io::Result<()> {
        self.heat.next(report.elapsed_ns);
        for figures in &report.functions {
            let index = usize::try_from(figures.function).unwrap_or(usize::MAX);
            if figures.calls_in_interval == 0 {
                continue;
            }
            if let Some(before) = self.before.get_mut(index) {
                self.heat
                    .add(figures.function, &figures.distribution.since(before));
                before.clone_from(&figures.distribution);
            }
        }
        Ok(())
    }

    fn finish(&mut self, report: &Report, ledger: &Ledger) -> io::Result<()> {
        let data = self.data(report, ledger);
        // Within a script element only this could end it.
        let json = json_text::to_string(&data)?.replace('<', "\\u003c");
        let title = format!("{}, {}", self.title, duration(report.elapsed_ns));
        let mut rest = PAGE;
        // In the order in which they stand in the page; what is put in is not searched again.
        for (mark, text) in [
            ("{{title}}", escaped(&title).as_str()),
            ("{{style}}", STYLE),
            ("{{data}}", &json),
            ("{{script}}", SCRIPT),
        ] {
            let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
            self.out.write_all(before.as_bytes())?;
            self.out.write_all(text.as_bytes())?;
            rest = after;
        }
        self.out.write_all(rest.as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample;

    fn page() -> String {
        let mut bytes = Vec::new();
        sample::play_calls(&mut HtmlSink::new(&mut bytes));
        String::from_utf8(bytes).expect("UTF-8")
    }

    fn data(page: &str) -> serde_json::Value {
        let (_, rest) = page
            .split_once(r#"<script type="application/json" id="data">"#)
            .expect("data");
        let (json, _) = rest.split_once("</script>").expect("its end");
        serde_json::from_str(json).expect("JSON")
    }

    #[test]
    fn the_figures_of_the_page() {
        insta::assert_json_snapshot!(data(&page()));
    }

    #[test]
    fn the_page_needs_nothing_else() {
        let page = page();
        assert!(page.starts_with("<!doctype html>"));
        assert!(page.trim_end().ends_with("</html>"));
        assert!(!page.contains("{{"), "something was not put in");
        for needs in [
            "src=",
            "href=\"http",
            "@import",
            "url(",
            "fetch(",
            "http://",
            "https://",
        ] {
            assert!(!page.contains(needs), "{needs}");
        }
        assert!(page.contains("default-src 'none'"));
        assert!(!page.contains('\x1b') && !page.contains('\u{202e}'));
    }

    #[test]
    fn a_name_cannot_become_markup() {
        let mut plan = sample::plan();
        plan.functions[0].name = "</script><script>alert(1)</script>".to_owned();
        let mut info = sample::info();
        info.exe = "<img onerror=alert(1)>{{data}}".to_owned();
        let mut bytes = Vec::new();
        let mut sink = HtmlSink::new(&mut bytes);
        sink.session(&info, &plan).expect("session");
        sink.interval(0, &sample::report(1)).expect("interval");
        sink.finish(&sample::report(1), &sample::ledger())
            .expect("finish");
        let page = String::from_utf8(bytes).expect("UTF-8");
        assert!(!page.contains("alert(1)</script>") && !page.contains("<img"));
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(data(&page).to_string().contains("alert(1)"));
    }
}
