//! Lines ⇄ zstd frames (RFC 8878), each of whole lines and with a checksum.

use std::io::{self, BufRead, Read, Write};

use zstd::bulk::Compressor;
use zstd::stream::read::Decoder;

/// Lines are compressed when there are so many bytes of them, or at a flush: little enough to keep
/// in memory, much enough to compress well.
const FULL: usize = 1 << 20;
/// No frame of ours is longer uncompressed: a line beyond it would be a function's million slots.
const LONGEST: u64 = 64 << 20;
/// The fastest: 740 MB/s and a ninth of the size on lines of calls, where level 3 takes thrice the
/// time for a tenth less.
const LEVEL: i32 = 1;

/// Compresses what is written to it. A flush ends the frame: what was written until then can be
/// read whatever happens next.
pub(super) struct Frames<W: Write> {
    out: W,
    lines: Vec<u8>,
    compressor: Compressor<'static>,
}

impl<W: Write> Frames<W> {
    /// Frames on `out`, which need not buffer.
    pub fn new(out: W) -> io::Result<Self> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.include_checksum(true)?;
        Ok(Self {
            out,
            lines: Vec::new(),
            compressor,
        })
    }

    /// Writes the first `length` bytes as a frame.
    fn end_frame(&mut self, length: usize) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        let frame = self
            .compressor
            .compress(self.lines.get(..length).unwrap_or_default())?;
        self.lines.drain(..length.min(self.lines.len()));
        // In one piece, so that a kill between two writes tears no frame.
        self.out.write_all(&frame)
    }
}

impl<W: Write> Write for Frames<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lines.extend_from_slice(bytes);
        if self.lines.len() >= FULL
            && let Some(end) = memchr::memrchr(b'\n', &self.lines)
        {
            self.end_frame(end + 1)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.end_frame(self.lines.len())?;
        self.out.flush()
    }
}

/// What comes next in a file.
#[derive(Debug)]
pub(super) enum Next {
    /// The lines of a frame.
    Lines(Vec<u8>),
    /// Nothing: the file ends after a frame.
    End,
    /// A frame that is cut off or damaged, and how.
    Damaged(String),
}

/// Reads the next frame of `file`. Memory: that of one frame, at most [`LONGEST`].
///
/// # Errors
/// Those of reading `file`; damage is none.
pub(super) fn next(file: &mut impl BufRead) -> io::Result<Next> {
    if file.fill_buf()?.is_empty() {
        return Ok(Next::End);
    }
    let damaged = |error: io::Error| Next::Damaged(error.to_string());
    let decoder = match Decoder::with_buffer(&mut *file) {
        Ok(decoder) => decoder.single_frame(),
        Err(error) => return Ok(damaged(error)),
    };
    let mut lines = Vec::new();
    match decoder.take(LONGEST + 1).read_to_end(&mut lines) {
        Ok(length) if length as u64 > LONGEST => Ok(Next::Damaged(format!(
            "a frame of more than {LONGEST} bytes"
        ))),
        Ok(_) => Ok(Next::Lines(lines)),
        Err(error) => Ok(damaged(error)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(mut file: &[u8]) -> (Vec<u8>, Option<String>) {
        let mut all = Vec::new();
        loop {
            match next(&mut file).expect("memory is read") {
                Next::Lines(lines) => all.extend(lines),
                Next::End => return (all, None),
                Next::Damaged(how) => return (all, Some(how)),
            }
        }
    }

    fn written(parts: &[&str]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut frames = Frames::new(&mut file).expect("zstd");
        for part in parts {
            frames.write_all(part.as_bytes()).expect("written");
            frames.flush().expect("flushed");
        }
        file
    }

    #[test]
    fn each_flush_can_be_read() {
        let file = written(&["a\nb\n", "", "c\n"]);
        assert_eq!(read(&file), (b"a\nb\nc\n".to_vec(), None));
    }

    #[test]
    fn full_frames_hold_whole_lines() {
        let mut file = Vec::new();
        let mut frames = Frames::new(&mut file).expect("zstd");
        let line = "x".repeat(999) + "\n";
        for chunk in line.repeat(2500).as_bytes().chunks(777) {
            frames.write_all(chunk).expect("written");
        }
        frames.flush().expect("flushed");
        let mut rest = &file[..];
        let mut frames = 0;
        while let Next::Lines(lines) = next(&mut rest).expect("read") {
            assert_eq!(lines.last(), Some(&b'\n'));
            assert_eq!(lines.len() % 1000, 0);
            frames += 1;
        }
        assert_eq!(frames, 3);
    }

    #[test]
    fn a_cut_anywhere_leaves_the_frames_before_it() {
        let first = written(&["first\n"]).len();
        let file = written(&["first\n", "second\n"]);
        for cut in 0..file.len() {
            let (lines, damage) = read(&file[..cut]);
            let expected: &[u8] = if cut < first { b"" } else { b"first\n" };
            assert_eq!(lines, expected, "{cut}");
            assert_eq!(damage.is_none(), cut == 0 || cut == first, "{cut}");
        }
    }

    #[test]
    fn a_flipped_bit_is_damage_or_harmless() {
        let file = written(&["{\"type\":\"recording\"}\n"]);
        for bit in 0..file.len() * 8 {
            let mut file = file.clone();
            file[bit / 8] ^= 1 << (bit % 8);
            let (lines, damage) = read(&file);
            assert!(
                damage.is_some() || lines.is_empty() || lines == b"{\"type\":\"recording\"}\n",
                "bit {bit}: {lines:?}"
            );
        }
    }

    #[test]
    fn a_frame_that_grows_without_bounds_is_refused() {
        let zeros = zstd::bulk::compress(&vec![0; (LONGEST as usize) + 10], 1).expect("zstd");
        assert!(zeros.len() < 100_000);
        let (lines, damage) = read(&zeros);
        assert!(lines.is_empty());
        assert!(damage.expect("refused").contains("more than"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            read(&bytes);
            let mut file = written(&["first\n"]);
            file.extend(bytes);
            prop_assert!(read(&file).0.starts_with(b"first\n"));
        }
    }
}
