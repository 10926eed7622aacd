//! The page of keys.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    widgets::{Block, Clear, Paragraph},
};

const KEYS: &str = "\
 ↑ ↓ j k  PgUp PgDn  g G    choose a function
 Enter                      open its page; Esc goes back
 ← →  < >                   sort by another column
 r                          the other way round
 f                          show only names with a word; Esc: all
 /  n  N                    search, next, the one before
 Space p                    pause: the figures stay, it goes on measuring
 m                          leave the mouse to the terminal, to select text
 q  Ctrl-C                  end: probes out, final table

 The mouse: a title sorts, a row is chosen and, once chosen, opened.";

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect) {
    let lines = u16::try_from(KEYS.lines().count()).unwrap_or(u16::MAX);
    let place = area.centered(Constraint::Max(76), Constraint::Max(lines + 2));
    frame.render_widget(Clear, place);
    frame.render_widget(
        Paragraph::new(KEYS).block(Block::bordered().title(" keys ")),
        place,
    );
}
