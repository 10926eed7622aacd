//! The mouse → changes of the model: titles sort, rows are chosen and opened, the wheel scrolls.

use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::model::{Model, View};

impl Model {
    pub(super) fn mouse(&mut self, mouse: MouseEvent) {
        if self.help {
            return;
        }
        match mouse.kind {
            MouseEventKind::ScrollDown => self.step(3),
            MouseEventKind::ScrollUp => self.step(-3),
            MouseEventKind::Down(MouseButton::Left) if self.view == View::Table => {
                self.click(mouse.column, mouse.row);
            }
            MouseEventKind::Down(MouseButton::Right) => self.view = View::Table,
            _ => {}
        }
    }

    fn click(&mut self, column: u16, row: u16) {
        let titles = self.places.titles;
        if row == titles {
            let hit = self
                .places
                .columns
                .iter()
                .find(|(from, to, _)| (*from..*to).contains(&column));
            if let Some(&(_, _, order)) = hit {
                self.sort_by(order);
            }
            return;
        }
        if row <= titles {
            return;
        }
        let line = usize::from(row - titles - 1);
        let place = self.top + line;
        let Some(function) = self.rows().get(place).map(|row| row.function) else {
            return;
        };
        if line >= self.room {
            return;
        }
        if self.chosen == Some(function) {
            self.open();
        } else {
            self.choose(place);
        }
    }
}
