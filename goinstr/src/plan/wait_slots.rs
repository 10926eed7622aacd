//! Wait reasons as the kernel program knows them: a few slots.

use goinstr_common::state::WAIT_SLOTS;

/// Reasons that have a slot of their own where the program has them, the most telling first. The
/// others share slot 0: none of them is met by code that is measured, or hardly ever.
const PREFERRED: [&str; WAIT_SLOTS - 1] = [
    "chan receive",
    "chan send",
    "select",
    "sync.Mutex.Lock",
    "sync.RWMutex.RLock",
    "sync.RWMutex.Lock",
    "semacquire",
    "sync.WaitGroup.Wait",
    "sync.Cond.Wait",
    "sleep",
    "IO wait",
    "GC assist wait",
    "GC assist marking",
    "coroutine",
    "preempted",
];

/// Which slot a reason has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitSlots {
    /// By the number of the reason.
    of_reason: Vec<u32>,
    /// By slot, from slot 1 on.
    names: Vec<String>,
}

impl WaitSlots {
    /// Gives slots to the reasons of a program, by their names in the order of their numbers.
    #[must_use]
    pub fn of(reasons: &[String]) -> Self {
        let mut slots = Self {
            of_reason: vec![0; reasons.len()],
            names: Vec::new(),
        };
        let mut give = |number: usize, name: &str| {
            if slots.names.len() < WAIT_SLOTS - 1 {
                slots.names.push(name.to_owned());
                slots.of_reason[number] = u32::try_from(slots.names.len()).unwrap_or(0);
            }
        };
        for wanted in PREFERRED {
            if let Some(number) = reasons.iter().position(|name| name == wanted) {
                give(number, wanted);
            }
        }
        // An older program has fewer of them: the rest goes to whatever else can be waited for.
        for (number, name) in reasons.iter().enumerate().skip(1) {
            let waits = name.starts_with("chan ") || name.starts_with("select");
            if waits && !PREFERRED.contains(&name.as_str()) {
                give(number, name);
            }
        }
        slots
    }

    /// The slot of each reason, by number.
    pub fn by_reason(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        (0..).zip(self.of_reason.iter().copied())
    }

    /// What the time in a slot was waited for.
    #[must_use]
    pub fn name(&self, slot: usize) -> &str {
        match slot.checked_sub(1) {
            Some(index) => self.names.get(index).map_or("other", String::as_str),
            None => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_their_names_and_the_rest_is_other() {
        let reasons = [
            "",
            "GC assist marking",
            "IO wait",
            "something",
            "chan receive",
        ];
        let slots = WaitSlots::of(&reasons.map(str::to_owned));
        let names: Vec<_> = slots
            .by_reason()
            .map(|(_, slot)| slots.name(slot as usize))
            .collect();
        assert_eq!(
            names,
            [
                "other",
                "GC assist marking",
                "IO wait",
                "other",
                "chan receive"
            ]
        );
    }
}
