//! The model → a frame.

mod function;
mod help;
mod table;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::model::{Model, Typing, View};
use crate::sink::human::{duration, start_within};

/// Draws the whole screen.
pub(super) fn draw(model: &mut Model, frame: &mut Frame<'_>) {
    let [heading, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_heading(model, frame, heading);
    match model.view {
        View::Table => table::draw(model, frame, body),
        View::Function(function) => function::draw(model, function, frame, body),
    }
    draw_foot(model, frame, foot);
    if model.help {
        help::draw(frame, body);
    }
}

fn draw_heading(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let elapsed = duration(model.report.elapsed_ns);
    let paused = if model.paused { " paused " } else { "" };
    let room = usize::from(area.width).saturating_sub(elapsed.len() + paused.len() + 4);
    let line = Line::from(vec![
        Span::raw(format!("{elapsed}  ")),
        Span::styled(paused, Style::new().add_modifier(Modifier::REVERSED)),
        Span::raw(if paused.is_empty() { "" } else { "  " }),
        Span::styled(start_within(&model.heading, room).into_owned(), dim()),
    ]);
    frame.render_widget(Paragraph::new(line), area);
}

fn draw_foot(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let line = match (model.typing, model.view) {
        _ if model.quit => Line::styled("ending: the probes are being taken out", dim()),
        (Some(typing), _) => {
            let (what, word) = match typing {
                Typing::Filter => ("filter", &model.filter),
                Typing::Search => ("search", &model.search),
            };
            Line::from(format!("{what}: {word}▏  (Enter, Esc)"))
        }
        (None, View::Table) => keys(&[
            ("?", "help"),
            ("↑↓", "choose"),
            ("Enter", "open"),
            ("←→", "sort"),
            ("f", "filter"),
            ("/", "search"),
            ("Space", "pause"),
            ("q", "end"),
        ]),
        (None, View::Function(_)) => keys(&[
            ("?", "help"),
            ("Esc", "back"),
            ("↑↓", "next function"),
            ("Space", "pause"),
            ("q", "end"),
        ]),
    };
    frame.render_widget(Paragraph::new(line), area);
}

fn keys(keys: &[(&'static str, &'static str)]) -> Line<'static> {
    let spans = keys.iter().flat_map(|(key, what)| {
        [
            Span::styled(*key, Style::new().add_modifier(Modifier::BOLD)),
            Span::styled(format!(" {what}  "), dim()),
        ]
    });
    spans.collect::<Vec<_>>().into()
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// A colour, where there may be some.
fn colored(model: &Model, color: Color) -> Style {
    if model.settings.color {
        Style::new().fg(color)
    } else {
        Style::new()
    }
}

#[cfg(test)]
mod tests;
