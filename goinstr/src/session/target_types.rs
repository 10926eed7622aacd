//! Names of dynamic types, read from the target's own descriptions of its types.
//!
//! A description and a name are never moved or changed once a value has the type, so they are read
//! once.

use std::cell::RefCell;
use std::collections::HashMap;

use super::Config;
use crate::aggregate::TypeNames;
use crate::binary::type_name;
use crate::target::Memory;

/// Names kept: those of a program's types that ever stood in an interface that was read.
const KEPT: usize = 1 << 16;

/// Reads names of types of one process.
pub(super) struct TargetTypes {
    memory: Option<Memory>,
    /// Where the descriptions begin in the process.
    types: Option<u64>,
    known: RefCell<HashMap<u64, Option<String>>>,
}

impl TargetTypes {
    /// Those of the process that is measured; without one there are no names.
    pub fn of(config: &Config) -> Self {
        let captures = config.plan.captures.as_ref();
        let types = captures
            .and_then(|captures| captures.types)
            .zip(config.load_bias)
            .map(|(types, bias)| types.0.wrapping_add(bias));
        let process = config.target.process().filter(|_| types.is_some());
        Self {
            memory: process.and_then(|process| Memory::open(process.pid()).ok()),
            types,
            known: RefCell::default(),
        }
    }

    fn read(&self, address: u64) -> Option<String> {
        let (memory, types) = (self.memory.as_ref()?, self.types?);
        let read = |address, bytes: &mut [u8]| memory.read_exact(address, bytes).ok();
        type_name(read, types, address)
    }
}

impl TypeNames for TargetTypes {
    fn name(&self, address: u64) -> Option<String> {
        if let Some(known) = self.known.borrow().get(&address) {
            return known.clone();
        }
        let name = self.read(address);
        let mut known = self.known.borrow_mut();
        if known.len() < KEPT {
            known.insert(address, name.clone());
        }
        name
    }
}
