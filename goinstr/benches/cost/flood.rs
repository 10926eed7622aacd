//! A kernel program that writes records of finished calls into a ring buffer, run by the kernel in a loop
//! (`BPF_PROG_RUN`, Documentation/bpf/bpf_prog_run.rst): no probe, no target.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result};
use aya::maps::{Array, Map, MapData, RingBuf};
use aya_obj::generated::{
    BPF_RB_NO_WAKEUP, bpf_attr, bpf_cmd, bpf_map_type, bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS,
};
use goinstr_common::record::{CallRecord, KIND_CALL, NO_PARENT};

/// A record as it stands in the ring buffer.
type Bytes = [u8; size_of::<CallRecord>()];

/// An instruction: code, registers (destination in the lower half, source in the upper), offset, immediate
/// (Documentation/bpf/standardization/instruction-set.rst).
#[repr(C)]
struct Instruction(u8, u8, i16, i32);

/// A ring buffer and what fills it.
pub struct Flood {
    ring: OwnedFd,
    /// Records that found no room.
    lost: OwnedFd,
    /// One record; the program reads it.
    _record: OwnedFd,
    program: OwnedFd,
}

impl Flood {
    /// A ring buffer of so many bytes.
    pub fn new(bytes: u32) -> Result<Self> {
        let ring = map(bpf_map_type::BPF_MAP_TYPE_RINGBUF, 0, bytes).context("a ring buffer")?;
        let lost = map(bpf_map_type::BPF_MAP_TYPE_ARRAY, 8, 1).context("a map")?;
        let size = size_of::<Bytes>() as u32;
        let record = map(bpf_map_type::BPF_MAP_TYPE_ARRAY, size, 1).context("a map")?;
        let call = CallRecord {
            kind: KIND_CALL,
            goid: 1,
            start_ns: 1,
            duration_ns: 12_345,
            self_ns: 12_345,
            parent: NO_PARENT,
            ..CallRecord::default()
        };
        // SAFETY: a wire type without padding.
        let call = unsafe { std::mem::transmute::<CallRecord, Bytes>(call) };
        let mut array = Array::<_, Bytes>::try_from(Map::Array(data(&record)?))?;
        array.set(0, call, 0)?;
        let program = program(&instructions(&ring, &record, &lost)).context("the program")?;
        Ok(Self {
            ring,
            lost,
            _record: record,
            program,
        })
    }

    /// Its reader's end.
    pub fn ring(&self) -> Result<RingBuf<MapData>> {
        Ok(RingBuf::try_from(Map::RingBuf(data(&self.ring)?))?)
    }

    /// Writes so many records; those that find no room are lost, and counted.
    pub fn write(&self, records: u32) -> Result<()> {
        // What the program is given: the shortest frame that the kernel takes.
        let frame = [0u8; 64];
        let mut attr = zeroed();
        attr.test.prog_fd = self.program.as_raw_fd().cast_unsigned();
        attr.test.data_in = frame.as_ptr() as u64;
        attr.test.data_size_in = frame.len() as u32;
        attr.test.repeat = records;
        bpf(bpf_cmd::BPF_PROG_TEST_RUN, &attr).context("BPF_PROG_RUN")?;
        Ok(())
    }

    /// Records that found no room.
    pub fn lost(&self) -> Result<u64> {
        let lost = Array::<_, u64>::try_from(Map::Array(data(&self.lost)?))?;
        Ok(lost.get(&0, 0)?)
    }
}

/// Writes the record without waking the reader, and counts it where there is no room.
fn instructions(ring: &OwnedFd, record: &OwnedFd, lost: &OwnedFd) -> [Instruction; 14] {
    const RINGBUF_OUTPUT: i32 = 130;
    // `ri = ...` takes two. Source 1: the number is a map; source 2: the address of the map's first value.
    [
        Instruction(0x18, 0x11, 0, ring.as_raw_fd()),
        Instruction(0, 0, 0, 0),
        Instruction(0x18, 0x22, 0, record.as_raw_fd()),
        Instruction(0, 0, 0, 0),
        Instruction(0xb7, 0x03, 0, size_of::<Bytes>() as i32),
        Instruction(0xb7, 0x04, 0, BPF_RB_NO_WAKEUP as i32),
        Instruction(0x85, 0, 0, RINGBUF_OUTPUT),
        // `if r0 == 0 goto +4`
        Instruction(0x15, 0x00, 4, 0),
        Instruction(0x18, 0x21, 0, lost.as_raw_fd()),
        Instruction(0, 0, 0, 0),
        Instruction(0xb7, 0x02, 0, 1),
        // `lock *(u64 *)(r1 + 0) += r2`
        Instruction(0xdb, 0x21, 0, 0),
        Instruction(0xb7, 0, 0, 0),
        Instruction(0x95, 0, 0, 0),
    ]
}

fn map(kind: bpf_map_type, value_bytes: u32, entries: u32) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    // SAFETY: the variant that BPF_MAP_CREATE reads; it was zeroed as a whole.
    let fields = unsafe { &mut attr.__bindgen_anon_1 };
    fields.map_type = kind as u32;
    fields.key_size = if value_bytes > 0 { 4 } else { 0 };
    fields.value_size = value_bytes;
    fields.max_entries = entries;
    owned(bpf(bpf_cmd::BPF_MAP_CREATE, &attr)?)
}

fn program(instructions: &[Instruction]) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    // SAFETY: the variant that BPF_PROG_LOAD reads; it was zeroed as a whole.
    let fields = unsafe { &mut attr.__bindgen_anon_3 };
    fields.prog_type = BPF_PROG_TYPE_SCHED_CLS as u32;
    fields.insns = instructions.as_ptr() as u64;
    fields.insn_cnt = instructions.len() as u32;
    fields.license = c"GPL".as_ptr() as u64;
    owned(bpf(bpf_cmd::BPF_PROG_LOAD, &attr)?)
}

/// The same map, for aya.
fn data(map: &OwnedFd) -> Result<MapData> {
    Ok(MapData::from_fd(map.try_clone()?)?)
}

fn zeroed() -> bpf_attr {
    // SAFETY: all fields of the union are integers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    let fd = i32::try_from(fd).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: a new file descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bpf(command: bpf_cmd, attr: &bpf_attr) -> io::Result<libc::c_long> {
    // SAFETY: the attributes are valid for their size, and what they point to outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_ref(attr),
            size_of::<bpf_attr>(),
        )
    };
    match result {
        0.. => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}
