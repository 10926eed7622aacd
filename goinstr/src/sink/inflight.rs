//! What is open now: for people, goroutines that stand in the same place together; for scripts, one
//! object a goroutine.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::human::{count, duration, things, width};
use super::json_text;
use super::line::Frame;
use super::screen::{Screen, Size};
use super::tree::timestamp;
use super::visible::visible;
use crate::aggregate::{Inflight, OpenStack};
use crate::binary::{GoStatus, SourceFrame};

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const HOT: Style = AnsiColor::Yellow.on_default().bold();
/// Goroutines named of each group.
const NAMED: usize = 5;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Snapshot {
        pid: u32,
        unix_ns: u64,
        goroutines: usize,
        shown: usize,
        torn: usize,
    },
    Open(Open<'a>),
}

/// A goroutine with open calls; `function` is the innermost of those that were asked for.
#[derive(Serialize)]
struct Open<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a str>,
    goid: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_goid: Option<u64>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_reason: Option<&'a str>,
    /// It waits for at least so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_ns: Option<u64>,
    calls: &'a [String],
    stack: Vec<Frame<'a>>,
}

/// Writes one object for the moment and one for each goroutine.
///
/// # Errors
/// Those of `out`.
pub fn inflight_json(out: &mut impl Write, seen: &Inflight) -> io::Result<()> {
    let mut line = |line: &Line<'_>| -> io::Result<()> {
        json_text::to_writer(&mut *out, line)?;
        out.write_all(b"\n")
    };
    line(&Line::Snapshot {
        pid: seen.pid,
        unix_ns: seen.unix_ns,
        goroutines: seen.goroutines,
        shown: seen.shown.len(),
        torn: seen.torn,
    })?;
    for open in &seen.shown {
        let stack = open.goroutine.stack.iter().map(Frame::of);
        line(&Line::Open(Open {
            function: open.calls.first().map(String::as_str),
            goid: open.goroutine.goid,
            parent_goid: open.goroutine.parent_goid,
            state: open.goroutine.status.name(),
            wait_reason: open.goroutine.wait_reason.as_deref(),
            waiting_ns: open.waits_ns,
            calls: &open.calls,
            stack: stack.collect(),
        }))?;
    }
    out.flush()
}

/// The last look on a terminal, drawn over by the next.
#[derive(Debug, Default)]
pub struct InflightScreen(Screen);

impl InflightScreen {
    /// Draws the groups in the place of those of the last look, as many lines as the terminal has room for.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn draw(
        &mut self,
        out: &mut impl Write,
        seen: &Inflight,
        color: bool,
        size: Size,
    ) -> io::Result<()> {
        let (mut plain, mut styled) = (Vec::new(), Vec::new());
        inflight_text(&mut plain, seen, false)?;
        inflight_text(&mut styled, seen, color)?;
        let (plain, styled) = (
            String::from_utf8_lossy(&plain),
            String::from_utf8_lossy(&styled),
        );
        // Long lines wrap; one line is the cursor's, and one says what there was no room for.
        let mut rows = size.rows.saturating_sub(2);
        let mut lines: Vec<(String, String)> = Vec::new();
        let mut rest = 0;
        for (plain, styled) in plain.lines().zip(styled.lines()) {
            let taken = width(plain).div_ceil(size.columns.max(1)).max(1);
            if rest > 0 || taken > rows {
                rest += 1;
                continue;
            }
            rows -= taken;
            lines.push((plain.to_owned(), styled.to_owned()));
        }
        if rest > 0 {
            let more = format!("… {} more (--plain shows all)", things(rest, "line"));
            lines.push((more.clone(), more));
        }
        self.0.draw(out, size, &lines)
    }
}

/// What goroutines of one group have in common.
type Place<'a> = (GoStatus, Option<&'a str>, &'a [SourceFrame]);

/// Writes the groups, the largest first.
///
/// # Errors
/// Those of `out`.
pub fn inflight_text(out: &mut impl Write, seen: &Inflight, color: bool) -> io::Result<()> {
    let style = |text: String, style: Style| match color {
        true => format!("{style}{text}{style:#}"),
        false => text,
    };
    let mut groups: BTreeMap<Place<'_>, Vec<&OpenStack>> = BTreeMap::new();
    for open in &seen.shown {
        let goroutine = &open.goroutine;
        let place = (
            goroutine.status,
            goroutine.wait_reason.as_deref(),
            goroutine.stack.as_slice(),
        );
        groups.entry(place).or_default().push(open);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    let torn = match seen.torn {
        0 => String::new(),
        n => format!(
            ", {} changed while they were read and are not shown",
            count(n as u64)
        ),
    };
    let heading = format!(
        "{}  pid {}: {} alive, {} of them in the chosen functions{torn}",
        timestamp(seen.unix_ns),
        seen.pid,
        things(seen.goroutines, "goroutine"),
        count(seen.shown.len() as u64),
    );
    let mut text = style(heading, DIM) + "\n";
    for ((status, reason, stack), members) in groups {
        let longest = members.iter().filter_map(|open| open.waits_ns).max();
        let mut title = things(members.len(), "goroutine");
        title += match status {
            GoStatus::Waiting => " waiting",
            GoStatus::Syscall => " in a system call or in C",
            GoStatus::Runnable => " that could run",
            GoStatus::Running => " running",
            GoStatus::Other => " stopped by the runtime",
        };
        let reason = reason.map_or(String::new(), |reason| format!(": {}", visible(reason)));
        let age = longest.map_or(String::new(), |ns| {
            format!(", for {} or more", duration(ns))
        });
        let mut ids: Vec<u64> = members.iter().map(|open| open.goroutine.goid).collect();
        ids.sort_unstable();
        let mut named: Vec<String> = ids.iter().take(NAMED).map(|id| format!("g{id}")).collect();
        if ids.len() > NAMED {
            named.push(format!("and {} more", count((ids.len() - NAMED) as u64)));
        }
        text += &format!(
            "\n{}{}  {}\n",
            style(title, BOLD),
            style(format!("{reason}{age}"), HOT),
            style(named.join(" "), DIM)
        );
        if stack.is_empty() {
            text += "    (no stack: it runs)\n";
        }
        let chosen = members
            .first()
            .map_or(&[][..], |open| open.calls.as_slice());
        for frame in stack {
            let name = visible(&frame.function).into_owned();
            let place = match (&frame.file, frame.line) {
                (Some(file), Some(line)) => format!("  {}:{line}", visible(file)),
                _ => String::new(),
            };
            let name = match chosen.contains(&frame.function) {
                true => style(name, BOLD),
                false => name,
            };
            text += &format!("    {name}{}\n", style(place, DIM));
        }
    }
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::GoroutineState;

    fn look(goroutines: u64) -> Inflight {
        let open = |goid| OpenStack {
            goroutine: GoroutineState {
                goid,
                parent_goid: None,
                status: GoStatus::Waiting,
                wait_reason: Some(format!("reason {goid}")),
                waits_since_ns: None,
                stack: vec![SourceFrame {
                    function: format!("main.f{goid}"),
                    file: Some("/src/main.go".to_owned()),
                    line: Some(7),
                    inlined: false,
                }],
            },
            calls: Vec::new(),
            waits_ns: None,
        };
        Inflight {
            pid: 1,
            unix_ns: 0,
            goroutines: 9,
            torn: 0,
            shown: (1..=goroutines).map(open).collect(),
        }
    }

    #[test]
    fn a_look_is_drawn_over_the_last_and_no_more_than_there_is_room_for() {
        let size = Size {
            columns: 200,
            rows: 8,
        };
        let mut screen = InflightScreen::default();
        let mut draw = |seen| {
            let mut out = Vec::new();
            screen.draw(&mut out, &seen, false, size).expect("drawn");
            String::from_utf8(out).expect("UTF-8")
        };
        let first = draw(look(1));
        assert!(first.contains("main.f1  /src/main.go:7\n"), "{first}");
        let second = draw(look(5));
        // Heading, blank line, title, function.
        assert!(second.starts_with("\u{1b}[4A\r\u{1b}[J"), "{second:?}");
        assert_eq!(second.lines().count(), 7);
        assert!(
            second.ends_with("… 10 lines more (--plain shows all)\n"),
            "{second}"
        );
        assert!(draw(look(0)).starts_with("\u{1b}[7A\r\u{1b}[J"));
    }
}
