//! The attempts: the smallest maps, programs and links that need a feature, made and dropped.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use aya_obj::generated::{
    bpf_attach_type::BPF_TRACE_UPROBE_MULTI, bpf_attr, bpf_cmd, bpf_map_type,
    bpf_prog_type::BPF_PROG_TYPE_KPROBE,
};

use crate::attach::{
    multi,
    syscall::{bpf, bpf_status},
};

/// Bytes for the verifier's words.
const VERIFIER_LOG: usize = 1 << 14;

/// An instruction as the kernel takes it (Documentation/bpf/standardization/instruction-set.rst).
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Instruction {
    code: u8,
    /// Destination in the lower half, source in the upper.
    registers: u8,
    offset: i16,
    immediate: i32,
}

impl Instruction {
    const fn new(code: u8, registers: u8, offset: i16, immediate: i32) -> Self {
        Self {
            code,
            registers,
            offset,
            immediate,
        }
    }

    /// `r0 = 0`
    pub const ZERO: Self = Self::new(0xb7, 0, 0, 0);
    /// `exit`
    pub const EXIT: Self = Self::new(0x95, 0, 0, 0);
    /// `*(u64 *)(r1 + 0) = r0`: into the first of the saved registers.
    pub const WRITE_REGISTER: Self = Self::new(0x7b, 0x01, 0, 0);

    /// `r7 = r0`
    const KEEP_RESULT: Self = Self::new(0xbf, 0x07, 0, 0);
    /// `*(u32 *)(r10 - 4) = 0`: the key of an array's first element
    const FIRST_KEY: Self = Self::new(0x62, 0x0a, -4, 0);
    /// `r2 = r10`
    const STACK_TO_SECOND: Self = Self::new(0xbf, 0xa2, 0, 0);
    /// `r2 += -4`
    const TO_KEY: Self = Self::new(0x07, 0x02, 0, -4);
    /// `if r0 == 0 goto +1`
    const SKIP_IF_NONE: Self = Self::new(0x15, 0x00, 1, 0);
    /// `*(u64 *)(r0 + 0) = r7`
    const STORE_KEPT: Self = Self::new(0x7b, 0x70, 0, 0);

    /// `call helper`
    pub const fn call(helper: i32) -> Self {
        Self::new(0x85, 0, 0, helper)
    }
}

/// Stores the cookie of its site in the first element of an array of u64.
pub(super) fn store_cookie(array: &OwnedFd) -> [Instruction; 12] {
    const MAP_LOOKUP: i32 = 1;
    const ATTACH_COOKIE: i32 = 174;
    [
        Instruction::call(ATTACH_COOKIE),
        Instruction::KEEP_RESULT,
        Instruction::FIRST_KEY,
        Instruction::STACK_TO_SECOND,
        Instruction::TO_KEY,
        // `r1 = map` takes two; its source 1 says that the number is a file descriptor.
        Instruction::new(0x18, 0x11, 0, array.as_raw_fd()),
        Instruction::new(0, 0, 0, 0),
        Instruction::call(MAP_LOOKUP),
        Instruction::SKIP_IF_NONE,
        Instruction::STORE_KEPT,
        Instruction::ZERO,
        Instruction::EXIT,
    ]
}

/// Does nothing.
pub(super) const IDLE: [Instruction; 2] = [Instruction::ZERO, Instruction::EXIT];

/// What a program that is loaded may be attached to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Attach {
    Any,
    UprobeMulti,
}

/// Makes a map of one kind.
pub(super) fn map(kind: bpf_map_type, value_bytes: u32, entries: u32) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    let array = kind == bpf_map_type::BPF_MAP_TYPE_ARRAY;
    // SAFETY: the variant that BPF_MAP_CREATE reads; it was zeroed as a whole.
    let fields = unsafe { &mut attr.__bindgen_anon_1 };
    fields.map_type = kind as u32;
    fields.key_size = if array { 4 } else { 0 };
    fields.value_size = if array { value_bytes } else { 0 };
    fields.max_entries = entries;
    bpf(bpf_cmd::BPF_MAP_CREATE, &attr)
}

/// Loads a program; with the verifier's words where it is refused.
pub(super) fn program(
    instructions: &[Instruction],
    attach: Attach,
) -> Result<OwnedFd, (io::Error, String)> {
    let mut log = vec![0; VERIFIER_LOG];
    let mut attr = zeroed();
    // SAFETY: the variant that BPF_PROG_LOAD reads; it was zeroed as a whole.
    let fields = unsafe { &mut attr.__bindgen_anon_3 };
    fields.prog_type = BPF_PROG_TYPE_KPROBE as u32;
    if attach == Attach::UprobeMulti {
        fields.expected_attach_type = BPF_TRACE_UPROBE_MULTI as u32;
    }
    fields.insns = instructions.as_ptr() as u64;
    fields.insn_cnt = u32::try_from(instructions.len()).unwrap_or(u32::MAX);
    fields.license = c"GPL".as_ptr() as u64;
    fields.log_level = 1;
    fields.log_buf = log.as_mut_ptr() as u64;
    fields.log_size = u32::try_from(log.len()).unwrap_or(0);
    bpf(bpf_cmd::BPF_PROG_LOAD, &attr).map_err(|error| {
        let words = CStr::from_bytes_until_nul(&log).unwrap_or_default();
        (error, words.to_string_lossy().into_owned())
    })
}

/// Gives the kernel the smallest types that there are: `int`, as Documentation/bpf/btf.rst has it.
pub(super) fn types() -> io::Result<OwnedFd> {
    const HEADER: u32 = 24;
    const STRINGS: &[u8; 5] = b"\0int\0";
    // Magic and version; then the header's length, where types and strings are and how long.
    let header = [0x0001_eb9f, HEADER, 0, 16, 16, STRINGS.len() as u32];
    // Name, kind, bytes; signed, of 32 bits.
    let int = [1, 1 << 24, 4, 1 << 24 | 32];
    let words = header.into_iter().chain(int);
    let mut bytes: Vec<u8> = words.flat_map(u32::to_ne_bytes).collect();
    bytes.extend(STRINGS);
    let mut attr = zeroed();
    // SAFETY: the variant that BPF_BTF_LOAD reads; it was zeroed as a whole.
    let fields = unsafe { &mut attr.__bindgen_anon_7 };
    fields.btf = bytes.as_ptr() as u64;
    fields.btf_size = u32::try_from(bytes.len()).unwrap_or(0);
    bpf(bpf_cmd::BPF_BTF_LOAD, &attr)
}

/// Whether probes have a helper. Its arguments are wrong, but the verifier looks at them only
/// where it knows the helper.
pub(super) fn helper(number: i32) -> io::Result<bool> {
    match program(&[Instruction::call(number), Instruction::EXIT], Attach::Any) {
        Ok(_) => Ok(true),
        Err((error, words)) if words.is_empty() => Err(error),
        Err((_, words)) => Ok(!["unknown func", "invalid func", "cannot use helper"]
            .iter()
            .any(|refusal| words.contains(refusal))),
    }
}

/// Asks for a uprobe.multi link that can't be made, for a process: which error comes tells what is
/// known to the kernel.
pub(super) fn impossible_link(program: &OwnedFd, pid: i32) -> io::Error {
    // No file to probe.
    match multi::link(program, c"/", &[0], &[0], pid) {
        Ok(_) => io::Error::other("a link to a directory was made"),
        Err(error) => error,
    }
}

/// The first element of an array of u64.
pub(super) fn first_of(array: &OwnedFd) -> io::Result<u64> {
    let (key, mut value) = (0u32, 0u64);
    let mut attr = zeroed();
    // SAFETY: the variant that BPF_MAP_LOOKUP_ELEM reads; it was zeroed as a whole.
    unsafe {
        let fields = &mut attr.__bindgen_anon_2;
        fields.map_fd = array.as_raw_fd().cast_unsigned();
        fields.key = &raw const key as u64;
        fields.__bindgen_anon_1.value = &raw mut value as u64;
    }
    bpf_status(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &attr)?;
    Ok(value)
}

fn zeroed() -> bpf_attr {
    // SAFETY: all fields of the union are integers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}
