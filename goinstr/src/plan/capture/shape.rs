//! What the bytes of a captured call mean: the tree that turns them into values.

/// Where in the data a few bytes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// From here on.
    Data(u32),
    /// In a floating-point register, which the kernel shows no program.
    Float,
    /// Nowhere: it was not read.
    Unread,
}

/// Bytes that a step of the recipe copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The step's number: whether it found something to read.
    pub step: u32,
    /// Where in the data they stand.
    pub at: u32,
    /// Bytes at most.
    pub most: u32,
}

/// A value's type and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// As Go prints it.
    pub type_name: String,
    /// What its bytes mean.
    pub kind: ShapeKind,
}

/// What is read of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextStep {
    /// Has its type's address.
    pub table: Chunk,
    /// Has its parent, if it is a type that has one: an interface.
    pub parent: Option<Chunk>,
    /// Has its deadline, if it is a `context.timerCtx`: a `time.Time`.
    pub deadline: Option<Chunk>,
}

/// What is read of an error, whatever its type: where its text or parts of it are in the standard library's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorShape {
    /// The interface's first word.
    pub first: Word,
    /// Has its type's address.
    pub table: Chunk,
    /// The first 16 bytes of its fields.
    pub value: Chunk,
    /// The 64 after them.
    pub more: Option<Chunk>,
    /// The bytes of strings, by their offset among the fields.
    pub texts: Vec<(u32, Chunk)>,
    /// Interfaces among the fields.
    pub inner: Vec<InnerShape>,
}

/// What is read of an interface that is a field of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InnerShape {
    /// Where among the error's fields.
    pub offset: u32,
    /// Has its type's address.
    pub table: Chunk,
    /// The first 32 bytes of its fields.
    pub value: Chunk,
    /// The bytes of the string or slice that they begin with.
    pub text: Option<Chunk>,
    /// The address of the type, and the value, of an interface behind that string.
    pub last: Option<(Chunk, Chunk)>,
}

/// What bytes mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShapeKind {
    /// `true` or `false`.
    Bool(Word),
    /// A signed integer of so many bytes.
    Int(Word, u8),
    /// An unsigned one.
    Uint(Word, u8),
    /// A floating-point number of so many bytes.
    Float(Word, u8),
    /// Two of them, of so many bytes each.
    Complex(Word, Word, u8),
    /// Its length and its bytes; `None`: none of them are read.
    String {
        /// Where its bytes stand in the target.
        address: Word,
        /// Their number.
        length: Word,
        /// As many as are read.
        bytes: Option<Chunk>,
    },
    /// Its first elements.
    Slice {
        /// Where its elements stand in the target.
        address: Word,
        /// Their number.
        length: Word,
        /// How many there is room for.
        capacity: Word,
        /// As many as are read, one behind the other.
        chunk: Option<Chunk>,
        /// The same, each.
        items: Vec<Shape>,
        /// Bytes of each.
        each: u64,
    },
    /// All of a `[]byte` that is read: shown as text where it is.
    Bytes {
        /// Where they stand in the target.
        address: Word,
        /// Their number.
        length: Word,
        /// How many there is room for.
        capacity: Word,
        /// As many as are read.
        bytes: Option<Chunk>,
    },
    /// An address, and what stands there.
    Pointer {
        /// The address.
        address: Word,
        /// What it is; `None`: not followed.
        to: Option<Box<Shape>>,
    },
    /// A value from memory: the chunks that hold it, without one of which nothing of it is known, and
    /// what its bytes mean.
    Copied(Vec<Chunk>, Box<ShapeKind>),
    /// The first elements of so many.
    Array(Vec<Shape>, u64),
    /// Fields by name, in order.
    Struct(Vec<(String, Shape)>),
    /// The address of the runtime's structure, and the number of elements, 8 bytes.
    Map(Word, Option<Chunk>),
    /// An address that says little: a channel's, a function's.
    Address(Word),
    /// A value of a type that is only known then.
    Interface {
        /// Its first word.
        first: Word,
        /// Has the type's address, where the first word is not it.
        table: Option<Chunk>,
        /// The first bytes at the second word: the value, or where that is an address what stands there.
        value: Option<Chunk>,
        /// The bytes of a string, if that is what stands there.
        text: Option<Chunk>,
    },
    /// A `context.Context`.
    Context {
        /// Its first word.
        first: Word,
        /// It, then each one's parent, as far as they are looked at.
        chain: Vec<ContextStep>,
        /// Whether it is known where a deadline is.
        known: bool,
    },
    /// An error, and what is in it.
    Error(Box<ErrorShape>),
    /// Nested too deeply, or beyond what one call's data has room for.
    Cut,
    /// Not to be read.
    Redacted,
    /// Not to be had, and why.
    Unknown(&'static str),
}
