//! Folded stacks: a line a path, `outer;inner;innermost weight`, as Brendan Gregg's `flamegraph.pl`
//! and all that came after it read them; and the flame graph itself, drawn by inferno.

use std::io::{self, Write};

use super::human::{count, duration};
use super::visible::visible;
use super::{Sink, names};
use crate::aggregate::{CallEvent, CallTree, Ledger, Path, Report, SessionInfo};
use crate::plan::ProbePlan;

/// What the width of a path is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weight {
    /// The time that calls took, in ns: those inside stand on those around them.
    #[default]
    Wall,
    /// The time spent in each function itself, in ns, with its callers standing on it.
    Exclusive,
    /// The time that calls took, in ns, and on it what they did in it: a frame `[running]`, `[waiting:
    /// chan receive]` and so on, `[state not known]` where that was not followed.
    State,
    /// The number of calls, callers below.
    Calls,
}

/// How the paths are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// As text.
    Folded,
    /// As an SVG that can be zoomed and searched in a browser.
    FlameGraph,
}

/// Writes the paths of a measurement's single calls.
#[derive(Debug)]
pub struct FoldedSink<W: Write> {
    out: W,
    weight: Weight,
    drawing: Drawing,
    names: Vec<String>,
    title: String,
    tree: CallTree,
    calls: u64,
}

impl<W: Write> FoldedSink<W> {
    /// Writes to `out`, which need not buffer.
    pub fn new(out: W, drawing: Drawing, weight: Weight) -> Self {
        Self {
            out,
            weight,
            drawing,
            names: Vec::new(),
            title: String::new(),
            tree: CallTree::default(),
            calls: 0,
        }
    }

    /// The lines, sorted.
    fn lines(&mut self) -> Vec<String> {
        let paths = self.tree.finish().to_vec();
        let weight = |path: &Path| match self.weight {
            Weight::Wall | Weight::Exclusive | Weight::State => path.self_ns,
            Weight::Calls => path.calls,
        };
        let mut lines = Vec::new();
        for (index, path) in paths.iter().enumerate() {
            if weight(path) == 0 {
                continue;
            }
            let mut functions = self.tree.functions(index);
            if self.weight == Weight::Exclusive {
                functions.reverse();
            }
            // A semicolon parts frames, and Go's names of types may hold some.
            let frame = |&function: &u32| names::of(&self.names, function).replace(';', ",");
            let frames: Vec<_> = functions.iter().map(frame).collect();
            let frames = frames.join(";");
            if self.weight == Weight::State {
                let known = path.self_states.total_ns();
                let rest = (
                    "state not known".to_owned(),
                    path.self_ns.saturating_sub(known),
                );
                let states = path.self_states.named().chain([rest]);
                lines.extend(states.filter(|&(_, ns)| ns > 0).map(|(state, ns)| {
                    format!("{frames};[{}] {ns}", visible(&state).replace(';', ","))
                }));
                continue;
            }
            lines.push(format!("{frames} {}", weight(path)));
        }
        lines.sort();
        lines
    }

    fn flame_graph(&mut self, lines: &[String], subtitle: String) -> io::Result<()> {
        let mut options = inferno::flamegraph::Options::default();
        options.title = match self.weight {
            Weight::Wall => "Time in calls".to_owned(),
            Weight::Exclusive => "Time in functions themselves, callers above".to_owned(),
            Weight::State => "Time in calls, by what they did".to_owned(),
            Weight::Calls => "Calls".to_owned(),
        };
        options.title += &format!(": {}", self.title);
        options.subtitle = Some(subtitle);
        options.count_name = match self.weight {
            Weight::Wall | Weight::Exclusive | Weight::State => "ns",
            Weight::Calls => "calls",
        }
        .to_owned();
        options.hash = true;
        if lines.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "there are no single calls to draw; record some (see --calls)",
            ));
        }
        let lines = lines.iter().map(String::as_str);
        inferno::flamegraph::from_lines(&mut options, lines, &mut self.out)
            .map_err(io::Error::other)
    }
}

impl<W: Write> Sink for FoldedSink<W> {
    fn session(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        if self.weight == Weight::State && info.states.is_none() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the recording does not say what calls did; make one with record --states",
            ));
        }
        self.names = names::distinct(plan);
        self.title = visible(&info.exe).into_owned();
        Ok(())
    }

    fn call(&mut self, call: &CallEvent) -> io::Result<()> {
        self.calls += 1;
        self.tree.add(call);
        Ok(())
    }

    fn interval(&mut self, _number: u64, _report: &Report) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, report: &Report, _ledger: &Ledger) -> io::Result<()> {
        let lines = self.lines();
        match self.drawing {
            Drawing::Folded => {
                for line in lines {
                    writeln!(self.out, "{line}")?;
                }
            }
            Drawing::FlameGraph => {
                let all = report.functions.iter().map(|figures| figures.calls).sum();
                let subtitle = format!(
                    "{} of {} calls in {}",
                    count(self.calls),
                    count(all),
                    duration(report.elapsed_ns)
                );
                self.flame_graph(&lines, subtitle)?;
            }
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample;

    fn written(drawing: Drawing, weight: Weight) -> String {
        let mut bytes = Vec::new();
        sample::play_calls(&mut FoldedSink::new(&mut bytes, drawing, weight));
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn the_paths_with_their_time() {
        insta::assert_snapshot!(written(Drawing::Folded, Weight::Wall));
    }

    #[test]
    fn the_paths_with_callers_above() {
        insta::assert_snapshot!(written(Drawing::Folded, Weight::Exclusive));
    }

    #[test]
    fn the_paths_with_their_calls() {
        insta::assert_snapshot!(written(Drawing::Folded, Weight::Calls));
    }

    #[test]
    fn the_paths_with_what_was_done_on_them() {
        let mut bytes = Vec::new();
        sample::play_states(&mut FoldedSink::new(
            &mut bytes,
            Drawing::Folded,
            Weight::State,
        ));
        assert_eq!(
            String::from_utf8(bytes).expect("UTF-8"),
            "main.work;[runnable] 100\n\
             main.work;[running] 1400\n\
             main.work;[waiting: chan receive] 2000\n\
             main.work;main.(*Cache[...]).Get;[running] 500\n\
             main.work;main.(*Cache[...]).Get;[system call] 3000\n\
             main.work;main.(*Cache[...]).Get;[waiting: select] 1000\n"
        );
    }

    #[test]
    fn without_states_there_is_nothing_to_tell_apart() {
        let mut bytes = Vec::new();
        let mut sink = FoldedSink::new(&mut bytes, Drawing::Folded, Weight::State);
        let error = sink
            .session(&sample::info(), &sample::plan())
            .expect_err("no states");
        assert!(error.to_string().contains("record --states"), "{error}");
    }

    #[test]
    fn the_flame_graph_is_as_wide_as_the_sum() {
        let svg = written(Drawing::FlameGraph, Weight::Wall);
        let folded = written(Drawing::Folded, Weight::Wall);
        let weight = |line: &str| line.rsplit(' ').next()?.parse::<u64>().ok();
        let sum: u64 = folded.lines().filter_map(weight).sum();
        assert!(svg.starts_with("<?xml"), "{svg}");
        assert!(
            svg.contains(&format!("all ({} ns, 100%)", count(sum))),
            "{svg}"
        );
        assert!(!svg.contains('\x1b'), "{svg}");
    }
}
