//! Names of dynamic types, read from the target's own descriptions of its types.
//!
//! A description and a name are never moved or changed once a value has the type, so they are read
//! once. Untrusted: whatever is no name is none. Format: Go's `src/internal/abi/type.go`, the same from
//! Go 1.17 to 1.27 as far as it is used here.

use std::cell::RefCell;
use std::collections::HashMap;

use super::Config;
use crate::aggregate::TypeNames;
use crate::target::Memory;

/// `abi.Type.TFlag`, and its bit that says that the name has a `*` in front that isn't the type's.
const TFLAG: u64 = 20;
const EXTRA_STAR: u8 = 2;
/// `abi.Type.Str`: the name's offset.
const STR: u64 = 40;
/// Longer names are cut.
const LONGEST: usize = 512;
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
        let memory = self.memory.as_ref()?;
        let mut description = [0; 48];
        memory.read_exact(address, &mut description).ok()?;
        let offset = i32::from_le_bytes(*description.get(STR as usize..)?.first_chunk()?);
        let star = description.get(TFLAG as usize)? & EXTRA_STAR != 0;
        let name = self.types?.wrapping_add_signed(i64::from(offset));
        // Flags, then the length, 7 bits a byte.
        let mut head = [0; 3];
        memory.read_exact(name, &mut head).ok()?;
        let (length, begin) = match head {
            [_, low, _] if low < 0x80 => (usize::from(low), 2),
            [_, low, high] => (usize::from(low & 0x7f) | usize::from(high & 0x7f) << 7, 3),
        };
        let mut text = vec![0; length.min(LONGEST)];
        memory
            .read_exact(name.wrapping_add(begin), &mut text)
            .ok()?;
        let text = String::from_utf8(text).ok()?;
        match text.strip_prefix('*') {
            Some(without) if star => Some(without.to_owned()),
            _ => (!text.is_empty()).then_some(text),
        }
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
