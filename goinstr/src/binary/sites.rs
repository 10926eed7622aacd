//! Where calls of a program's functions begin and end, and the two places of the runtime that end
//! calls in another way.

use super::code::{self, CallSites, FunctionFacts, Unmeasurable};
use super::{Function, GoBinary, Vaddr};

impl GoBinary {
    /// Where calls of the function begin and end.
    pub fn call_sites(&self, function: &Function) -> Result<CallSites, Unmeasurable> {
        if function.is_not_go() {
            return Err(Unmeasurable::NotGo);
        }
        let undecodable = Unmeasurable::Undecodable { at: function.entry };
        let bytes = self.code(function).map_err(|_| undecodable)?;
        let facts = FunctionFacts {
            assembly: function.is_assembly(),
        };
        code::call_sites(self.arch(), &bytes, function.entry, &facts)
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
