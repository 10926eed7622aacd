//! The page of a function: its figures, how its durations are distributed and went over time, its
//! slowest calls, who called it and whom it called.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph, Sparkline},
};

use super::{colored, dim};
use crate::aggregate::{FunctionReport, Outcome, States};
use crate::sink::{
    columns::{self, Rated, Reading},
    human::{count, duration, end_within, percent, start_within, things, width},
    terminal::{history::Moment, model::Model},
    visible::visible,
};

/// Rows that the distribution and the times share at most.
const CHARTS: u16 = 14;

pub(super) fn draw(model: &Model, function: u32, frame: &mut Frame<'_>, area: Rect) {
    let [top, charts, calls] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Fill(3),
        Constraint::Fill(2),
    ])
    .areas(area);
    let charts = Rect {
        height: charts.height.min(CHARTS),
        ..charts
    };
    let calls = Rect {
        y: charts.bottom(),
        height: area.bottom().saturating_sub(charts.bottom()),
        ..calls
    };
    draw_figures(model, function, frame, top);
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(55), Constraint::Fill(1)]).areas(charts);
    if let Some(figures) = model.figures(function) {
        draw_distribution(model, figures, frame, left);
    }
    draw_times(model, function, frame, right);
    let [slowest, around] =
        Layout::horizontal([Constraint::Percentage(55), Constraint::Fill(1)]).areas(calls);
    draw_slowest(model, function, frame, slowest);
    draw_around(model, function, frame, around);
}

fn draw_figures(model: &Model, function: u32, frame: &mut Frame<'_>, area: Rect) {
    let room = usize::from(area.width);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let known = model.functions.get(function as usize);
    let mut at = known
        .and_then(|known| known.location.clone())
        .unwrap_or_else(|| "source not known".to_owned());
    if let Some(inlined) = known.map(|known| known.inlined_into).filter(|&n| n > 0) {
        let callers = things(inlined as usize, "function");
        at.push_str(&format!(", inlined copies in {callers} can't be seen"));
    }
    let mut lines = vec![
        Line::styled(end_within(model.name(function), room).into_owned(), bold),
        Line::styled(end_within(&at, room).into_owned(), dim()),
    ];
    match model.figures(function) {
        Some(figures) => {
            let reading = Reading {
                rated: Rated::Interval(model.report.interval_ns),
                floor_ns: model.floor_ns,
            };
            let mut spans = Vec::new();
            let mut used = 0;
            for column in columns::of(model.mode, &model.report) {
                let (title, cell) = (column.title(), column.cell(figures, reading));
                used += width(title) + width(&cell) + 3;
                if used > room {
                    break;
                }
                spans.push(Span::styled(format!("{title} "), dim()));
                spans.push(Span::raw(format!("{cell}  ")));
            }
            lines.push(spans.into());
        }
        None => lines.push(Line::raw("not called yet")),
    }
    let states = model
        .figures(function)
        .and_then(|figures| figures.states.as_ref());
    if let Some(&after) = model.shed.get(&function) {
        let text = format!("no longer measured since {}: over budget", duration(after));
        lines.push(Line::styled(text, colored(model, Color::Yellow)));
    } else if let Some(states) = states {
        lines.push(Line::raw(start_within(&said(states), room).into_owned()));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// What the goroutines did in the calls.
fn said(states: &States) -> String {
    let whole = states.total_ns();
    let share = |part| percent(part, whole).unwrap_or_else(|| "-".to_owned());
    let reason = states.top_reason().map_or(String::new(), |(reason, _)| {
        format!(" (most: {})", visible(reason))
    });
    format!(
        "running {}  runnable {}  waiting {}{reason}  syscall {}",
        share(states.running_ns),
        share(states.runnable_ns),
        share(states.waiting_ns),
        share(states.syscall_ns),
    )
}

fn framed(title: &str) -> Block<'_> {
    Block::new()
        .borders(Borders::TOP)
        .title(title)
        .border_style(dim())
}

/// One row for each power of two, or two, or four: as many as there is room for.
fn draw_distribution(model: &Model, figures: &FunctionReport, frame: &mut Frame<'_>, area: Rect) {
    let block = framed("latency ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let mut powers: Vec<(u32, u64)> = Vec::new();
    for slot in figures.distribution.slots() {
        let power = slot.low.max(1).ilog2();
        match powers.last_mut() {
            Some((last, calls)) if *last == power => *calls += slot.calls,
            _ => powers.push((power, slot.calls)),
        }
    }
    let (Some(&(first, _)), Some(&(last, _))) = (powers.first(), powers.last()) else {
        frame.render_widget(
            Paragraph::new(Line::styled("no finished calls", dim())),
            inner,
        );
        return;
    };
    let rows = u32::from(inner.height).max(1);
    let step = (last - first + 1).div_ceil(rows).max(1);
    let bins: Vec<(u32, u64)> = (first..=last)
        .step_by(step as usize)
        .map(|from| {
            let within = powers
                .iter()
                .filter(|(power, _)| (from..from + step).contains(power));
            (from, within.map(|(_, calls)| calls).sum())
        })
        .collect();
    let most = bins
        .iter()
        .map(|&(_, calls)| calls)
        .max()
        .unwrap_or(1)
        .max(1);
    let tally = width(&count(most));
    let bar_room = usize::from(inner.width).saturating_sub(8 + tally + 3);
    let lines: Vec<Line<'_>> = bins
        .iter()
        .map(|&(from, calls)| {
            let low = if from == 0 { 0 } else { 1u64 << from };
            Line::from(vec![
                Span::styled(format!("{:>7} ", duration(low)), dim()),
                Span::styled(bar(calls, most, bar_room), colored(model, Color::Cyan)),
                Span::raw(format!(" {}", count(calls))),
            ])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), inner);
}

/// A bar in eighths of a column; something, however little, for any call.
fn bar(calls: u64, most: u64, room: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if calls == 0 {
        return String::new();
    }
    let eighths = (u128::from(calls) * room as u128 * 8).div_ceil(u128::from(most.max(1)));
    let eighths = usize::try_from(eighths).unwrap_or(0).min(room * 8);
    let rest = EIGHTHS.get(eighths % 8).unwrap_or(&"");
    "█".repeat(eighths / 8) + rest
}

fn draw_times(model: &Model, function: u32, frame: &mut Frame<'_>, area: Rect) {
    let block = Block::new()
        .borders(Borders::TOP | Borders::LEFT)
        .title("each interval ")
        .border_style(dim());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let moments = model.history.last(function, usize::from(inner.width));
    let most = |figure: fn(&Moment) -> u64| moments.iter().map(figure).max().unwrap_or(0);
    type Row = (&'static str, fn(&Moment) -> u64, fn(u64) -> String);
    let rows: [Row; 3] = [
        ("calls/s", |moment| moment.rate, count),
        ("p50", |moment| moment.p50_ns, duration),
        ("p99", |moment| moment.p99_ns, duration),
    ];
    let places = Layout::vertical(rows.map(|_| Constraint::Fill(1))).split(inner);
    for ((title, figure, text), place) in rows.into_iter().zip(places.iter()) {
        let [label, chart] =
            Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(*place);
        let highest = text(most(figure));
        let said = format!("{title}, at most {highest}");
        let said = start_within(&said, usize::from(label.width)).into_owned();
        frame.render_widget(Paragraph::new(Line::styled(said, dim())), label);
        let chart_of = Sparkline::default()
            .data(moments.iter().map(figure).collect::<Vec<_>>())
            .style(colored(model, Color::Cyan));
        frame.render_widget(chart_of, chart);
    }
}

fn draw_slowest(model: &Model, function: u32, frame: &mut Frame<'_>, area: Rect) {
    let block = framed("slowest calls ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let room = usize::from(inner.width).saturating_sub(1);
    let mut lines: Vec<Line<'_>> = Vec::new();
    for call in model.slowest.get(&function).into_iter().flatten() {
        let began = call.start_unix_ns / 1_000_000_000 % 86_400;
        let outcome = match call.outcome {
            Outcome::Returned => "",
            Outcome::Unwound => " unwound",
        };
        let around = call.parent.map_or(String::new(), |parent| {
            format!(" in {}", model.name(parent))
        });
        let text = format!(
            "{:>7}{outcome} at {:02}:{:02}:{:02} UTC, goroutine {}{around}",
            duration(call.duration_ns),
            began / 3600,
            began / 60 % 60,
            began % 60,
            call.goid,
        );
        lines.push(Line::raw(start_within(&text, room).into_owned()));
    }
    if lines.is_empty() {
        lines.push(Line::styled(nothing_single(model), dim()));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

/// Who called it and whom it called, of the single calls that came: no figure of all calls.
fn draw_around(model: &Model, function: u32, frame: &mut Frame<'_>, area: Rect) {
    let title = match model.missed {
        0 => "around it, in single calls ".to_owned(),
        missed => format!("around it, but for {} calls ", count(missed)),
    };
    let block = Block::new()
        .borders(Borders::TOP | Borders::LEFT)
        .title(title)
        .border_style(dim());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let room = usize::from(inner.width);
    let mut callers: Vec<(u64, &str)> = Vec::new();
    let mut callees: Vec<(u64, &str)> = Vec::new();
    for (&(callee, caller), &calls) in &model.pairs {
        if callee == function {
            callers.push((
                calls,
                caller.map_or("nothing measured", |caller| model.name(caller)),
            ));
        }
        if caller == Some(function) {
            callees.push((calls, model.name(callee)));
        }
    }
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (what, mut list) in [("in", callers), ("calls", callees)] {
        list.sort_by(|a, b| b.cmp(a));
        for (calls, name) in list {
            let figures = format!("{what:>5} {:>7} ", count(calls));
            let name = end_within(name, room.saturating_sub(width(&figures)));
            lines.push(Line::from(vec![
                Span::styled(figures, dim()),
                Span::raw(name.into_owned()),
            ]));
        }
    }
    if lines.is_empty() {
        lines.push(Line::styled(nothing_single(model), dim()));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn nothing_single(model: &Model) -> String {
    match model.settings.slower_than_ns {
        Some(ns) => format!("none yet of {} or more", duration(ns)),
        None => "only with --slower-than TIME".to_owned(),
    }
}
