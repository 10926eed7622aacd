//! Why a function that was chosen can't be measured, as the contract names it and for people.

use crate::binary::Vaddr;
use crate::binary::code::{Refusal, Unmeasurable};

/// Callers that an explanation names.
const NAMED: usize = 3;

/// Why a function can't be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Its code doesn't allow it.
    Code(Unmeasurable),
    /// It has no code of its own: the compiler copied it into its callers.
    Inlined {
        /// Number of functions that hold a copy.
        into: u32,
        /// The first few of them.
        callers: Vec<String>,
    },
    /// It only adapts the calling convention and goes on to the function of the same name at
    /// `body`, which is measured: counted twice, one call would be two.
    AbiWrapper { body: Vaddr },
    /// An instruction to probe at is in no segment of the file.
    NotInFile { at: Vaddr },
    /// A block of code has no instruction that the kernel lets be probed.
    NoProbe { at: Vaddr },
}

impl Obstacle {
    /// The reason as the contract spells it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Code(Unmeasurable::Undecodable { .. }) => "undecodable",
            Self::Code(Unmeasurable::TailCall { .. }) => "tail_call",
            Self::Code(Unmeasurable::NotGo) => "not_go",
            Self::Code(Unmeasurable::LockPrefix { .. }) => "lock_prefix",
            Self::Code(Unmeasurable::Unprobeable {
                why: Refusal::Return,
                ..
            }) => "empty",
            Self::Code(Unmeasurable::Unprobeable { .. }) => "unprobeable",
            Self::Code(Unmeasurable::ClobbersG { .. }) => "clobbers_g",
            Self::Inlined { .. } => "inlined",
            Self::AbiWrapper { .. } => "abi_wrapper",
            Self::NotInFile { .. } => "not_in_file",
            Self::NoProbe { .. } => "unprobeable",
        }
    }

    /// What the reason means here, and what can be measured instead.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Code(Unmeasurable::Undecodable { at }) => {
                format!(
                    "the bytes at {at} are no instruction: its returns can't be found safely; measure its callers"
                )
            }
            Self::Code(Unmeasurable::TailCall { at }) => format!(
                "it leaves by a jump to another function at {at}, so that path has no return of its own; \
                 measure its callers, or where it jumps to"
            ),
            Self::Code(Unmeasurable::NotGo) => "it is not Go code".to_owned(),
            Self::Code(Unmeasurable::LockPrefix { at }) => {
                format!(
                    "the kernel can't probe the LOCK-prefixed instruction at {at}; measure its callers"
                )
            }
            Self::Code(Unmeasurable::Unprobeable {
                why: Refusal::Return,
                ..
            }) => "it does nothing but return: its calls have no duration".to_owned(),
            Self::Code(Unmeasurable::Unprobeable { at, why }) => {
                format!(
                    "the kernel can't probe the instruction at {at}: {why}; measure its callers"
                )
            }
            Self::Code(Unmeasurable::ClobbersG { at }) => format!(
                "its assembly uses the goroutine's register for something else at {at}; measure its callers"
            ),
            Self::Inlined { into, callers } => inlined(*into, callers),
            Self::AbiWrapper { body } => {
                format!(
                    "it only goes on to the function of the same name at {body}, which is measured"
                )
            }
            Self::NotInFile { at } => format!("its code at {at} is in no segment of the file"),
            Self::NoProbe { at } => {
                format!("the kernel can probe no instruction of the code at {at}")
            }
        }
    }
}

fn inlined(into: u32, callers: &[String]) -> String {
    let copies = if into == 1 {
        "inlined into 1 function".to_owned()
    } else {
        format!("inlined into {into} functions")
    };
    let named: Vec<_> = callers.iter().take(NAMED).map(String::as_str).collect();
    let more = if (into as usize) > named.len() {
        ", …"
    } else {
        ""
    };
    match named.as_slice() {
        [] => format!("{copies}: it has no code of its own; measure its callers"),
        [only] if into == 1 => format!("{copies}, try this caller: {only}"),
        _ => format!("{copies}, try these callers: {}{more}", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inlined_function_is_explained_by_its_callers() {
        let of = |into, callers: &[&str]| Obstacle::Inlined {
            into,
            callers: callers.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!(
            of(1, &["main.run"]).detail(),
            "inlined into 1 function, try this caller: main.run"
        );
        assert_eq!(
            of(9, &["a.A", "a.B", "a.C"]).detail(),
            "inlined into 9 functions, try these callers: a.A, a.B, a.C, …"
        );
        assert_eq!(of(9, &["a.A"]).reason(), "inlined");
    }
}
