//! Offsets of the fields of the Go runtime's own structures, by Go version and architecture.

/// Where a fact about the runtime comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutSource {
    /// The binary's own DWARF.
    Dwarf,
    /// goinstr's table of Go versions.
    Table,
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
