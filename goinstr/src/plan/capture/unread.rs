//! Why the values of a function can't be read.

use thiserror::Error;

/// Why nothing of a function's calls can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unread {
    /// Neither debug information nor a given signature tells its parameters.
    #[error(
        "the binary has no debug information about it; tell its parameters with \
         --signature 'main.name(key string, n int) error'"
    )]
    NoSignature,
    /// Only the program's own file is read for signatures.
    #[error("it is in a plugin")]
    InLibrary,
    /// No probe can be at its first instructions.
    #[error("its calls are seen only after its first instructions, which may have changed them")]
    Moved,
    /// Go's register ABI doesn't hold for it.
    #[error("it is written in assembly")]
    Assembly,
    /// The given signature is another function's.
    #[error(
        "{}, {}: a parameter is missing (the receiver is the first one) or has another type",
        given.map_or("the parameters of --signature take more than any".to_owned(), |given| format!(
            "the parameters of --signature take {given} bytes"
        )),
        told.map_or("the function table doesn't tell its own".to_owned(), |told| format!(
            "those of the function {told}"
        ))
    )]
    Disagrees {
        /// Bytes that the parameters of the signature take.
        given: Option<u64>,
        /// What the function table says.
        told: Option<u64>,
    },
}
