//! Arguments and results in one line, for people: `(key="a", shard=3)`.
//!
//! Written as Go would write them where that says it all. What the target holds is quoted, so that
//! nothing of it steers a terminal.

use std::fmt::Write as _;

use super::visible::visible;
use crate::aggregate::{Content, Deadline, Value, Values, go_float, hex};

/// Longer lines are cut: the rest is in the JSON.
const LONGEST: usize = 1200;

/// The arguments, in brackets.
pub(super) fn arguments(values: &Values) -> String {
    let mut text = String::from("(");
    list(&mut text, &values.0, "=");
    text.push(')');
    cut(text)
}

/// The results: ` = 3` or ` = (n=3, err=nil)`; nothing where there are none.
pub(super) fn results(values: &Values) -> String {
    match values.0.as_slice() {
        [] => String::new(),
        [(_, only)] => {
            let mut text = String::from(" = ");
            value(&mut text, only);
            cut(text)
        }
        several => {
            let mut text = String::from(" = (");
            list(&mut text, several, "=");
            text.push(')');
            cut(text)
        }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let at = text.floor_char_boundary(LONGEST);
        text.truncate(at);
        text.push('…');
    }
    text
}

fn list(text: &mut String, values: &[(String, Value)], between: &str) {
    for (index, (name, of)) in values.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        text.push_str(&visible(name));
        text.push_str(between);
        value(text, of);
    }
}

fn items(text: &mut String, values: &[Value], length: u64) {
    for (index, of) in values.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        value(text, of);
    }
    let shown = values.len() as u64;
    if shown < length {
        let comma = if shown > 0 { ", " } else { "" };
        let _ = write!(text, "{comma}… {} more", length - shown);
    }
}

fn value(text: &mut String, of: &Value) {
    // Writing to a string can't fail.
    let _ = match &of.content {
        Content::Bool(value) => write!(text, "{value}"),
        Content::Int(number) if of.type_name == "time.Duration" => {
            write!(text, "{}", go_duration(*number))
        }
        Content::Int(value) => write!(text, "{value}"),
        Content::Uint(value) => write!(text, "{value}"),
        Content::Float(value) => write!(text, "{}", go_float(*value)),
        Content::Complex(real, imaginary) => {
            let (real, imaginary) = (go_float(*real), go_float(*imaginary));
            let sign = match imaginary.starts_with(['+', '-']) {
                true => "",
                false => "+",
            };
            write!(text, "({real}{sign}{imaginary}i)")
        }
        Content::Text { bytes, length, .. } => {
            match std::str::from_utf8(bytes) {
                Ok(read) => text.push_str(&quoted(read)),
                Err(_) => {
                    let _ = write!(text, "0x{}", hex(bytes));
                }
            }
            let missing = length.saturating_sub(bytes.len() as u64);
            match missing {
                0 => Ok(()),
                missing => write!(text, "…+{missing}"),
            }
        }
        Content::List {
            items: shown,
            length,
            capacity,
        } => {
            text.push('[');
            items(text, shown, *length);
            text.push(']');
            match capacity {
                Some(capacity) if capacity != length => write!(text, " cap {capacity}"),
                _ => Ok(()),
            }
        }
        Content::Struct(fields) => {
            text.push('{');
            list(text, fields, ": ");
            text.push('}');
            Ok(())
        }
        Content::Pointer(address, None) => write!(text, "{address:#x}"),
        Content::Pointer(_, Some(to)) => {
            text.push('&');
            value(text, to);
            Ok(())
        }
        Content::Map(Some(length)) => write!(text, "map of {length}"),
        Content::Map(None) => write!(text, "map"),
        Content::Address(address) => write!(text, "{address:#x}"),
        Content::Interface { dynamic, value: to } => {
            text.push_str(&visible(dynamic));
            if let Some(to) = to {
                text.push('(');
                value(text, to);
                text.push(')');
            }
            Ok(())
        }
        Content::Context { dynamic, deadline } => {
            text.push_str(&visible(dynamic));
            match deadline {
                Deadline::None => write!(text, "(no deadline)"),
                Deadline::At { left_ns, .. } if *left_ns < 0 => {
                    let over = left_ns.saturating_neg();
                    write!(text, "(deadline {} ago)", go_duration(micros(over)))
                }
                Deadline::At { left_ns, .. } => {
                    write!(text, "(deadline in {})", go_duration(micros(*left_ns)))
                }
                Deadline::Unknown(why) => write!(text, "(deadline unknown: {})", visible(why)),
            }
        }
        Content::Nil => write!(text, "nil"),
        Content::Cut => write!(text, "…"),
        Content::Redacted => write!(text, "[redacted]"),
        Content::Unreadable(why) => write!(text, "[unreadable: {}]", visible(why)),
    };
}

/// Whole microseconds: less is between the clocks.
fn micros(ns: i64) -> i64 {
    ns / 1_000 * 1_000
}

/// As Go quotes it: what would steer a terminal is spelt.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c => quoted.push_str(&visible(c.encode_utf8(&mut [0; 4]))),
        }
    }
    quoted.push('"');
    quoted
}

/// As `time.Duration` prints itself, to the nanosecond.
fn go_duration(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    let fraction = |whole: u64, unit: u64, digits: usize| {
        let rest = format!("{:0digits$}", whole % unit);
        let rest = rest.trim_end_matches('0');
        let point = if rest.is_empty() { "" } else { "." };
        format!("{}{point}{rest}", whole / unit)
    };
    let text = match ns {
        0 => "0s".to_owned(),
        1..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(ns, 1_000, 3)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(ns, 1_000_000, 6)),
        _ => {
            let seconds = fraction(ns % 60_000_000_000, 1_000_000_000, 9);
            let minutes = ns / 60_000_000_000;
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(type_name: &str, content: Content) -> Value {
        Value {
            type_name: type_name.to_owned(),
            content,
        }
    }

    fn text(bytes: &[u8], length: u64) -> Value {
        let bytes = bytes.to_vec();
        of(
            "string",
            Content::Text {
                bytes,
                length,
                capacity: None,
            },
        )
    }

    #[test]
    fn values_stand_as_go_writes_them() {
        let point = of(
            "main.P",
            Content::Struct(vec![
                ("X".to_owned(), of("int32", Content::Int(-1))),
                ("Y".to_owned(), of("int32", Content::Int(2))),
            ]),
        );
        let values = Values(vec![
            ("key".to_owned(), text(b"a\"\n\x1b[2J", 7)),
            ("long".to_owned(), text(b"abc", 500)),
            (
                "p".to_owned(),
                of("*main.P", Content::Pointer(1, Some(Box::new(point)))),
            ),
            ("err".to_owned(), of("error", Content::Nil)),
            ("raw".to_owned(), text(b"\xff\x00", 2)),
            ("secret".to_owned(), of("string", Content::Redacted)),
            (
                "wait".to_owned(),
                of("time.Duration", Content::Int(90_500_000_000)),
            ),
        ]);
        assert_eq!(
            arguments(&values),
            "(key=\"a\\\"\\n\\u{1b}[2J\", long=\"abc\"…+497, p=&{X: -1, Y: 2}, err=nil, raw=0xff00, \
             secret=[redacted], wait=1m30.5s)"
        );
    }

    /// As `fmt.Println` prints them.
    #[test]
    fn complex_numbers_are_gos() {
        for (real, imaginary, printed) in [
            (1.5, -2.0, "(1.5-2i)"),
            (0.0, 0.25, "(0+0.25i)"),
            (f64::NAN, f64::NAN, "(NaN+NaNi)"),
            (f64::INFINITY, f64::INFINITY, "(+Inf+Infi)"),
            (1.0, f64::NEG_INFINITY, "(1-Infi)"),
        ] {
            let mut text = String::new();
            value(
                &mut text,
                &of("complex128", Content::Complex(real, imaginary)),
            );
            assert_eq!(text, printed);
        }
    }

    #[test]
    fn results_are_named_where_there_are_several() {
        let one = |name: &str, n| (name.to_owned(), of("int", Content::Int(n)));
        assert_eq!(results(&Values(vec![])), "");
        assert_eq!(results(&Values(vec![one("r0", 3)])), " = 3");
        assert_eq!(
            results(&Values(vec![one("n", 3), one("m", 4)])),
            " = (n=3, m=4)"
        );
    }

    #[test]
    fn durations_are_gos() {
        for (ns, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (2_000_000, "2ms"),
            (-1_000_000_000, "-1s"),
            (3_661_000_000_001, "1h1m1.000000001s"),
            (60_000_000_000, "1m0s"),
        ] {
            assert_eq!(go_duration(ns), text);
        }
    }
}
