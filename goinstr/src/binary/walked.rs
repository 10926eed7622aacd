//! Stacks that were walked by frame pointers: which of the addresses are believed, and what stands there.
//!
//! In: return addresses, and where on the stack each was found. Out: [`WalkedStack`]. A function without
//! a frame pointer (assembly, before Go 1.21 also some that are `nosplit`) makes such a walk skip its
//! caller or go astray. pclntab knows how large each function's frame is at each instruction (`pcsp`), so
//! it is known where the next return address must stand: what was found elsewhere ends the stack.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Arch, GoBinary, SourceFrame, Vaddr};

/// Places remembered at most: a program has some ten thousand places that call.
const KNOWN: usize = 1 << 17;

/// A stack as it was walked, innermost first.
#[derive(Clone, Copy, Debug)]
pub struct Walked<'a> {
    /// Addresses of the process: the first is of an instruction, or a return address as the others.
    pub addresses: &'a [u64],
    /// Of the first, how far the stack pointer is below the stack's upper end; of the others, how far
    /// the place is that they were found at, 0: in the link register.
    pub offsets: &'a [u32],
    /// Whether the first is a return address.
    pub first_returns: bool,
}

/// The functions of a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalkedStack {
    /// Innermost first; of each place, the functions inlined there before the one that has the frame.
    pub places: Vec<Arc<[SourceFrame]>>,
    /// It does not reach to the goroutine's first function: that is deeper than was walked, or a function
    /// between has no frame pointer.
    pub cut: bool,
}

/// Reads stacks, and remembers what stands where.
#[derive(Debug)]
pub struct StackReader {
    binary: GoBinary,
    known: HashMap<Vaddr, Place>,
}

#[derive(Clone, Debug)]
struct Place {
    frames: Arc<[SourceFrame]>,
    /// Bytes from the stack pointer to where the function was entered with it.
    size: Option<u64>,
}

impl StackReader {
    /// A reader of the stacks of processes that run `binary`.
    #[must_use]
    pub fn new(binary: GoBinary) -> Self {
        Self {
            binary,
            known: HashMap::new(),
        }
    }

    /// The program.
    #[must_use]
    pub fn binary(&self) -> &GoBinary {
        &self.binary
    }

    /// The functions of a stack. `bias` is what the loader added to the file's addresses.
    pub fn read(&mut self, walked: &Walked<'_>, bias: u64) -> WalkedStack {
        let mut stack = WalkedStack {
            places: Vec::new(),
            cut: true,
        };
        // How far below the stack's end the next address must stand, where that is known already.
        let mut expected = None;
        // The same of the stack pointer in the function before.
        let mut sp = 0;
        let found = walked.addresses.iter().zip(walked.offsets);
        for (index, (&address, &offset)) in found.enumerate() {
            let offset = u64::from(offset);
            if index > 0 && offset != 0 && expected != Some(offset) {
                break;
            }
            let at = Vaddr(address.wrapping_sub(bias));
            let at = match index > 0 || walked.first_returns {
                // A return address stands behind its call, which may be a function's last instruction.
                true => Vaddr(at.0.wrapping_sub(1)),
                false => at,
            };
            let place = self.place(at);
            let Some(size) = place.size else { break };
            if place.frames.iter().any(|f| f.function == "runtime.goexit") {
                stack.cut = false;
                break;
            }
            if !place.frames.is_empty() {
                stack.places.push(place.frames);
            }
            match self.binary.arch() {
                // The call has pushed it: the caller's stack pointer is just above.
                Arch::X86_64 => {
                    if index == 0 {
                        sp = offset;
                    }
                    expected = sp.checked_sub(size);
                    sp = sp.saturating_sub(size + 8);
                }
                // It stands at the bottom of the frame of the function that saved it.
                Arch::Aarch64 => {
                    if index == 0 {
                        sp = offset;
                        if !walked.first_returns {
                            // The frame is gone, and the return address in its register.
                            expected = None;
                            sp = sp.saturating_sub(size);
                            continue;
                        }
                    }
                    expected = Some(sp);
                    sp = sp.saturating_sub(size);
                }
            }
        }
        stack
    }

    fn place(&mut self, at: Vaddr) -> Place {
        if let Some(known) = self.known.get(&at) {
            return known.clone();
        }
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        let place = Place {
            frames: self.binary.frames_at(at).into(),
            size: self.binary.frame_size(at),
        };
        self.known.insert(at, place.clone());
        place
    }
}
