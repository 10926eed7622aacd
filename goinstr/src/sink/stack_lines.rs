//! A call's stack for people: one line a function, innermost first.

use super::human::duration;
use super::visible::visible;
use crate::aggregate::CallStack;

/// The lines, not indented: `at main.work  /src/main.go:12`.
pub(super) fn stack_lines(stack: &CallStack) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(ns) = stack.waited_ns {
        lines.push(format!("waited {} there:", duration(ns)));
    }
    lines.extend(stack.frames().map(|frame| {
        let place = match (&frame.file, frame.line) {
            (Some(file), Some(line)) => format!("  {}:{line}", visible(file)),
            _ => String::new(),
        };
        format!("at {}{place}", visible(&frame.function))
    }));
    if stack.is_cut() {
        lines.push("at … (its callers can't be told)".to_owned());
    }
    lines
}
