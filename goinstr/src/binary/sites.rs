//! Where calls of a program's functions begin and end, and the two places of the runtime that end
//! calls in another way.

use std::ops::Range;

use super::code::{self, Blocks, CallSites, FunctionFacts, Unmeasurable};
use super::pcvalue::Run;
use super::{Arch, Function, GoBinary, Vaddr};

/// Index of the table of where a goroutine may be preempted (Go: `src/internal/abi/symtab.go`).
const PCDATA_UNSAFE_POINT: u32 = 0;
/// `UnsafePointRestart1` and, one less for a sequence right behind it, `UnsafePointRestart2`.
const RESTART_1: i32 = -3;
/// `UnsafePointRestartAtEntry`: it starts again from the function's first byte.
const RESTART_AT_ENTRY: i32 = -5;

impl GoBinary {
    /// Where calls of the function begin and end.
    pub fn call_sites(&self, function: &Function) -> Result<CallSites, Unmeasurable> {
        let bytes = self.go_code(function)?;
        let facts = FunctionFacts {
            assembly: function.is_assembly(),
            restartable: self.restartable(function),
        };
        code::call_sites(self.arch(), &bytes, function.entry, &facts)
    }

    /// The sequences of the function that run again from their beginning when the goroutine is preempted
    /// within them: on arm64 those that use R27, the linker's and assembler's own, such as a load
    /// of a global (Go: `isRestartable` in `cmd/internal/obj/arm64`, `isAsyncSafePoint` in
    /// `src/runtime/preempt.go`). amd64's assembler makes none.
    fn restartable(&self, function: &Function) -> Vec<Range<u64>> {
        if self.arch() != Arch::Aarch64 {
            return Vec::new();
        }
        let Some(record) = self.record(function) else {
            return Vec::new();
        };
        let restarted = |run: &Run| (RESTART_AT_ENTRY..=RESTART_1).contains(&run.value);
        record
            .pcdata(PCDATA_UNSAFE_POINT)
            .filter(restarted)
            .map(|run| {
                let start = match run.value {
                    RESTART_AT_ENTRY => 0,
                    _ => run.start,
                };
                function.entry.0 + start..function.entry.0 + run.end
            })
            .collect()
    }

    /// Where the function can be seen to begin, also where its end can't be seen.
    pub fn entry_site(&self, function: &Function) -> Result<Vaddr, Unmeasurable> {
        let bytes = self.go_code(function)?;
        code::entry(self.arch(), &bytes, function.entry)
    }

    /// The function's basic blocks. Where some jumps' targets aren't known, each of `lines`, the
    /// addresses at which the source line changes, begins a block too.
    pub fn blocks(
        &self,
        function: &Function,
        lines: impl Iterator<Item = Vaddr>,
    ) -> Result<Blocks, Unmeasurable> {
        let bytes = self.go_code(function)?;
        let mut leaders = Vec::new();
        // A recovered panic goes on at the call of deferreturn.
        leaders.extend(self.deferreturn(function).map(|at| at.0));
        let resumed = leaders.len();
        let blocks =
            |leaders: &[u64]| code::blocks(self.arch(), &bytes, function.entry, leaders, resumed);
        let found = blocks(&leaders)?;
        if !found.jumps_anywhere {
            return Ok(found);
        }
        leaders.extend(lines.map(|at| at.0));
        blocks(&leaders)
    }

    /// The code of a function, if it is Go's.
    fn go_code(&self, function: &Function) -> Result<Vec<u8>, Unmeasurable> {
        if function.is_not_go() {
            return Err(Unmeasurable::NotGo);
        }
        let undecodable = Unmeasurable::Undecodable { at: function.entry };
        self.code(function).map_err(|_| undecodable)
    }

    /// Where `runtime.recovery` is entered once for each recovered panic, with the goroutine (`*g`)
    /// in the first argument register.
    pub fn recovery_entry(&self) -> Option<Vaddr> {
        let function = self
            .named("runtime.recovery")
            .find(|function| !function.is_wrapper())?;
        Some(self.call_sites(function).ok()?.entry.address)
    }

    /// Where `runtime.Goexit` is entered: from here on the goroutine's deferred functions run, and no
    /// recovered panic brings it back (`recovery` in Go's `src/runtime/panic.go`).
    pub fn goexit_entry(&self) -> Option<Vaddr> {
        let function = self
            .named("runtime.Goexit")
            .find(|function| !function.is_wrapper())?;
        Some(self.call_sites(function).ok()?.entry.address)
    }

    /// The call of `runtime.goexit1` inside `runtime.Goexit`: passed once by each goroutine that
    /// ends itself, after its deferred functions.
    pub fn goexit_call(&self) -> Option<Vaddr> {
        let from = self
            .named("runtime.Goexit")
            .find(|function| !function.is_wrapper())?;
        let bytes = self.code(from).ok()?;
        self.named("runtime.goexit1")
            .find_map(|to| code::find_call(self.arch(), &bytes, from.entry, to.entry))
    }
}
