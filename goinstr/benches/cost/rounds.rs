//! Rounds: what is compared is done in turn within each, so that whatever else the machine does meets
//! all of it alike.

/// The median; not a number if there is none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// A quantile; not a number if there are no values.
pub fn quantile(values: impl IntoIterator<Item = f64>, quantile: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let index = (values.len() as f64 * quantile) as usize;
    values
        .get(index.min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

/// A line of the output: a ratio, what it is of, and its goal.
pub fn print_ratio(ratio: f64, what: &str, goal: Option<&str>) {
    let goal = goal.map_or(String::new(), |goal| format!("  (goal: {goal})"));
    println!("{ratio:>10.3}  {what}{goal}");
}

/// Lets this process and those it starts from now on go before all others, where it may: a call that
/// takes microseconds can't be timed where others take the CPU at any moment.
pub fn go_first() {
    // SAFETY: a plain system call with a valid parameter.
    let refused = unsafe {
        let parameter = libc::sched_param { sched_priority: 1 };
        libc::sched_setscheduler(0, libc::SCHED_RR, &raw const parameter) != 0
    };
    if refused {
        println!("(others on this machine may take the CPU meanwhile)");
    }
}
