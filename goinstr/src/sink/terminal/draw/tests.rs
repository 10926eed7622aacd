//! What is drawn, by ratatui's test terminal.

use std::sync::Arc;

use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{
        Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
    },
};

use super::*;
use crate::sink::{
    Sort, hostile, sample,
    terminal::model::{Order, Settings},
    visible::steers,
};

fn model() -> Model {
    let settings = Settings {
        sort: Sort::Total,
        color: true,
        slower_than_ns: Some(1_000_000),
    };
    let mut model = Model::new(&sample::info(), &sample::plan(), settings);
    model.add_report(Arc::new(sample::report(1)));
    model.add_call(sample::call());
    model.add_report(Arc::new(sample::report(2)));
    model
}

fn drawn(model: &mut Model, columns: u16, rows: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("a terminal");
    terminal.draw(|frame| draw(model, frame)).expect("drawn");
    terminal.backend().to_string()
}

fn press(model: &mut Model, keys: &[KeyCode]) {
    for &code in keys {
        model.input(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }
}

fn typed(model: &mut Model, text: &str) {
    for c in text.chars() {
        press(model, &[KeyCode::Char(c)]);
    }
}

fn click(model: &mut Model, column: u16, row: u16) {
    model.input(&Event::Mouse(MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column,
        row,
        modifiers: KeyModifiers::NONE,
    }));
}

/// The names of the rows, as they stand.
fn names(model: &Model) -> Vec<&str> {
    model
        .rows()
        .iter()
        .map(|row| model.name(row.function))
        .collect()
}

#[test]
fn the_table_of_a_small_terminal() {
    insta::assert_snapshot!(drawn(&mut model(), 80, 24));
}

#[test]
fn the_page_of_a_function() {
    let mut model = model();
    press(&mut model, &[KeyCode::Down, KeyCode::Down, KeyCode::Enter]);
    insta::assert_snapshot!(drawn(&mut model, 80, 24));
}

#[test]
fn the_slowest_calls_of_a_function() {
    let mut model = model();
    press(&mut model, &[KeyCode::Enter]);
    insta::assert_snapshot!(drawn(&mut model, 100, 30));
}

#[test]
fn help_lists_the_keys() {
    let mut model = model();
    press(&mut model, &[KeyCode::Char('?')]);
    assert!(drawn(&mut model, 80, 24).contains("the other way round"));
    press(&mut model, &[KeyCode::Char('x')]);
    assert!(!drawn(&mut model, 80, 24).contains("the other way round"));
}

#[test]
fn no_size_is_too_small_and_none_too_large() {
    for (columns, rows) in [(1, 1), (2, 3), (10, 5), (40, 10), (80, 24), (400, 120)] {
        let mut model = model();
        drawn(&mut model, columns, rows);
        press(&mut model, &[KeyCode::Char('?')]);
        drawn(&mut model, columns, rows);
        press(&mut model, &[KeyCode::Esc, KeyCode::Enter]);
        drawn(&mut model, columns, rows);
    }
}

#[test]
fn nothing_of_the_target_steers_the_terminal() {
    let mut model = model();
    let table = drawn(&mut model, 200, 24);
    assert!(table.contains("main.evil\\u{1b}[2J"), "{table}");
    for view in 0..4 {
        model.view = View::Function(view);
        let page = drawn(&mut model, 200, 40);
        assert!(
            !page.contains('\x1b') && !page.contains('\u{202e}'),
            "{page}"
        );
    }
}

#[test]
fn sorting_by_keys_and_by_a_click() {
    let mut model = model();
    drawn(&mut model, 80, 24);
    assert_eq!(
        names(&model)[0],
        "github.com/acme/a-rather-long-module-name/internal/store.(*Database).Lookup"
    );
    press(&mut model, &[KeyCode::Right, KeyCode::Right]);
    assert_eq!(model.order, Order::Name);
    assert!(names(&model).is_sorted());
    press(&mut model, &[KeyCode::Char('r')]);
    assert_eq!(names(&model)[0], "main.work");
    let (from, _, order) = model.places.columns[0];
    let titles = model.places.titles;
    click(&mut model, from, titles);
    assert_eq!(model.order, order);
    assert_eq!(names(&model)[0], "main.(*Cache[...]).Get");
}

#[test]
fn a_filter_hides_and_a_search_finds() {
    let mut model = model();
    typed(&mut model, "f");
    typed(&mut model, "CACHE");
    press(&mut model, &[KeyCode::Enter]);
    assert_eq!(names(&model), ["main.(*Cache[...]).Get"]);
    press(&mut model, &[KeyCode::Esc]);
    assert_eq!(names(&model).len(), 4);
    typed(&mut model, "/work");
    press(&mut model, &[KeyCode::Enter]);
    assert_eq!(
        model.chosen.map(|function| model.name(function)),
        Some("main.work")
    );
    typed(&mut model, "nq");
    assert!(model.quit);
}

#[test]
fn paused_figures_stay_and_the_latest_come_back() {
    let mut model = model();
    press(&mut model, &[KeyCode::Char(' ')]);
    model.add_report(Arc::new(sample::report(9)));
    assert_eq!(model.report.elapsed_ns, 2_000_000_000);
    assert!(drawn(&mut model, 80, 24).contains("paused"));
    press(&mut model, &[KeyCode::Char(' ')]);
    assert_eq!(model.report.elapsed_ns, 9_000_000_000);
}

#[test]
fn a_row_is_chosen_by_a_click_and_opened_by_another() {
    let mut model = model();
    drawn(&mut model, 80, 24);
    let row = model.places.titles + 2;
    click(&mut model, 70, row);
    let chosen = model.chosen;
    assert_eq!(model.view, View::Table);
    assert_eq!(chosen, model.rows().get(1).map(|figures| figures.function));
    click(&mut model, 70, row);
    assert_eq!(Some(model.view), chosen.map(View::Function));
}

#[test]
fn no_text_of_the_target_steers_the_terminal() {
    let settings = Settings {
        sort: Sort::Total,
        color: true,
        slower_than_ns: Some(1),
    };
    let mut model = Model::new(&hostile::info(), &hostile::plan(), settings);
    model.add_report(Arc::new(hostile::report()));
    model.add_call(hostile::call());
    let table = drawn(&mut model, 250, 24);
    model.view = View::Function(hostile::call().function);
    let page = drawn(&mut model, 250, 40);
    for shown in [table, page] {
        assert!(!shown.replace('\n', "").contains(steers), "{shown:?}");
        assert!(shown.contains(r"\u{202e}"), "{shown}");
    }
}
