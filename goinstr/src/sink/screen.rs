//! A part of the terminal that is drawn over again: no alternate screen, nothing left behind.

use std::io::{self, Write};

use super::human::width;

/// Columns and rows of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Characters in a line.
    pub columns: usize,
    /// Lines.
    pub rows: usize,
}

impl Size {
    /// The size of the terminal that `fd` is, if it is one.
    #[must_use]
    pub fn of(fd: impl std::os::fd::AsFd) -> Option<Self> {
        let size = rustix::termios::tcgetwinsize(fd).ok()?;
        // Serial lines and some CI terminals say 0: what everyone has.
        let or = |n: u16, usual: usize| if n == 0 { usual } else { usize::from(n) };
        Some(Self {
            columns: or(size.ws_col, 80),
            rows: or(size.ws_row, 24),
        })
    }
}

/// What was drawn last, so that it can be drawn over.
#[derive(Clone, Debug, Default)]
pub(super) struct Screen {
    /// Width of each line that stands there.
    drawn: Vec<usize>,
}

impl Screen {
    /// The bytes that take away what was drawn, on a terminal that now has `size`.
    ///
    /// A terminal made narrower has wrapped what stood there: lines count by what they take now.
    pub fn erase(&mut self, size: Size) -> String {
        let columns = size.columns.max(1);
        let rows: usize = self
            .drawn
            .drain(..)
            .map(|width| width.div_ceil(columns).max(1))
            .sum();
        // Above the first row of the screen there is nothing that can be reached.
        match rows.min(size.rows.saturating_sub(1)) {
            0 => String::new(),
            rows => format!("\x1b[{rows}A\r\x1b[J"),
        }
    }

    /// Draws `lines` (with `styled` versions of them) in the place of what was drawn before.
    pub fn draw(
        &mut self,
        out: &mut impl Write,
        size: Size,
        lines: &[(String, String)],
    ) -> io::Result<()> {
        let mut frame = self.erase(size);
        for (plain, styled) in lines {
            frame.push_str(styled);
            frame.push('\n');
            self.drawn.push(width(plain));
        }
        // At once, or the eye sees it being built.
        out.write_all(frame.as_bytes())?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Size = Size {
        columns: 80,
        rows: 24,
    };

    fn lines(texts: &[&str]) -> Vec<(String, String)> {
        texts
            .iter()
            .map(|text| ((*text).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn the_second_frame_goes_up_by_the_lines_of_the_first() {
        let mut screen = Screen::default();
        let mut out = Vec::new();
        screen
            .draw(&mut out, WIDE, &lines(&["a", "b"]))
            .expect("drawn");
        screen.draw(&mut out, WIDE, &lines(&["c"])).expect("drawn");
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            "a\nb\n\x1b[2A\r\x1b[Jc\n"
        );
    }

    #[test]
    fn a_narrower_terminal_has_wrapped_the_lines() {
        let mut screen = Screen::default();
        screen
            .draw(&mut Vec::new(), WIDE, &lines(&[&"x".repeat(70), ""]))
            .expect("drawn");
        let narrow = Size {
            columns: 30,
            rows: 24,
        };
        assert_eq!(screen.erase(narrow), "\x1b[4A\r\x1b[J");
        assert_eq!(screen.erase(narrow), "");
    }
}
