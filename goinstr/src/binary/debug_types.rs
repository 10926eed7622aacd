//! DWARF: the signatures of functions and the types of their parameters.
//!
//! In: the sections that [`GoBinary::debug_sections`](super::GoBinary::debug_sections) loaded, DWARF 4
//! or 5. Out: [`Signature`]s and, as they are asked for, [`GoType`]s. Attributes of Go's own are those
//! of its linker (Go's `src/cmd/internal/dwarf/dwarf.go`). Untrusted: whatever is not as it should be
//! is a type that isn't known.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use gimli::{
    AttributeValue, DebugInfoOffset, DebuggingInformationEntry, DwAt, DwarfSections, EndianSlice,
    LittleEndian, Operation, UnitOffset,
};

use super::Vaddr;
use super::dwarf_units::Units;
use super::go_type::{
    Field, GoKind, GoType, Parameter, SeenRegister, Signature, TypeRef, TypeSource,
};

/// `DW_AT_go_kind`: a `reflect.Kind`.
const GO_KIND: DwAt = DwAt(0x2900);
/// `DW_AT_go_elem`.
const GO_ELEM: DwAt = DwAt(0x2902);

/// Typedefs behind each other: Go makes one or two.
const TYPEDEFS: usize = 8;
/// Fields of a structure that are kept.
const FIELDS: usize = 512;
/// Parameters and results of a function.
const PARAMETERS: usize = 256;
/// Units kept: Go's linker puts all types into one, and with each one its table of source files is kept.
const UNITS: usize = 16;
/// No value is larger.
const LARGEST: u64 = 1 << 40;

/// The debug sections of a program, loaded.
pub struct DebugSections(pub(super) DwarfSections<Vec<u8>>);

type Slice<'s> = EndianSlice<'s, LittleEndian>;
type Entry<'s> = DebuggingInformationEntry<Slice<'s>>;

/// A program's debug information.
pub struct DebugTypes<'s> {
    dwarf: gimli::Dwarf<Slice<'s>>,
    all: Units<'s>,
    units: RefCell<HashMap<usize, Option<Rc<gimli::Unit<Slice<'s>>>>>>,
    types: RefCell<HashMap<TypeRef, Option<Rc<GoType>>>>,
}

impl<'s> DebugTypes<'s> {
    /// Looks through the units, and at nothing in them.
    #[must_use]
    pub fn new(sections: &'s DebugSections) -> Self {
        let dwarf = sections
            .0
            .borrow(|bytes| EndianSlice::new(bytes, LittleEndian));
        Self {
            all: Units::of(&dwarf),
            dwarf,
            units: RefCell::default(),
            types: RefCell::default(),
        }
    }

    /// The signatures of the functions that begin at `entries`, as far as they are known.
    #[must_use]
    pub fn signatures(&self, entries: &[Vaddr]) -> HashMap<Vaddr, Signature> {
        let mut wanted: Vec<u64> = entries.iter().map(|entry| entry.0).collect();
        wanted.sort_unstable();
        let mut found = HashMap::new();
        for header in &self.all.headers {
            if found.len() == wanted.len() {
                break;
            }
            let Some(unit) = self.read_unit(header) else {
                continue;
            };
            if self.concerns(&unit, &wanted) {
                // What was found before a damaged entry stands.
                let _ = self.search(&unit, &wanted, &mut found);
            }
        }
        found
    }

    /// A unit whose types are asked for.
    fn unit(&self, index: usize) -> Option<Rc<gimli::Unit<Slice<'s>>>> {
        let mut units = self.units.borrow_mut();
        if let Some(unit) = units.get(&index) {
            return unit.clone();
        }
        if units.len() >= UNITS {
            units.clear();
        }
        let unit = self.read_unit(self.all.headers.get(index)?).map(Rc::new);
        units.insert(index, unit.clone());
        unit
    }

    fn read_unit(&self, header: &gimli::UnitHeader<Slice<'s>>) -> Option<gimli::Unit<Slice<'s>>> {
        let abbreviations = self.all.abbreviations(header)?;
        gimli::Unit::new_with_abbreviations(&self.dwarf, *header, abbreviations).ok()
    }

    /// Whether one of the addresses may be in a unit.
    fn concerns(&self, unit: &gimli::Unit<Slice<'s>>, wanted: &[u64]) -> bool {
        if reaches_round(unit) {
            return false;
        }
        let Ok(mut ranges) = self.dwarf.unit_ranges(unit) else {
            return true;
        };
        while let Ok(Some(range)) = ranges.next() {
            let first = wanted.partition_point(|&at| at < range.begin);
            if wanted.get(first).is_some_and(|&at| at < range.end) {
                return true;
            }
        }
        false
    }

    fn search(
        &self,
        unit: &gimli::Unit<Slice<'s>>,
        wanted: &[u64],
        found: &mut HashMap<Vaddr, Signature>,
    ) -> gimli::Result<()> {
        let mut cursor = unit.entries();
        // The function whose parameters are being read: its address and depth.
        let mut inside: Option<(u64, isize)> = None;
        while let Some(entry) = cursor.next_dfs()? {
            if let Some((address, depth)) = inside {
                if entry.depth() > depth {
                    let own = entry.depth() == depth + 1;
                    if own && entry.tag() == gimli::DW_TAG_formal_parameter {
                        let signature: &mut Signature = found.entry(Vaddr(address)).or_default();
                        self.parameter(unit, entry, address, signature);
                    }
                    continue;
                }
                inside = None;
            }
            if entry.tag() == gimli::DW_TAG_subprogram
                && let Some(value) = entry.attr_value(gimli::DW_AT_low_pc)
                && let Ok(Some(address)) = self.dwarf.attr_address(unit, value)
                && wanted.binary_search(&address).is_ok()
            {
                found.entry(Vaddr(address)).or_default();
                inside = Some((address, entry.depth()));
            }
        }
        Ok(())
    }

    fn parameter(
        &self,
        unit: &gimli::Unit<Slice<'s>>,
        entry: &Entry<'s>,
        address: u64,
        signature: &mut Signature,
    ) {
        // Name and type stand in the abstract function where it was inlined somewhere too.
        let mut name = self.name(unit, entry);
        let mut ty = self.reference(unit, entry, gimli::DW_AT_type);
        let mut result = flag(entry);
        if let Some(TypeRef(origin)) = self.reference(unit, entry, gimli::DW_AT_abstract_origin) {
            self.at(origin, |unit, origin| {
                name = name.take().or_else(|| self.name(unit, origin));
                ty = ty.or_else(|| self.reference(unit, origin, gimli::DW_AT_type));
                result = result.or_else(|| flag(origin));
            });
        }
        let result = result.unwrap_or(false);
        let list = if result {
            &mut signature.results
        } else {
            &mut signature.parameters
        };
        if list.len() >= PARAMETERS {
            return;
        }
        // From Go 1.21 on one that a closure captures, or that has no register, may stand there twice.
        if name.as_deref() != Some("_") && list.iter().any(|other| other.name == name) {
            return;
        }
        list.push(Parameter {
            name,
            // Offset 0 is a unit's header: a type that nothing is known of.
            ty: ty.unwrap_or(TypeRef(0)),
            seen: self.seen(unit, entry, address).unwrap_or_default(),
        });
    }

    /// The registers that hold a parameter at `address`, by its location list.
    fn seen(
        &self,
        unit: &gimli::Unit<Slice<'s>>,
        entry: &Entry<'s>,
        address: u64,
    ) -> Option<Vec<SeenRegister>> {
        let value = entry.attr_value(gimli::DW_AT_location)?;
        let mut locations = self.dwarf.attr_locations(unit, value).ok()??;
        while let Ok(Some(location)) = locations.next() {
            if !(location.range.begin..location.range.end).contains(&address) {
                continue;
            }
            let mut operations = location.data.operations(unit.encoding());
            let mut seen = Vec::new();
            let (mut offset, mut register) = (0u64, None);
            while let Ok(Some(operation)) = operations.next() {
                match operation {
                    Operation::Register { register: number } => register = Some(number.0),
                    Operation::Piece { size_in_bits, .. } => {
                        let size = size_in_bits / 8;
                        seen.extend(register.take().map(|register| SeenRegister {
                            register,
                            offset,
                            size,
                        }));
                        offset = offset.checked_add(size)?;
                    }
                    _ => return None,
                }
            }
            seen.extend(register.map(|register| SeenRegister {
                register,
                offset,
                size: 0,
            }));
            return Some(seen);
        }
        None
    }

    fn name(&self, unit: &gimli::Unit<Slice<'s>>, entry: &Entry<'s>) -> Option<String> {
        let value = entry.attr_value(gimli::DW_AT_name)?;
        let name = self.dwarf.attr_string(unit, value).ok()?;
        Some(name.to_string_lossy().into_owned())
    }

    /// The offset in `.debug_info` that an attribute refers to.
    fn reference(
        &self,
        unit: &gimli::Unit<Slice<'s>>,
        entry: &Entry<'s>,
        attribute: DwAt,
    ) -> Option<TypeRef> {
        let offset = match entry.attr_value(attribute)? {
            AttributeValue::UnitRef(offset) => offset.to_debug_info_offset(&unit.header)?.0,
            AttributeValue::DebugInfoRef(DebugInfoOffset(offset)) => offset,
            _ => return None,
        };
        u64::try_from(offset).ok().map(TypeRef)
    }

    /// Looks at the entry at an offset in `.debug_info`.
    fn at<R>(
        &self,
        offset: u64,
        look: impl FnOnce(&gimli::Unit<Slice<'s>>, &Entry<'s>) -> R,
    ) -> Option<R> {
        let offset = DebugInfoOffset(usize::try_from(offset).ok()?);
        let begins = |header: &gimli::UnitHeader<Slice<'s>>| {
            header
                .debug_info_offset()
                .is_some_and(|begin| begin <= offset)
        };
        let index = self.all.headers.partition_point(begins).checked_sub(1)?;
        let unit = self.unit(index)?;
        let within: UnitOffset = offset.to_unit_offset(&unit.header)?;
        let entry = unit.entry(within).ok()?;
        Some(look(&unit, &entry))
    }

    fn read(&self, at: TypeRef) -> Option<GoType> {
        let mut at = at;
        let mut name = None;
        let mut kind = None;
        let mut elem = None;
        // A named structure is a typedef of it, an interface or a map one of the runtime's structure.
        for _ in 0..TYPEDEFS {
            enum Read {
                Through(TypeRef),
                Type(Option<GoType>),
            }
            let read = self.at(at.0, |unit, entry| {
                // `.param0` stands for a type parameter's type.
                let named = |name: &String| !name.starts_with('.');
                name = name.take().or_else(|| self.name(unit, entry).filter(named));
                kind = kind.or_else(|| number(entry, GO_KIND));
                elem = elem.or_else(|| self.reference(unit, entry, GO_ELEM));
                let through = entry.tag() == gimli::DW_TAG_typedef;
                match (through, self.reference(unit, entry, gimli::DW_AT_type)) {
                    // What it leads to is the runtime's own affair, but for which of two an interface is.
                    (true, Some(next)) if !matches!(kind, Some(CHAN | FUNC | MAP)) => {
                        Read::Through(next)
                    }
                    _ => Read::Type(self.plain(unit, entry, kind, elem)),
                }
            })?;
            match read {
                Read::Through(next) => at = next,
                Read::Type(found) => {
                    return found.map(|found| GoType {
                        name: name.unwrap_or_default(),
                        ..found
                    });
                }
            }
        }
        None
    }

    /// The type that an entry describes, without its name.
    fn plain(
        &self,
        unit: &gimli::Unit<Slice<'s>>,
        entry: &Entry<'s>,
        kind: Option<u64>,
        elem: Option<TypeRef>,
    ) -> Option<GoType> {
        let size = number(entry, gimli::DW_AT_byte_size);
        let target = || self.reference(unit, entry, gimli::DW_AT_type);
        let (size, kind) = match kind? {
            BOOL => (size?, GoKind::Bool),
            INT..=INT64 => (size?, GoKind::Int),
            UINT..=UINTPTR => (size?, GoKind::Uint),
            FLOAT32 | FLOAT64 => (size?, GoKind::Float),
            COMPLEX64 | COMPLEX128 => (size?, GoKind::Complex),
            STRING => (16, GoKind::String),
            SLICE => (24, GoKind::Slice(elem?)),
            POINTER => (8, target().map_or(GoKind::Uint, GoKind::Pointer)),
            UNSAFE_POINTER => (8, GoKind::Uint),
            MAP => (8, GoKind::Map),
            CHAN => (8, GoKind::Chan),
            FUNC => (8, GoKind::Func),
            INTERFACE => {
                let runtime = self.name(unit, entry)?;
                let empty = runtime == "runtime.eface";
                (16, GoKind::Interface { empty })
            }
            ARRAY => {
                let element = elem.or_else(target)?;
                let length = self.array_length(unit, entry)?;
                (size?, GoKind::Array(element, length))
            }
            STRUCT => (size?, GoKind::Struct(self.fields(unit, entry)?)),
            _ => return None,
        };
        (size <= LARGEST).then(|| GoType {
            name: String::new(),
            size,
            kind,
        })
    }

    fn array_length(&self, unit: &gimli::Unit<Slice<'s>>, entry: &Entry<'s>) -> Option<u64> {
        let mut tree = unit.entries_tree(Some(entry.offset())).ok()?;
        let mut children = tree.root().ok()?.children();
        while let Ok(Some(child)) = children.next() {
            let child = child.entry();
            if child.tag() == gimli::DW_TAG_subrange_type {
                return number(child, gimli::DW_AT_count).or_else(|| {
                    number(child, gimli::DW_AT_upper_bound).and_then(|last| last.checked_add(1))
                });
            }
        }
        None
    }

    /// The fields; `None` where one can't be read: a layout without it would be another.
    fn fields(&self, unit: &gimli::Unit<Slice<'s>>, entry: &Entry<'s>) -> Option<Vec<Field>> {
        let mut tree = unit.entries_tree(Some(entry.offset())).ok()?;
        let mut children = tree.root().ok()?.children();
        let mut fields = Vec::new();
        while let Some(child) = children.next().ok()? {
            let child = child.entry();
            if child.tag() != gimli::DW_TAG_member {
                continue;
            }
            if fields.len() >= FIELDS {
                return None;
            }
            fields.push(Field {
                name: self.name(unit, child)?,
                offset: number(child, gimli::DW_AT_data_member_location)?,
                ty: self.reference(unit, child, gimli::DW_AT_type)?,
            });
        }
        Some(fields)
    }
}

impl TypeSource for DebugTypes<'_> {
    fn get(&self, at: TypeRef) -> Option<Rc<GoType>> {
        if let Some(known) = self.types.borrow().get(&at) {
            return known.clone();
        }
        let read = self.read(at).map(Rc::new);
        self.types.borrow_mut().insert(at, read.clone());
        read
    }
}

/// Whether a unit says that it goes on behind the last address, which gimli adds up without a check.
fn reaches_round(unit: &gimli::Unit<Slice<'_>>) -> bool {
    let mut entries = unit.entries();
    let Ok(Some(root)) = entries.next_dfs() else {
        return true;
    };
    match root.attr_value(gimli::DW_AT_high_pc) {
        Some(AttributeValue::Udata(size)) => unit.low_pc.checked_add(size).is_none(),
        _ => false,
    }
}

/// `reflect.Kind` (Go's `src/reflect/type.go`).
const BOOL: u64 = 1;
const INT: u64 = 2;
const INT64: u64 = 6;
const UINT: u64 = 7;
const UINTPTR: u64 = 12;
const FLOAT32: u64 = 13;
const FLOAT64: u64 = 14;
const COMPLEX64: u64 = 15;
const COMPLEX128: u64 = 16;
const ARRAY: u64 = 17;
const CHAN: u64 = 18;
const FUNC: u64 = 19;
const INTERFACE: u64 = 20;
const MAP: u64 = 21;
const POINTER: u64 = 22;
const SLICE: u64 = 23;
const STRING: u64 = 24;
const STRUCT: u64 = 25;
const UNSAFE_POINTER: u64 = 26;

fn number(entry: &Entry<'_>, attribute: DwAt) -> Option<u64> {
    entry.attr_value(attribute)?.udata_value()
}

/// `DW_AT_variable_parameter`, by which Go marks results.
fn flag(entry: &Entry<'_>) -> Option<bool> {
    match entry.attr_value(gimli::DW_AT_variable_parameter)? {
        AttributeValue::Flag(result) => Some(result),
        _ => None,
    }
}
