//! Go's types, as far as it takes to read a value out of memory.
//!
//! Types refer to each other by [`TypeRef`], which only their own [`TypeSource`] can resolve: they
//! may be recursive, and a program has many thousands of which few are looked at.

use std::rc::Rc;

/// A type, as its [`TypeSource`] knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeRef(pub(crate) u64);

/// Where types come from: debug information, or in tests what is made up.
pub trait TypeSource {
    /// The type; `None` where it isn't known or can't be read.
    fn get(&self, at: TypeRef) -> Option<Rc<GoType>>;
}

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoType {
    /// Its name as Go prints it: `int`, `[]string`, `*main.Request`.
    pub name: String,
    /// Bytes of a value.
    pub size: u64,
    /// What its bytes mean.
    pub kind: GoKind,
}

/// What the bytes of a value mean. Sizes are those of the type; layouts are those of Go's
/// `src/reflect/value.go` and `src/runtime/`, the same since long before Go 1.17.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoKind {
    /// One byte.
    Bool,
    /// Signed, of 1, 2, 4 or 8 bytes.
    Int,
    /// Unsigned, of 1, 2, 4 or 8 bytes; `uintptr` and `unsafe.Pointer` too.
    Uint,
    /// IEEE 754, of 4 or 8 bytes.
    Float,
    /// Two of them.
    Complex,
    /// Address and length.
    String,
    /// An address.
    Pointer(TypeRef),
    /// Address, length, capacity.
    Slice(TypeRef),
    /// So many, one after the other.
    Array(TypeRef, u64),
    /// Fields.
    Struct(Vec<Field>),
    /// An address of the runtime's own structure, whose first word is the number of elements.
    Map,
    /// An address of the runtime's own structure, whose first words are the elements waiting and the room.
    Chan,
    /// An address of a closure.
    Func,
    /// The type and the value: of an interface without methods the first word is the type's address,
    /// else that of an `itab`, which has it.
    Interface {
        /// Whether it has no methods.
        empty: bool,
    },
}

/// A field of a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name; of an embedded one the type's.
    pub name: String,
    /// Bytes from the structure's beginning.
    pub offset: u64,
    /// Its type.
    pub ty: TypeRef,
}

/// What a function takes and gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Receiver, then parameters, in order; also what the compiler adds (`.dict`).
    pub parameters: Vec<Parameter>,
    /// Results, in order.
    pub results: Vec<Parameter>,
}

/// A parameter or result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// As in the source, or as the compiler calls one that has none (`~r0`, `~p1`).
    pub name: Option<String>,
    /// Its type.
    pub ty: TypeRef,
    /// In which registers it is at the function's first instruction, where debug information tells: it
    /// often doesn't, and may then be asked for nothing.
    pub seen: Vec<SeenRegister>,
}

/// A part of a parameter that debug information puts into a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenRegister {
    /// The register's DWARF number.
    pub register: u16,
    /// Where in the value the part begins, in bytes.
    pub offset: u64,
    /// Bytes of the part.
    pub size: u64,
}
