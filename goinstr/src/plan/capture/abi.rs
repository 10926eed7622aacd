//! Where Go's register ABI puts parameters and results.
//!
//! In: types. Out: registers and stack slots, at the first instruction and at the return. The rules are
//! those of Go's `src/cmd/compile/abi-internal.md`, the same from 1.17 to 1.27.

use std::cell::Cell;
use std::rc::Rc;

use crate::binary::{Arch, GoKind, GoType, Parameter, TypeRef, TypeSource};

/// Types inside of each other that are taken apart. The parts of a value are as many as there are registers.
const LEVELS: u32 = 32;

/// Types that are looked at for one function: more are no signature, and a damaged one could nest
/// without end.
const LOOKS: u32 = 20_000;

/// Types, as long as there aren't too many of them.
struct Looking<'t> {
    types: &'t dyn TypeSource,
    left: Cell<u32>,
}

impl<'t> Looking<'t> {
    fn at(types: &'t dyn TypeSource) -> Self {
        Self {
            types,
            left: Cell::new(LOOKS),
        }
    }

    fn get(&self, ty: TypeRef) -> Option<Rc<GoType>> {
        self.left.set(self.left.get().checked_sub(1)?);
        self.types.get(ty)
    }
}

/// Bytes that a register has.
const WORD: u64 = 8;

/// A register that carries arguments and results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    /// A general one, in the order of the ABI.
    General(u8),
    /// A floating-point one, in the order of the ABI.
    Float(u8),
}

/// A part of a value that is in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Where in the value it begins, in bytes.
    pub offset: u64,
    /// Its bytes, the register's lowest.
    pub size: u64,
    pub register: Register,
}

/// Where a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Registers(Vec<Part>),
    /// So many bytes above the caller's stack pointer, as it was before the call.
    Stack(u64),
    /// Not known.
    Nowhere,
}

/// Where all of a function's values are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Assigned {
    pub parameters: Vec<Place>,
    pub results: Vec<Place>,
    /// Bytes of stack for those on it and room for those in registers: `_func.args`.
    pub width: u64,
}

/// Number of registers of either kind.
fn registers(arch: Arch) -> (usize, usize) {
    match arch {
        Arch::X86_64 => (9, 15),
        Arch::Aarch64 => (16, 16),
    }
}

/// The number that DWARF gives a register.
fn dwarf_number(arch: Arch, register: Register) -> u16 {
    const AMD64: [u16; 9] = [0, 3, 2, 5, 4, 8, 9, 10, 11];
    match (arch, register) {
        (Arch::X86_64, Register::General(at)) => {
            AMD64.get(usize::from(at)).copied().unwrap_or(u16::MAX)
        }
        (Arch::X86_64, Register::Float(at)) => 17 + u16::from(at),
        (Arch::Aarch64, Register::General(at)) => u16::from(at),
        (Arch::Aarch64, Register::Float(at)) => 64 + u16::from(at),
    }
}

/// The register with a DWARF number.
pub(super) fn numbered(arch: Arch, number: u16) -> Option<Register> {
    let (general, float) = registers(arch);
    let general = (0..).take(general).map(Register::General);
    let float = (0..).take(float).map(Register::Float);
    general
        .chain(float)
        .find(|&register| dwarf_number(arch, register) == number)
}

/// Where the ABI puts them; `None` where a type isn't known.
pub(super) fn assign(
    types: &dyn TypeSource,
    arch: Arch,
    parameters: &[Parameter],
    results: &[Parameter],
) -> Option<Assigned> {
    let types = &Looking::at(types);
    let mut stack = 0;
    let places = |stack: &mut u64, list: &[Parameter]| -> Option<Vec<Place>> {
        let (mut general, mut float) = (0, 0);
        list.iter()
            .map(|parameter| {
                let before = (general, float);
                let mut parts = Vec::new();
                let (size, align) = extent(types, parameter.ty, 0)?;
                let mut taker = Taker {
                    types,
                    limits: registers(arch),
                    general: &mut general,
                    float: &mut float,
                    parts: &mut parts,
                };
                if size != 0 && taker.take(parameter.ty, 0, 0).is_some() {
                    return Some(Place::Registers(parts));
                }
                (general, float) = before;
                let at = stack.checked_next_multiple_of(align)?;
                *stack = at.checked_add(size)?;
                Some(Place::Stack(at))
            })
            .collect()
    };
    let of_parameters = places(&mut stack, parameters)?;
    stack = stack.checked_next_multiple_of(WORD)?;
    let of_results = places(&mut stack, results)?;
    stack = stack.checked_next_multiple_of(WORD)?;
    // Room for the parameters that are in registers.
    let mut spill = 0u64;
    for (parameter, place) in parameters.iter().zip(&of_parameters) {
        if matches!(place, Place::Registers(_)) {
            let (size, align) = extent(types, parameter.ty, 0)?;
            spill = spill.checked_next_multiple_of(align)?.checked_add(size)?;
        }
    }
    Some(Assigned {
        parameters: of_parameters,
        results: of_results,
        width: stack.checked_add(spill.checked_next_multiple_of(WORD)?)?,
    })
}

/// The parts of a value that would be in registers, in order, each in none yet that counts.
pub(super) fn parts(types: &dyn TypeSource, arch: Arch, ty: TypeRef) -> Option<Vec<Part>> {
    let types = &Looking::at(types);
    let mut parts = Vec::new();
    let mut taker = Taker {
        types,
        limits: registers(arch),
        general: &mut 0,
        float: &mut 0,
        parts: &mut parts,
    };
    taker.take(ty, 0, 0)?;
    Some(parts)
}

/// Size and alignment of a type.
fn extent(types: &Looking<'_>, ty: TypeRef, level: u32) -> Option<(u64, u64)> {
    let found = types.get(ty).filter(|_| level < LEVELS)?;
    let align = match &found.kind {
        GoKind::Complex => found.size / 2,
        GoKind::Array(element, _) => extent(types, *element, level + 1)?.1,
        GoKind::Struct(fields) => {
            let mut align = 1;
            for field in fields {
                align = extent(types, field.ty, level + 1)?.1.max(align);
            }
            align
        }
        _ => found.size,
    };
    Some((found.size, align.clamp(1, WORD)))
}

/// Hands out registers.
struct Taker<'a> {
    types: &'a Looking<'a>,
    limits: (usize, usize),
    general: &'a mut u8,
    float: &'a mut u8,
    parts: &'a mut Vec<Part>,
}

impl Taker<'_> {
    fn general(&mut self, offset: u64, size: u64) -> Option<()> {
        if usize::from(*self.general) >= self.limits.0 {
            return None;
        }
        self.parts.push(Part {
            offset,
            size,
            register: Register::General(*self.general),
        });
        *self.general += 1;
        Some(())
    }

    fn float(&mut self, offset: u64, size: u64) -> Option<()> {
        if usize::from(*self.float) >= self.limits.1 {
            return None;
        }
        self.parts.push(Part {
            offset,
            size,
            register: Register::Float(*self.float),
        });
        *self.float += 1;
        Some(())
    }

    /// `None`: it doesn't fit, or its type isn't known.
    fn take(&mut self, ty: TypeRef, offset: u64, level: u32) -> Option<()> {
        if level >= LEVELS {
            return None;
        }
        let found = self.types.get(ty)?;
        match &found.kind {
            GoKind::Bool
            | GoKind::Int
            | GoKind::Uint
            | GoKind::Pointer(_)
            | GoKind::Map
            | GoKind::Chan
            | GoKind::Func => self.general(offset, found.size),
            GoKind::Float => self.float(offset, found.size),
            GoKind::Complex => {
                let half = found.size / 2;
                self.float(offset, half)?;
                self.float(offset.checked_add(half)?, half)
            }
            GoKind::String | GoKind::Interface { .. } | GoKind::Slice(_) => {
                let words = (0..found.size / WORD).map(|word| offset.checked_add(word * WORD));
                words.into_iter().try_for_each(|at| self.general(at?, WORD))
            }
            GoKind::Array(_, 0) => Some(()),
            GoKind::Array(element, 1) => self.take(*element, offset, level + 1),
            GoKind::Array(..) => None,
            GoKind::Struct(fields) => fields.iter().try_for_each(|field| {
                let at = offset.checked_add(field.offset)?;
                self.take(field.ty, at, level + 1)
            }),
        }
    }
}
