//! Names of dynamic types, read from the target's own descriptions of its types.
//!
//! A description and a name are never moved or changed once a value has the type, so they are read
//! once.

use std::cell::RefCell;
use std::collections::HashMap;

use super::Config;
use crate::aggregate::TypeNames;
use crate::binary::{type_name, type_package, type_strings};
use crate::plan::Redaction;
use crate::target::Memory;

/// Names kept: those of a program's types that ever stood in an interface that was read.
const KEPT: usize = 1 << 16;

/// Reads names of types of one process.
pub(super) struct TargetTypes {
    memory: Option<Memory>,
    /// Where the descriptions begin in the process.
    types: Option<u64>,
    known: RefCell<HashMap<u64, Option<String>>>,
    packages: RefCell<HashMap<u64, Option<String>>>,
    strings: RefCell<HashMap<u64, Vec<(String, u32)>>>,
    go_minor: Option<u32>,
    redaction: Option<Redaction>,
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
            packages: RefCell::default(),
            strings: RefCell::default(),
            redaction: captures.map(|captures| captures.redaction.clone()),
            go_minor: captures.and_then(|captures| captures.go_minor),
        }
    }

    fn read(&self, address: u64) -> Option<String> {
        let (memory, types) = (self.memory.as_ref()?, self.types?);
        let read = |address, bytes: &mut [u8]| memory.read_exact(address, bytes).ok();
        type_name(read, types, address)
    }

    fn read_package(&self, address: u64) -> Option<String> {
        let (memory, types) = (self.memory.as_ref()?, self.types?);
        let read = |address, bytes: &mut [u8]| memory.read_exact(address, bytes).ok();
        type_package(read, types, address)
    }

    fn read_strings(&self, address: u64) -> Option<Vec<(String, u32)>> {
        let memory = self.memory.as_ref()?;
        let read = |address, bytes: &mut [u8]| memory.read_exact(address, bytes).ok();
        let mut strings = type_strings(read, address, self.go_minor?)?;
        let hidden = |name: &str| self.redaction.as_ref().is_none_or(|r| r.hides(name));
        strings.retain(|(name, _)| !hidden(name));
        Some(strings)
    }
}

impl TypeNames for TargetTypes {
    fn name(&self, address: u64) -> Option<String> {
        kept(&self.known, address, || self.read(address))
    }

    fn package(&self, address: u64) -> Option<String> {
        kept(&self.packages, address, || self.read_package(address))
    }

    fn strings(&self, address: u64) -> Vec<(String, u32)> {
        kept(&self.strings, address, || {
            self.read_strings(address).unwrap_or_default()
        })
    }
}

/// What is known of the type at an address, or read now.
fn kept<T: Clone>(known: &RefCell<HashMap<u64, T>>, address: u64, read: impl Fn() -> T) -> T {
    if let Some(known) = known.borrow().get(&address) {
        return known.clone();
    }
    let read = read();
    let mut known = known.borrow_mut();
    if known.len() < KEPT {
        known.insert(address, read.clone());
    }
    read
}
