//! The table of functions.

use ratatui::{
    Frame,
    layout::Rect,
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{colored, dim};
use crate::sink::{
    columns::{self, Column, Rated, Reading},
    human::{end_within, start_within, width},
    terminal::model::{Model, Order},
};

/// Columns that a name keeps before figures are left out for it.
const NAME_COLUMNS: usize = 24;
/// Blanks between columns.
const GAP: usize = 2;

/// Draws the titles, the rows that there is room for, and how many there are.
pub(super) fn draw(model: &mut Model, frame: &mut Frame<'_>, area: Rect) {
    model.room = usize::from(area.height.saturating_sub(2)).max(1);
    let rows = model.rows();
    let count = rows.len();
    // The rows may have become fewer.
    let top = model.top.min(count.saturating_sub(model.room));
    let shown: Vec<_> = rows.iter().skip(top).take(model.room).collect();
    let reading = Reading {
        rated: Rated::Interval(model.report.interval_ns),
        floor_ns: model.floor_ns,
    };
    let mut columns = columns::of(model.mode, &model.report);
    let room = usize::from(area.width);
    let (mut cells, mut widths);
    loop {
        cells = shown
            .iter()
            .map(|figures| {
                columns
                    .iter()
                    .map(|column| column.cell(figures, reading))
                    .collect::<Vec<_>>()
            })
            .collect::<Vec<_>>();
        widths = widest(&columns, &cells);
        let taken: usize = widths.iter().map(|width| width + GAP).sum();
        if taken + NAME_COLUMNS <= room {
            break;
        }
        // Never the one that it is sorted by, while there is another.
        let expendable: Vec<_> = columns
            .iter()
            .copied()
            .filter(|&column| Order::By(column) != model.order)
            .collect();
        let Some(gone) = columns::expendable(&expendable).and_then(|at| expendable.get(at)) else {
            break;
        };
        let gone = *gone;
        columns.retain(|&column| column != gone);
    }
    let taken: usize = widths.iter().map(|width| width + GAP).sum();
    let name_room = room.saturating_sub(taken);
    let mut lines = vec![titles(model, &columns, &widths)];
    let word = model.search.to_lowercase();
    for (figures, cells) in shown.iter().zip(&cells) {
        let mut line = String::with_capacity(room);
        for (cell, &columns) in cells.iter().zip(&widths) {
            line.extend(std::iter::repeat_n(
                ' ',
                columns.saturating_sub(width(cell)),
            ));
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', GAP));
        }
        let name = model.name(figures.function);
        let found = !word.is_empty() && name.to_lowercase().contains(&word);
        let mut style = if figures.calls == 0 {
            dim()
        } else {
            Style::new()
        };
        if model.chosen == Some(figures.function) {
            style = style.add_modifier(Modifier::REVERSED);
        }
        let named = if found {
            style
                .patch(colored(model, Color::Yellow))
                .add_modifier(Modifier::BOLD)
        } else {
            style
        };
        let name = end_within(name, name_room).into_owned();
        lines.push(Line::from(vec![
            Span::styled(line, style),
            Span::styled(name, named),
        ]));
    }
    let silent = model.report.functions.len().saturating_sub(
        model
            .report
            .functions
            .iter()
            .filter(|figures| figures.calls > 0 || figures.in_flight > 0)
            .count(),
    );
    let mut below = vec![format!("{count} called")];
    if count > model.room {
        below.push(format!("rows {}-{}", top + 1, top + shown.len()));
    }
    if !model.filter.is_empty() {
        below.push(format!("with {:?} (Esc: all)", model.filter));
    }
    if !model.shed.is_empty() {
        below.push(format!(
            "{} no longer measured: over budget",
            model.shed.len()
        ));
    }
    if silent > 0 {
        below.push(format!("{silent} not called yet"));
    }
    lines.push(Line::styled(
        start_within(&below.join(", "), room).into_owned(),
        dim(),
    ));
    let places = places(model, area, &columns, &widths, room);
    model.top = top;
    model.places.titles = area.y;
    model.places.columns = places;
    frame.render_widget(Paragraph::new(lines), area);
}

fn widest(columns: &[Column], cells: &[Vec<String>]) -> Vec<usize> {
    let widest = |(index, column): (usize, &Column)| {
        let cells = cells
            .iter()
            .filter_map(|row| row.get(index))
            .map(|cell| width(cell));
        // Room for the mark of the order.
        cells.chain([width(column.title()) + 1]).max().unwrap_or(0)
    };
    columns.iter().enumerate().map(widest).collect()
}

/// The titles; the one that it is sorted by has an arrow.
fn titles(model: &Model, columns: &[Column], widths: &[usize]) -> Line<'static> {
    let mark = if model.reversed { "▲" } else { "▼" };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let chosen = bold.patch(colored(model, Color::Cyan));
    let mut spans = Vec::new();
    for (column, &columns) in columns.iter().zip(widths) {
        let (text, style) = if model.order == Order::By(*column) {
            (format!("{mark}{}", column.title()), chosen)
        } else {
            (column.title().to_owned(), bold)
        };
        let blanks = columns.saturating_sub(width(&text));
        spans.push(Span::raw(" ".repeat(blanks)));
        spans.push(Span::styled(text, style));
        spans.push(Span::raw(" ".repeat(GAP)));
    }
    spans.push(if model.order == Order::Name {
        // Names begin with A: the other way round.
        let mark = if model.reversed { "▼" } else { "▲" };
        Span::styled(format!("{mark}function"), chosen)
    } else {
        Span::styled("function", bold)
    });
    spans.into()
}

/// Where the titles stand on the screen.
fn places(
    _: &Model,
    area: Rect,
    columns: &[Column],
    widths: &[usize],
    room: usize,
) -> Vec<(u16, u16, Order)> {
    let mut places = Vec::new();
    let mut at = usize::from(area.x);
    let screen = |column: usize| u16::try_from(column).unwrap_or(u16::MAX);
    for (&column, width) in columns.iter().zip(widths) {
        places.push((screen(at), screen(at + width), Order::By(column)));
        at += width + GAP;
    }
    places.push((screen(at), screen(room), Order::Name));
    places
}
