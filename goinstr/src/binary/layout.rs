//! Offsets of the fields of the Go runtime's own structures, by Go version and architecture.
//!
//! The binary's DWARF says them where there is some; else they come from a table, which was read
//! from the DWARF of a program built by each version (`docs/new-go-version.md` says how). Both
//! architectures agree in every version seen.

use super::dwarf::{self, StructFields};
use super::elf::Elf;

/// Where a fact about the runtime comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutSource {
    /// The binary's own DWARF.
    Dwarf,
    /// goinstr's table of Go versions.
    Table,
    /// The table's newest version, for a program of a newer one that has no DWARF: a guess, to be
    /// proven on the live process ([`prove_layout`](super::prove_layout)).
    NewestKnown,
}

/// Byte offsets inside `runtime.g` and what hangs on it (Go's `src/runtime/runtime2.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeLayout {
    /// Where the offsets come from.
    pub source: LayoutSource,
    /// `g.goid`
    pub goid: u32,
    /// `g.atomicstatus`
    pub atomicstatus: u32,
    /// `g.waitreason`
    pub waitreason: u32,
    /// `g.parentGoid`, since Go 1.21
    pub parent_goid: Option<u32>,
    /// `g.m`
    pub m: u32,
    /// `g.sched.sp`
    pub sched_sp: u32,
    /// `g.sched.pc`
    pub sched_pc: u32,
    /// `g.sched.bp`
    pub sched_bp: u32,
    /// `m.curg`
    pub m_curg: u32,
    /// How `runtime.recovery` learns the stack pointer of the frame that recovered.
    pub recovery: RecoverySp,
}

/// Where the stack pointer of the recovering frame stands when `runtime.recovery(gp)` is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoverySp {
    /// In `gp.sigcode0` (Go ≤ 1.21): offset in `runtime.g`.
    InG { offset: u32 },
    /// In `gp._panic.sp` (Go ≥ 1.22): offset of `_panic` in `runtime.g`, of `sp` in `runtime._panic`.
    InPanic { panic: u32, sp: u32 },
}

/// First Go version whose `recovery` reads `gp._panic` instead of `gp.sigcode0`.
const RECOVERY_IN_PANIC: u32 = 22;

/// Newest Go version in the table.
const NEWEST: u32 = 27;

impl RuntimeLayout {
    /// From DWARF, which decides between the ways of `recovery` by itself: `_panic.retpc` came
    /// with the new one.
    pub(super) fn from_dwarf(elf: &Elf) -> Option<Self> {
        let wanted = ["runtime.g", "runtime.gobuf", "runtime.m", "runtime._panic"];
        let fields = dwarf::struct_fields(elf, &wanted)?;
        let sched = offset(&fields, "runtime.g", "sched")?;
        let in_sched = |field| offset(&fields, "runtime.gobuf", field)?.checked_add(sched);
        let recovery = if offset(&fields, "runtime._panic", "retpc").is_some() {
            RecoverySp::InPanic {
                panic: offset(&fields, "runtime.g", "_panic")?,
                sp: offset(&fields, "runtime._panic", "sp")?,
            }
        } else {
            RecoverySp::InG {
                offset: offset(&fields, "runtime.g", "sigcode0")?,
            }
        };
        Some(Self {
            source: LayoutSource::Dwarf,
            goid: offset(&fields, "runtime.g", "goid")?,
            atomicstatus: offset(&fields, "runtime.g", "atomicstatus")?,
            waitreason: offset(&fields, "runtime.g", "waitreason")?,
            parent_goid: offset(&fields, "runtime.g", "parentGoid"),
            m: offset(&fields, "runtime.g", "m")?,
            sched_sp: in_sched("sp")?,
            sched_pc: in_sched("pc")?,
            sched_bp: in_sched("bp")?,
            m_curg: offset(&fields, "runtime.m", "curg")?,
            recovery,
        })
    }

    /// The best guess at the layout of a version that is newer than the table.
    pub(super) fn newest_known(minor: u32) -> Option<Self> {
        (minor > NEWEST)
            .then(|| Self::from_table(NEWEST))?
            .map(|newest| Self {
                source: LayoutSource::NewestKnown,
                ..newest
            })
    }

    /// From the table; `None` for a version that it doesn't have.
    pub(super) fn from_table(minor: u32) -> Option<Self> {
        if !(17..=NEWEST).contains(&minor) {
            return None;
        }
        // 1.23 put g.syncGroup or the like before atomicstatus and 1.25 took a word of g.sched away.
        let shift = if matches!(minor, 23 | 24) { 8 } else { 0 };
        let parent_goid = match minor {
            ..=20 => None,
            21 | 22 | 25 => Some(272),
            _ => Some(280),
        };
        let recovery = if minor < RECOVERY_IN_PANIC {
            RecoverySp::InG {
                offset: if minor < 21 { 272 } else { 248 },
            }
        } else {
            RecoverySp::InPanic {
                panic: 32,
                sp: if minor == 26 { 40 } else { 48 },
            }
        };
        Some(Self {
            source: LayoutSource::Table,
            goid: 152 + shift,
            atomicstatus: 144 + shift,
            waitreason: 176 + shift,
            parent_goid,
            m: 48,
            sched_sp: 56,
            sched_pc: 64,
            sched_bp: if minor < 25 { 104 } else { 96 },
            m_curg: if minor < 25 { 192 } else { 184 },
            recovery,
        })
    }
}

/// An offset that can be one: `runtime.g` and `runtime.m` are a few hundred to a few thousand bytes.
fn offset(fields: &StructFields, structure: &str, field: &str) -> Option<u32> {
    let offset = *fields.get(structure)?.get(field)?;
    u32::try_from(offset)
        .ok()
        .filter(|offset| *offset < 1 << 16)
}
