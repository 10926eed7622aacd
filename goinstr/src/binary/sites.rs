//! Where calls of a program's functions begin and end, and the two places of the runtime that end
//! calls in another way.

use super::code::{self, Blocks, CallSites, FunctionFacts, Unmeasurable};
use super::{Function, GoBinary, Vaddr};

impl GoBinary {
    /// Where calls of the function begin and end.
    pub fn call_sites(&self, function: &Function) -> Result<CallSites, Unmeasurable> {
        let bytes = self.go_code(function)?;
        let facts = FunctionFacts {
            assembly: function.is_assembly(),
        };
        code::call_sites(self.arch(), &bytes, function.entry, &facts)
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
