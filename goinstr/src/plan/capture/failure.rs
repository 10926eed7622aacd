//! The steps that read an error which a function returns.
//!
//! Of which type it is is known only then, so what the standard library's kinds have is read of any: strings
//! that begin at one of the first words, and interfaces behind them. What is none is no address that
//! can be read, or is not looked at.

use super::compile::{Compiler, TYPE_IN_ITAB};
use super::shape::{Chunk, ErrorShape, InnerShape, ShapeKind, Word};

/// Where strings begin: `Op` and `Path` of an `fs.PathError`, and behind a word that is none.
const TEXTS: [u32; 3] = [0, 8, 16];
/// Where interfaces are: `Err` of an `os.SyscallError`, of an `fs.PathError`, `Source` (there too), `Addr` and
/// `Err` of a `net.OpError`.
const INTERFACES: [u32; 4] = [16, 32, 48, 64];
/// `net.OpError` has 80 bytes.
const FIRST: u32 = 16;
const MORE: u32 = 64;
/// What is read of a value in an error: a `net.TCPAddr` up to its port.
const INNER: u32 = 32;
/// Bytes of a text in an error, at most.
const INNER_TEXT: u32 = 64;

impl Compiler<'_> {
    /// `None`: there is no room for the least of it.
    pub(super) fn error(&mut self, first: Word, second: Word) -> Option<ShapeKind> {
        let before = self.mark();
        let Some((table, value)) = self.described(first, second, FIRST) else {
            self.back_to(before);
            return None;
        };
        // Behind the first fields without a gap, so that all are one.
        let more = self.step(second, FIRST, MORE, None);
        let mut texts = Vec::new();
        let mut inner = Vec::new();
        for at in TEXTS {
            let most = match at {
                8 => INNER_TEXT.min(self.limits().bytes),
                _ => self.limits().bytes,
            };
            let chunk = match (at, more) {
                (0, _) | (_, Some(_)) => self.text(value, at, most),
                _ => None,
            };
            texts.extend(chunk.map(|chunk| (at, chunk)));
        }
        for offset in INTERFACES.into_iter().filter(|_| more.is_some()) {
            inner.extend(self.inner(value, offset));
        }
        Some(ShapeKind::Error(Box::new(ErrorShape {
            first,
            table,
            value,
            more,
            texts,
            inner,
        })))
    }

    fn inner(&mut self, of: Chunk, offset: u32) -> Option<InnerShape> {
        let word = |at| Word::Data(of.at + offset + at);
        let (table, value) = self.described(word(0), word(8), INNER)?;
        let most = INNER_TEXT.min(self.limits().bytes);
        let text = self.text(value, 0, most);
        // An `os.SyscallError` in a `net.OpError`.
        let last = (offset == 64).then(|| {
            let word = |at| Word::Data(value.at + at);
            self.described(word(16), word(24), 8)
        });
        Some(InnerShape {
            offset,
            table,
            value,
            text,
            last: last.flatten(),
        })
    }

    /// The type and the first bytes of what an interface holds.
    fn described(&mut self, first: Word, second: Word, bytes: u32) -> Option<(Chunk, Chunk)> {
        let table = self.step(first, TYPE_IN_ITAB, 8, None)?;
        Some((table, self.step(second, 0, bytes, None)?))
    }

    /// The bytes of a string that is among what was copied.
    fn text(&mut self, of: Chunk, at: u32, most: u32) -> Option<Chunk> {
        let (address, length) = (Word::Data(of.at + at), Word::Data(of.at + at + 8));
        self.step(address, 0, most, Some((length, 1)))
    }
}
