//! Keys → changes of the model.

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::{Model, Order, Typing, View};
use crate::sink::columns;

impl Model {
    /// Does what a key or the mouse asks for.
    pub fn input(&mut self, event: &Event) {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.key(*key),
            Event::Mouse(mouse) => self.mouse(*mouse),
            _ => {}
        }
    }

    fn key(&mut self, key: KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c')) {
            self.quit = true;
            return;
        }
        if self.typing.is_some() {
            self.typed(key.code);
            return;
        }
        if self.help {
            self.help = false;
            return;
        }
        match key.code {
            KeyCode::Char('q') => self.quit = true,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.help = true,
            KeyCode::Char(' ' | 'p') => self.pause(),
            KeyCode::Char('m') => self.mouse = !self.mouse,
            KeyCode::Esc | KeyCode::Backspace => match self.view {
                View::Function(_) => self.view = View::Table,
                View::Table => self.filter.clear(),
            },
            KeyCode::Down | KeyCode::Char('j') => self.walk(1),
            KeyCode::Up | KeyCode::Char('k') => self.walk(-1),
            _ if matches!(self.view, View::Function(_)) => {}
            KeyCode::PageDown => self.step(self.room.cast_signed()),
            KeyCode::PageUp => self.step(-self.room.cast_signed()),
            KeyCode::Home | KeyCode::Char('g') => self.step(isize::MIN / 2),
            KeyCode::End | KeyCode::Char('G') => self.step(isize::MAX / 2),
            KeyCode::Enter => self.open(),
            KeyCode::Left | KeyCode::Char('<') => self.turn(-1),
            KeyCode::Right | KeyCode::Char('>' | 's') => self.turn(1),
            KeyCode::Char('r') => self.reversed = !self.reversed,
            KeyCode::Char('f') => self.typing = Some(Typing::Filter),
            KeyCode::Char('/') => {
                self.search.clear();
                self.typing = Some(Typing::Search);
            }
            KeyCode::Char('n') => self.find(true),
            KeyCode::Char('N') => self.find(false),
            _ => {}
        }
    }

    /// The next row; on a function's page, the page of the next function.
    fn walk(&mut self, by: isize) {
        self.step(by);
        if let (View::Function(_), Some(chosen)) = (self.view, self.chosen) {
            self.view = View::Function(chosen);
        }
    }

    /// Opens the page of the chosen function, or of the first.
    pub(super) fn open(&mut self) {
        if self.chosen.is_none() {
            self.step(0);
        }
        if let Some(chosen) = self.chosen {
            self.view = View::Function(chosen);
        }
    }

    /// Sorts by another column.
    fn turn(&mut self, by: isize) {
        let mut orders: Vec<Order> = columns::of(self.mode, &self.report)
            .into_iter()
            .map(Order::By)
            .collect();
        orders.push(Order::Name);
        let now = orders.iter().position(|&order| order == self.order);
        let length = orders.len().cast_signed();
        let next = (now.unwrap_or(0).cast_signed() + by).rem_euclid(length);
        if let Some(&order) = orders.get(next.unsigned_abs()) {
            self.sort_by(order);
        }
    }

    /// Sorts by a column, the other way round if it is that already.
    pub(super) fn sort_by(&mut self, order: Order) {
        self.reversed = order == self.order && !self.reversed;
        self.order = order;
        self.top = 0;
    }

    fn typed(&mut self, key: KeyCode) {
        let Some(typing) = self.typing else { return };
        let word = match typing {
            Typing::Filter => &mut self.filter,
            Typing::Search => &mut self.search,
        };
        match key {
            KeyCode::Char(c) => word.push(c),
            KeyCode::Backspace => drop(word.pop()),
            KeyCode::Esc => {
                word.clear();
                self.typing = None;
            }
            KeyCode::Enter => {
                self.typing = None;
                if typing == Typing::Search {
                    self.find(true);
                }
            }
            KeyCode::Down => self.step(1),
            KeyCode::Up => self.step(-1),
            _ => {}
        }
        if typing == Typing::Filter {
            self.top = 0;
        }
    }
}
