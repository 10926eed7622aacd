//! Programs to read: ELF files around fuzzed bytes, consistent where a target is not looking, so
//! that the fuzzer starts behind the checks it isn't about.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;

use goinstr::binary::GoBinary;
use rustix::fs::{MemfdFlags, memfd_create};

/// Where the file is loaded.
const BASE: u64 = 0x40_0000;

/// Size of the ELF header and of one program header.
const HEADERS: usize = 64 + 56;

/// An ELF file of one segment, read, written and executed, that is the whole file.
#[derive(Default)]
pub struct Program {
    /// Behind the headers.
    contents: Vec<u8>,
    sections: Vec<(&'static str, usize, usize, u64)>,
}

impl Program {
    /// Appends bytes, aligned as tables are, and gives their address.
    pub fn append(&mut self, bytes: &[u8]) -> u64 {
        let aligned = (HEADERS + self.contents.len()).next_multiple_of(32) - HEADERS;
        self.contents.resize(aligned, 0);
        self.contents.extend_from_slice(bytes);
        BASE + (HEADERS + aligned) as u64
    }

    /// Appends a section; `flags` as in its header.
    pub fn section(&mut self, name: &'static str, bytes: &[u8], flags: u64) {
        let address = self.append(bytes);
        self.sections
            .push((name, (address - BASE) as usize, bytes.len(), flags));
    }

    fn file(&self) -> Vec<u8> {
        let mut names = vec![0];
        let mut table = vec![0; 64];
        for (name, offset, size, flags) in &self.sections {
            let mut header = vec![0; 64];
            header[0..4].copy_from_slice(&(names.len() as u32).to_le_bytes());
            header[4] = 1; // SHT_PROGBITS
            put(&mut header, 8, *flags);
            put(&mut header, 16, BASE + *offset as u64);
            put(&mut header, 24, *offset as u64);
            put(&mut header, 32, *size as u64);
            table.extend(header);
            names.extend(name.bytes().chain([0]));
        }
        let names_at = HEADERS + self.contents.len();
        let table_at = (names_at + names.len()).next_multiple_of(8);
        let mut last = vec![0; 64];
        last[4] = 3; // SHT_STRTAB
        put(&mut last, 24, names_at as u64);
        put(&mut last, 32, names.len() as u64);
        table.extend(last);

        let mut file = vec![0; HEADERS];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[16] = 2; // ET_EXEC
        file[18] = 62; // EM_X86_64
        file[20] = 1;
        put(&mut file, 32, 64);
        put(&mut file, 40, table_at as u64);
        file[52] = 64;
        file[54] = 56;
        file[56] = 1;
        file[58] = 64;
        file[60] = (self.sections.len() + 2) as u8;
        file[62] = (self.sections.len() + 1) as u8;
        file[64] = 1; // PT_LOAD
        file[68] = 7;
        put(&mut file, 80, BASE);
        file.extend_from_slice(&self.contents);
        file.extend(names);
        file.resize(table_at, 0);
        file.extend(table);
        let size = file.len() as u64;
        put(&mut file, 96, size);
        put(&mut file, 104, size);
        file
    }

    pub fn open(&self) -> Option<GoBinary> {
        open(&self.file())
    }

    /// Appends a pclntab of the version that `choices[0]` says, with `choices[1]` functions, whose
    /// records, names, files and tables all lie in `body`; and its moduledata.
    pub fn append_go(&mut self, choices: &[u8; 8], body: &[u8]) {
        let (magic, wide) = [(0xf1, false), (0xf0, false), (0xfa, true)][choices[0] as usize % 3];
        let functions = choices[1] as usize % 16 + 1;
        let half = if wide { 8 } else { 4 };
        let functab = 0x60;
        let records = functab + functions * 2 * half + half;
        let end = records + body.len().max(64) + 64;
        let text = BASE;
        let mut table = vec![0; end];
        table[..8].copy_from_slice(&[magic, 0xff, 0xff, 0xff, 0, 0, 1, 8]);
        table[records..records + body.len()].copy_from_slice(body);
        put(&mut table, 8, functions as u64);
        let offsets = if wide { 24 } else { 32 };
        let anywhere = |choice: u8| (records + choice as usize % body.len().max(1)) as u64;
        for i in 0..4 {
            put(&mut table, offsets + 8 * i, anywhere(choices[2 + i]));
        }
        put(&mut table, offsets + 32, functab as u64);
        for i in 0..=functions {
            let at = functab + i * 2 * half;
            let entry = if wide { text } else { 0 } + 16 * i as u64;
            let record = if i == 0 {
                0
            } else {
                usize::from(choices[6]) * i % body.len().max(1)
            };
            let record = (records - functab + record) as u64;
            table[at..at + half].copy_from_slice(&entry.to_le_bytes()[..half]);
            if i < functions {
                table[at + half..at + 2 * half].copy_from_slice(&record.to_le_bytes()[..half]);
            }
            if i == 0 {
                table[records..records + half].copy_from_slice(&entry.to_le_bytes()[..half]);
            }
        }
        let address = self.append(&table);
        let mut module = vec![0; 400];
        put(&mut module, 0, address);
        put(&mut module, 8, address + anywhere(choices[2]));
        put(&mut module, 104, address + functab as u64);
        put(&mut module, 112, (end - functab) as u64);
        put(&mut module, 176, text);
        put(&mut module, 184, text + 16 * functions as u64);
        let gofunc = address + anywhere(choices[7]);
        put(&mut module, 304, gofunc);
        put(&mut module, 320, gofunc);
        self.append(&module);
    }
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// Reads a file of these bytes, which lies in memory.
pub fn open(bytes: &[u8]) -> Option<GoBinary> {
    let file = memfd_create("fuzzed", MemfdFlags::CLOEXEC).expect("a file in memory");
    let mut file = File::from(file);
    file.write_all(bytes).expect("room in memory");
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    GoBinary::open(Path::new(&path)).ok()
}

/// Instructions of a function that are asked for their frames.
const ASKED: usize = 4;

/// Asks all that a program's functions can be asked.
pub fn ask_functions(binary: &GoBinary) {
    let _ = (binary.recovery_entry(), binary.goexit_call());
    let _ = binary.wait_reasons();
    let mut last = None;
    for function in binary.functions() {
        assert!(
            last < Some(function.entry),
            "an address twice or out of order"
        );
        last = Some(function.entry);
        let _ = binary.name(function).len();
        let _ = (
            binary.location(function),
            binary.location_at(function.entry),
        );
        let _ = (binary.deferreturn(function), binary.call_sites(function));
        let _ = (
            binary.arguments_size(function),
            binary.entry_site(function).is_ok(),
        );
        let source = binary.source(function);
        let starts = source.spans.iter().map(|span| span.start);
        for at in starts.clone().chain([function.entry]).take(ASKED) {
            let _ = (binary.frames_at(at).len(), binary.innermost_name(at));
        }
        for span in &source.spans {
            assert!(
                function.entry <= span.start && span.start < span.end && span.end <= function.end,
                "a span outside of its function"
            );
            let _ = source.inlined_at(span).count();
        }
        if let Ok(blocks) = binary.blocks(function, starts) {
            for (index, block) in blocks.blocks.iter().enumerate() {
                let inside = |site| block.start <= site && site < block.end;
                // Of the first block, what can be probed may stand in the next one.
                assert!(
                    index == blocks.entry || block.site.is_none_or(inside),
                    "a site outside of its block"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_every_format_is_read() {
        for (format, functions) in [(0, 3), (1, 1), (2, 15)] {
            let mut program = Program::default();
            // Every record is the first: flags and names are the body's.
            program.append_go(&[format, functions, 9, 9, 9, 9, 0, 9], &[4; 400]);
            let binary = program.open().expect("a Go program");
            assert_eq!(binary.functions().len(), usize::from(functions) + 1);
            ask_functions(&binary);
        }
    }
}
