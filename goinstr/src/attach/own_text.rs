//! Where goinstr's own functions stand in its file.

use std::io;

use crate::binary::FileOffset;

/// The file offset of an address of this process's own code.
pub(super) fn file_offset(address: u64) -> io::Result<FileOffset> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    maps.lines()
        .find_map(|line| offset_in(line, address))
        .ok_or_else(|| io::Error::other("goinstr's own code is not in /proc/self/maps"))
}

/// `START-END PERMISSIONS OFFSET …`, all in hexadecimal (proc(5)).
fn offset_in(line: &str, address: u64) -> Option<FileOffset> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end, 16).ok()?;
    let offset = u64::from_str_radix(fields.nth(1)?, 16).ok()?;
    (start <= address && address < end).then(|| FileOffset(address - start + offset))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn the_file_holds_the_code_at_the_offset() {
        let function = offset_in as fn(_, _) -> _ as usize;
        let FileOffset(offset) = file_offset(function as u64).unwrap();
        let mut in_file = [0; 16];
        std::fs::File::open("/proc/self/exe")
            .unwrap()
            .read_exact_at(&mut in_file, offset)
            .unwrap();
        // SAFETY: the function's own code, which is longer than that.
        let in_memory = unsafe { *(function as *const [u8; 16]) };
        assert_eq!(in_file, in_memory);
        assert!(file_offset(8).is_err());
    }
}
