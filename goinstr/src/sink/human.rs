//! Figures and names as people read them: short and comparable.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// A time in ns with three digits: `873ns`, `1.23µs`, `45.6ms`, `12.3s`, `4m05s`, `3h07m`.
#[must_use]
pub fn duration(ns: u64) -> String {
    match ns {
        0..MICRO => format!("{ns}ns"),
        MICRO..MILLI => three_digits(ns, MICRO, "µs"),
        MILLI..SECOND => three_digits(ns, MILLI, "ms"),
        SECOND..MINUTE => three_digits(ns, SECOND, "s"),
        MINUTE..HOUR => format!("{}m{:02}s", ns / MINUTE, ns % MINUTE / SECOND),
        _ => format!("{}h{:02}m", ns / HOUR, ns % HOUR / MINUTE),
    }
}

/// Cut, not rounded: a figure never reads as more than it is (`999.9µs` is `999µs`, not `1000µs`).
fn three_digits(value: u64, unit: u64, name: &str) -> String {
    let whole = value / unit;
    // value % unit < 10^9: no overflow.
    let hundredths = value % unit * 100 / unit;
    match whole {
        0..10 => format!("{whole}.{hundredths:02}{name}"),
        10..100 => format!("{whole}.{}{name}", hundredths / 10),
        _ => format!("{whole}{name}"),
    }
}

/// A count with a comma between thousands.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 site`, `2 sites`.
#[must_use]
pub fn things(n: usize, thing: &str) -> String {
    format!(
        "{} {thing}{}",
        count(n as u64),
        if n == 1 { "" } else { "s" }
    )
}

/// `n` things in `ns`, a second: `0.25`, `12.3`, `4,567`. Empty where no time has passed.
#[must_use]
pub fn rate(n: u64, ns: u64) -> String {
    if ns == 0 {
        return String::new();
    }
    let hundredths = u128::from(n) * u128::from(SECOND) * 100 / u128::from(ns);
    let hundredths = u64::try_from(hundredths).unwrap_or(u64::MAX);
    match hundredths {
        0 if n == 0 => "0".to_owned(),
        0..1_000 => format!("{}.{:02}", hundredths / 100, hundredths % 100),
        1_000..10_000 => format!("{}.{}", hundredths / 100, hundredths % 100 / 10),
        _ => count(hundredths / 100),
    }
}

/// `part` of `whole` in percent, or nothing where there is no whole.
#[must_use]
pub fn percent(part: u64, whole: u64) -> Option<String> {
    let hundredths = (u128::from(part) * 10_000).checked_div(u128::from(whole))?;
    Some(match hundredths {
        0 if part > 0 => "<0.01 %".to_owned(),
        _ => format!("{}.{:02} %", hundredths / 100, hundredths % 100),
    })
}

/// Columns the text takes on a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text's end in at most `columns`, marked where it is cut: a name says most at its end.
#[must_use]
pub fn end_within(text: &str, columns: usize) -> Cow<'_, str> {
    if text.width() <= columns {
        return Cow::Borrowed(text);
    }
    cut(text.char_indices().rev(), columns).map_or(Cow::Borrowed(""), |at| {
        Cow::Owned(format!("…{}", &text[at..]))
    })
}

/// The text's beginning in at most `columns`, marked where it is cut.
#[must_use]
pub fn start_within(text: &str, columns: usize) -> Cow<'_, str> {
    if text.width() <= columns {
        return Cow::Borrowed(text);
    }
    let mut used = 1;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > columns {
            return if columns == 0 {
                Cow::Borrowed("")
            } else {
                Cow::Owned(format!("{}…", &text[..at]))
            };
        }
    }
    Cow::Borrowed(text)
}

/// Where to cut so that what was passed and the mark take at most `columns`; nowhere without any.
fn cut(chars: impl Iterator<Item = (usize, char)>, columns: usize) -> Option<usize> {
    let mut used = 1;
    let mut at = None;
    for (index, c) in chars {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        at = Some(index);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_never_round_up_to_the_next_unit() {
        for (ns, text) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_000, "1.00µs"),
            (12_345, "12.3µs"),
            (999_999, "999µs"),
            (1_000_000, "1.00ms"),
            (59_999_999_999, "59.9s"),
            (60_000_000_000, "1m00s"),
            (3_599_999_999_999, "59m59s"),
            (3_600_000_000_000, "1h00m"),
            (u64::MAX, "5124095h34m"),
        ] {
            assert_eq!(duration(ns), text, "{ns}");
        }
    }

    #[test]
    fn counts_and_rates() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(things(1, "site"), "1 site");
        assert_eq!(things(1_000, "site"), "1,000 sites");
        assert_eq!(rate(0, SECOND), "0");
        assert_eq!(rate(1, 4 * SECOND), "0.25");
        assert_eq!(rate(123, 10 * SECOND), "12.3");
        assert_eq!(rate(4_567, SECOND), "4,567");
        assert_eq!(rate(5, 0), "");
        assert_eq!(rate(u64::MAX, 1), "184,467,440,737,095,516");
        assert_eq!(percent(1, 1_000_000).as_deref(), Some("<0.01 %"));
        assert_eq!(percent(123, 1_000).as_deref(), Some("12.30 %"));
        assert_eq!(percent(1, 0), None);
    }

    #[test]
    fn cutting_keeps_within_the_columns() {
        assert_eq!(end_within("net/http.(*conn).serve", 13), "…*conn).serve");
        assert_eq!(start_within("net/http.(*conn).serve", 9), "net/http…");
        assert_eq!(end_within("short", 5), "short");
        for text in ["main.日本語", "e\u{301}e\u{301}abc", "main.work"] {
            for columns in 0..14 {
                assert!(
                    width(&end_within(text, columns)) <= columns,
                    "{text} {columns}"
                );
                assert!(
                    width(&start_within(text, columns)) <= columns,
                    "{text} {columns}"
                );
            }
        }
    }
}
