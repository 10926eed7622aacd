//! A function's types and places → the steps that copy its values, and what they then mean.

use goinstr_common::capture::{
    DATA_BYTES, MAX_STEPS, NO_COUNT, REGISTER_BYTES, STACK_POINTER, STEP_BYTES, Step,
};

use super::abi::{Part, Place, Register};
use super::shape::{Chunk, ContextStep, Shape, ShapeKind, Word};
use super::{Limits, Redaction, Wanted};
use crate::binary::{Field, GoKind, TypeRef, TypeSource};

/// Bytes between the stack pointer at a function's first instruction and its arguments on the stack: on
/// amd64 the return address, on arm64 the place where the callee would save the link register.
const ABOVE_STACK_POINTER: u64 = 8;
/// Most bytes that one step may copy: whole words.
const STEP_MOST: u32 = STEP_BYTES as u32 - 8;
/// Most bytes that are read behind one pointer.
const POINTEE_MOST: u64 = 512;
/// Types inside of each other, whatever the limit: a type may be nested in itself only behind an address.
const NESTED: u32 = 32;
/// A context and its parents that are looked at: a request's has a handful in servers that were looked at.
const CONTEXTS: usize = 8;
/// `runtime.itab`: the interface's type, then the value's.
pub(super) const TYPE_IN_ITAB: u32 = 8;
/// Fields and elements of one function's values.
const SHAPES: usize = 1024;

/// Collects the steps of a function's entry or return.
pub(super) struct Compiler<'t> {
    types: &'t dyn TypeSource,
    limits: Limits,
    redaction: &'t Redaction,
    /// Tells where in a `context.timerCtx` the deadline is, if that is known.
    deadline: &'t dyn Fn() -> Option<u32>,
    /// Whether it is for results: errors among them are read with all that is in them.
    results: bool,
    /// Where the noted registers begin in the data.
    registers: u32,
    pub steps: Vec<Step>,
    /// The first byte of the data that is free.
    next: u32,
    /// The first byte of the data that is not for this.
    room: usize,
    shapes: usize,
}

/// Where a value's bytes are.
enum Source<'p> {
    Registers(&'p [Part]),
    /// Up to this many bytes from there on.
    Data {
        at: u32,
        bytes: u64,
    },
}

impl<'t> Compiler<'t> {
    /// A compiler for the entry, at the beginning of the data. It leaves room for the registers at the
    /// return: the kernel side notes these whatever is asked for, and without room for them behind the
    /// arguments it would do so over them.
    pub fn at_entry(
        types: &'t dyn TypeSource,
        wanted: &'t Wanted,
        deadline: &'t dyn Fn() -> Option<u32>,
    ) -> Self {
        Self::new(types, wanted, deadline, 0, DATA_BYTES - REGISTER_BYTES)
    }

    /// A compiler for the return, whose data begin where the entry's end.
    pub fn at_return(
        types: &'t dyn TypeSource,
        wanted: &'t Wanted,
        deadline: &'t dyn Fn() -> Option<u32>,
        at: u32,
    ) -> Self {
        Self::new(types, wanted, deadline, at, DATA_BYTES)
    }

    fn new(
        types: &'t dyn TypeSource,
        wanted: &'t Wanted,
        deadline: &'t dyn Fn() -> Option<u32>,
        at: u32,
        room: usize,
    ) -> Self {
        Self {
            types,
            limits: wanted.limits,
            redaction: &wanted.redaction,
            deadline,
            results: room == DATA_BYTES,
            registers: at,
            steps: Vec::new(),
            next: at + REGISTER_BYTES as u32,
            room,
            shapes: 0,
        }
    }

    /// How much of a value is read.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// What there is by now.
    pub(super) fn mark(&self) -> (usize, u32) {
        (self.steps.len(), self.next)
    }

    /// Without the steps since.
    pub(super) fn back_to(&mut self, (steps, next): (usize, u32)) {
        self.steps.truncate(steps);
        self.next = next;
    }

    /// The end of the data, a multiple of 8.
    pub fn end(&self) -> u32 {
        self.next.next_multiple_of(8)
    }

    /// What the value of a parameter or result means.
    pub fn value(&mut self, name: Option<&str>, ty: TypeRef, place: &Place) -> Shape {
        if name.is_some_and(|name| self.redaction.hides(name)) {
            return self.redacted(ty);
        }
        match place {
            Place::Registers(parts) => self.shape(ty, &Source::Registers(parts), 0, 0, 0),
            Place::Stack(at) => {
                let size = self.types.get(ty).map_or(0, |found| found.size);
                let most = size.min(POINTEE_MOST);
                let sp = Word::Data(self.registers + STACK_POINTER as u32 * 8);
                let add = at.saturating_add(ABOVE_STACK_POINTER);
                match self.copy(sp, add, most) {
                    Some(chunks) => {
                        let shape = self.shape(ty, &stored(&chunks), 0, 0, 0);
                        copied(chunks, shape)
                    }
                    None => self.of(ty, ShapeKind::Cut),
                }
            }
            Place::Nowhere => self.of(
                ty,
                ShapeKind::Unknown("the debug information doesn't say where it is"),
            ),
        }
    }

    fn of(&self, ty: TypeRef, kind: ShapeKind) -> Shape {
        let found = self.types.get(ty);
        Shape {
            type_name: found.map_or_else(|| "?".to_owned(), |found| found.name.clone()),
            kind,
        }
    }

    fn redacted(&self, ty: TypeRef) -> Shape {
        self.of(ty, ShapeKind::Redacted)
    }

    /// Copies bytes at an address, in as many steps as it takes; `None`: there is no room left.
    fn copy(&mut self, address: Word, add: u64, bytes: u64) -> Option<Vec<Chunk>> {
        let mut chunks = Vec::new();
        let mut done = 0;
        let bytes = u32::try_from(bytes).ok()?;
        while done < bytes {
            let most = (bytes - done).min(STEP_MOST);
            let add = u32::try_from(add.checked_add(u64::from(done))?).ok()?;
            chunks.push(self.step(address, add, most, None)?);
            done += most;
        }
        Some(chunks)
    }

    /// One step; `count`: where the number of things stands, and the bytes of each.
    pub(super) fn step(
        &mut self,
        address: Word,
        add: u32,
        most: u32,
        count: Option<(Word, u32)>,
    ) -> Option<Chunk> {
        let Word::Data(address) = address else {
            return None;
        };
        let (count, each) = match count {
            None => (NO_COUNT, 0),
            Some((Word::Data(count), each)) if count % 8 == 0 => (count, each),
            Some(_) => return None,
        };
        // Later chunks follow this one without a gap where they belong together.
        let to = self.next;
        let end = to.checked_add(most)?;
        let step = u32::try_from(self.steps.len()).ok()?;
        if end as usize > self.room || step >= MAX_STEPS || address % 8 != 0 {
            return None;
        }
        self.steps.push(Step {
            address,
            add,
            to,
            most,
            count,
            each,
        });
        self.next = end.next_multiple_of(8);
        Some(Chunk { step, at: to, most })
    }

    fn shape(
        &mut self,
        ty: TypeRef,
        source: &Source<'_>,
        offset: u64,
        depth: u32,
        level: u32,
    ) -> Shape {
        self.shapes += 1;
        let Some(found) = self.types.get(ty) else {
            return self.of(ty, ShapeKind::Unknown("its type isn't known"));
        };
        if level > NESTED || self.shapes > SHAPES {
            return self.of(ty, ShapeKind::Cut);
        }
        let word = |at: u64, size: u64| self.word(source, offset.saturating_add(at), size);
        let size = u8::try_from(found.size).unwrap_or(u8::MAX);
        let kind = match &found.kind {
            GoKind::Bool => ShapeKind::Bool(word(0, 1)),
            GoKind::Int => ShapeKind::Int(word(0, found.size), size),
            GoKind::Uint => ShapeKind::Uint(word(0, found.size), size),
            GoKind::Float => ShapeKind::Float(word(0, found.size), size),
            GoKind::Complex => {
                let half = found.size / 2;
                ShapeKind::Complex(word(0, half), word(half, half), size / 2)
            }
            GoKind::Chan | GoKind::Func => ShapeKind::Address(word(0, 8)),
            GoKind::Map => {
                let address = word(0, 8);
                ShapeKind::Map(address, self.step(address, 0, 8, None))
            }
            GoKind::String => {
                let (address, length) = (word(0, 8), word(8, 8));
                let most = self.limits.bytes;
                let bytes = self.step(address, 0, most, Some((length, 1)));
                ShapeKind::String {
                    address,
                    length,
                    bytes,
                }
            }
            GoKind::Slice(element) => {
                let (address, length, capacity) = (word(0, 8), word(8, 8), word(16, 8));
                self.slice(*element, address, length, capacity, depth, level)
            }
            GoKind::Pointer(target) => {
                let address = word(0, 8);
                let to = (depth < self.limits.depth)
                    .then(|| self.pointee(*target, address, depth, level))
                    .flatten();
                ShapeKind::Pointer { address, to }
            }
            GoKind::Interface { empty: false } if found.name == "context.Context" => {
                let (first, second) = (word(0, 8), word(8, 8));
                self.context(first, second)
            }
            GoKind::Interface { empty } => {
                let (first, second) = (word(0, 8), word(8, 8));
                let error = self.results && level == 0 && found.name == "error";
                let error = error.then(|| self.error(first, second)).flatten();
                error.unwrap_or_else(|| self.interface(*empty, first, second))
            }
            GoKind::Array(element, length) => {
                self.array(*element, *length, source, offset, depth, level)
            }
            GoKind::Struct(fields) if depth <= self.limits.depth => ShapeKind::Struct(
                fields
                    .iter()
                    .map(|field| {
                        let shape = self.field(field, source, offset, depth + 1, level);
                        (field.name.clone(), shape)
                    })
                    .collect(),
            ),
            GoKind::Struct(_) => ShapeKind::Cut,
        };
        Shape {
            type_name: found.name.clone(),
            kind,
        }
    }

    fn field(
        &mut self,
        field: &Field,
        source: &Source<'_>,
        offset: u64,
        depth: u32,
        level: u32,
    ) -> Shape {
        if self.redaction.hides(&field.name) {
            return self.redacted(field.ty);
        }
        let at = offset.saturating_add(field.offset);
        self.shape(field.ty, source, at, depth, level + 1)
    }

    /// Where `size` bytes of a value stand.
    fn word(&self, source: &Source<'_>, offset: u64, size: u64) -> Word {
        match source {
            Source::Data { at, bytes } => {
                let inside = offset.checked_add(size).is_some_and(|end| end <= *bytes);
                match u32::try_from(offset) {
                    Ok(offset) if inside => Word::Data(at + offset),
                    _ => Word::Unread,
                }
            }
            Source::Registers(parts) => match parts.iter().find(|part| part.offset == offset) {
                Some(Part {
                    register: Register::General(number),
                    ..
                }) => Word::Data(self.registers + u32::from(*number) * 8),
                Some(Part {
                    register: Register::Float(_),
                    ..
                }) => Word::Float,
                None => Word::Unread,
            },
        }
    }

    fn pointee(
        &mut self,
        target: TypeRef,
        address: Word,
        depth: u32,
        level: u32,
    ) -> Option<Box<Shape>> {
        let size = self.types.get(target)?.size.min(POINTEE_MOST);
        if size == 0 {
            return None;
        }
        let chunks = self.copy(address, 0, size)?;
        let shape = self.shape(target, &stored(&chunks), 0, depth + 1, level + 1);
        Some(Box::new(copied(chunks, shape)))
    }

    fn slice(
        &mut self,
        element: TypeRef,
        address: Word,
        length: Word,
        capacity: Word,
        depth: u32,
        level: u32,
    ) -> ShapeKind {
        let found = self.types.get(element);
        let each = found.as_ref().map_or(0, |found| found.size);
        if let Some(found) = &found
            && found.kind == GoKind::Uint
            && each == 1
        {
            let bytes = self.step(address, 0, self.limits.bytes, Some((length, 1)));
            return ShapeKind::Bytes {
                address,
                length,
                capacity,
                bytes,
            };
        }
        let fit = u64::from(STEP_MOST).min(POINTEE_MOST).checked_div(each);
        let number = fit.unwrap_or(0).min(u64::from(self.limits.items));
        let mut items = Vec::new();
        let mut chunk = None;
        if number > 0
            && depth < self.limits.depth
            && let Ok(size) = u32::try_from(each)
            && let Ok(number) = u32::try_from(number)
        {
            chunk = self.step(address, 0, size * number, Some((length, size)));
            if let Some(chunk) = chunk {
                for item in 0..number {
                    let source = Source::Data {
                        at: chunk.at + item * size,
                        bytes: each,
                    };
                    items.push(self.shape(element, &source, 0, depth + 1, level + 1));
                }
            }
        }
        ShapeKind::Slice {
            address,
            length,
            capacity,
            chunk,
            items,
            each,
        }
    }

    fn array(
        &mut self,
        element: TypeRef,
        length: u64,
        source: &Source<'_>,
        offset: u64,
        depth: u32,
        level: u32,
    ) -> ShapeKind {
        let each = self.types.get(element).map_or(0, |found| found.size);
        let shown = length.min(u64::from(self.limits.items));
        if depth > self.limits.depth {
            return ShapeKind::Cut;
        }
        let items = (0..shown)
            .map(|item| {
                let at = offset.saturating_add(item.saturating_mul(each));
                self.shape(element, source, at, depth + 1, level + 1)
            })
            .collect();
        ShapeKind::Array(items, length)
    }

    /// The context and its parents, each of which has its own as its first field.
    fn context(&mut self, first: Word, second: Word) -> ShapeKind {
        let (mut table, mut value) = (first, second);
        let mut chain = Vec::new();
        let known = (self.deadline)();
        for _ in 0..known.map_or(1, |_| CONTEXTS) {
            let Some(described) = self.step(table, TYPE_IN_ITAB, 8, None) else {
                break;
            };
            let parent = known.and_then(|_| self.step(value, 0, 16, None));
            chain.push(ContextStep {
                table: described,
                parent,
                deadline: known.and_then(|at| self.step(value, at, 24, None)),
            });
            let Some(parent) = parent else { break };
            (table, value) = (Word::Data(parent.at), Word::Data(parent.at + 8));
        }
        ShapeKind::Context {
            first,
            chain,
            known: known.is_some(),
        }
    }

    fn interface(&mut self, empty: bool, first: Word, second: Word) -> ShapeKind {
        let table = (!empty).then(|| self.step(first, TYPE_IN_ITAB, 8, None));
        let table = table.flatten();
        let value = self.step(second, 0, 16, None);
        let text = value.and_then(|value| {
            let (address, length) = (Word::Data(value.at), Word::Data(value.at + 8));
            self.step(address, 0, self.limits.bytes, Some((length, 1)))
        });
        ShapeKind::Interface {
            first,
            table,
            value,
            text,
        }
    }
}

/// What a value means that is known only if all chunks of it could be copied.
fn copied(chunks: Vec<Chunk>, shape: Shape) -> Shape {
    Shape {
        type_name: shape.type_name,
        kind: ShapeKind::Copied(chunks, Box::new(shape.kind)),
    }
}

/// A value that was copied, as far as it was.
fn stored(chunks: &[Chunk]) -> Source<'static> {
    Source::Data {
        at: chunks.first().map_or(0, |chunk| chunk.at),
        bytes: chunks.iter().map(|chunk| u64::from(chunk.most)).sum(),
    }
}
