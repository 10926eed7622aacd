//! `uprobe.multi`: all sites of a program armed by one link (Linux 6.6).
//!
//! aya 0.14 can't make such links, and aya 0.15 needs a newer Rust: this module goes when aya can
//! be updated. It takes the program from aya's parser and relocator, with the maps that aya made,
//! and calls bpf(2) itself (kernel: `kernel/trace/bpf_trace.c`, `bpf_uprobe_multi_link_attach`).

use std::{
    collections::HashSet,
    ffi::CStr,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
};

use aya::Ebpf;
use aya_obj::{
    Function, Object,
    generated::{
        BPF_ALU64, BPF_DW, BPF_EXIT, BPF_JMP, BPF_K, BPF_LDX, BPF_MEM, BPF_MOV, BPF_STX,
        bpf_attach_type::BPF_TRACE_UPROBE_MULTI, bpf_attr, bpf_cmd, bpf_insn,
        bpf_prog_type::BPF_PROG_TYPE_KPROBE,
    },
};

use super::syscall::bpf;
use super::{
    AttachError, Scope,
    armer::{Armer, By},
    features,
    holder::{Held, Holder},
    kernel::{OBJECT, map_fds},
    parts::{Called, Parted},
    sites::{Group, Sites},
};

/// Bytes for the verifier's words when it refuses a program.
const VERIFIER_LOG: usize = 1 << 20;

/// Whether the kernel has such links, and filters them by process.
///
/// Tried with a link that can't be made: `/` is no file to probe. Linux 6.6 to 6.9 filter by
/// thread, so that most of a Go program would go unseen; they check the pid later than the file,
/// while the mended ones refuse a negative pid first.
pub(super) fn supported(ebpf: &Ebpf) -> Result<bool, AttachError> {
    let program = Programs::of(ebpf)?.load("goexit")?;
    let made = link(&program, c"/", &[0], &[0], -1);
    let by_process = made
        .as_ref()
        .is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL));
    let made = link(&program, c"/", &[0], &[0], 0);
    let has_links = made
        .as_ref()
        .is_err_and(|error| error.raw_os_error() == Some(libc::EBADF));
    log::debug!("uprobe.multi: links {has_links}, filtered by process {by_process}");
    Ok(has_links && by_process)
}

/// Whether the verifier takes a program that writes the instruction pointer: what the register held
/// already, in a program that is never armed.
pub(super) fn takes_register_writes() -> io::Result<()> {
    let instruction = |code: u32, registers: u8, off: i16| bpf_insn {
        // BPF's operation codes are bytes.
        code: u8::try_from(code).unwrap_or_default(),
        _bitfield_align_1: [],
        _bitfield_1: bpf_insn::new_bitfield_1(registers & 0xf, registers >> 4),
        off,
        imm: 0,
    };
    // `pt_regs.ip` of x86_64 (kernel: `arch/x86/include/uapi/asm/ptrace.h`).
    const IP: i16 = 128;
    let program = [
        // r2 = *(u64 *)(r1 + IP); *(u64 *)(r1 + IP) = r2; r0 = 0; exit
        instruction(BPF_LDX | BPF_MEM | BPF_DW, 0x12, IP),
        instruction(BPF_STX | BPF_MEM | BPF_DW, 0x21, IP),
        instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0),
        instruction(BPF_JMP | BPF_EXIT, 0, 0),
    ];
    // SAFETY: all fields of the union are integers, for which zero is a value.
    let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
    // SAFETY: the variant that BPF_PROG_LOAD reads; it was zeroed as a whole.
    let fields = unsafe { &mut attr.__bindgen_anon_3 };
    fields.prog_type = BPF_PROG_TYPE_KPROBE as u32;
    fields.expected_attach_type = BPF_TRACE_UPROBE_MULTI as u32;
    fields.insns = program.as_ptr() as u64;
    fields.insn_cnt = length(&program);
    fields.license = c"GPL".as_ptr() as u64;
    bpf(bpf_cmd::BPF_PROG_LOAD, &attr).map(drop)
}

/// Arms all sites.
pub(super) fn arm(
    ebpf: &Ebpf,
    sites: &Sites,
    files: &[&Path],
    scope: Scope,
    holder: &Holder,
    called: Called<'_>,
) -> Result<Parted, AttachError> {
    let programs = Programs::of(ebpf)?;
    let mut links = Parted::new(sites.stepped.len());
    for group in &sites.groups {
        let exe = files.get(group.file).copied().unwrap_or(Path::new(""));
        let armer = programs.armer(group.program, exe, scope, holder)?;
        links.arm(armer, group.clone(), called)?;
    }
    Ok(links)
}

/// Groups of sites that are armed and disarmed again and again.
pub(super) struct Again {
    armer: Armer,
    group: Group,
}

impl Again {
    /// Arms them for as long as the link is there.
    pub fn arm(&self) -> Result<Held, AttachError> {
        self.armer.arm(&self.group.offsets, &self.group.cookies)
    }
}

/// Loads the programs of these groups, and arms nothing yet.
pub(super) fn armers(
    ebpf: &Ebpf,
    groups: Vec<Group>,
    files: &[&Path],
    scope: Scope,
    holder: &Holder,
) -> Result<Vec<Again>, AttachError> {
    let programs = Programs::of(ebpf)?;
    let again = |group: Group| {
        let exe = files.get(group.file).copied().unwrap_or(Path::new(""));
        let armer = programs.armer(group.program, exe, scope, holder)?;
        Ok(Again { armer, group })
    };
    groups.into_iter().map(again).collect()
}

/// What arms sites of the file at `exe` with the program of this name.
pub(super) fn armer(
    ebpf: &Ebpf,
    name: &'static str,
    exe: &Path,
    scope: Scope,
    holder: &Holder,
) -> Result<Armer, AttachError> {
    Programs::of(ebpf)?.armer(name, exe, scope, holder)
}

/// The program's code as this kind of link needs it.
pub(super) struct Programs {
    /// With the maps that aya made in its instructions.
    object: Object,
    /// The types of its functions: without them the kernel takes no callback of `bpf_loop`.
    types: OwnedFd,
}

impl Programs {
    /// Takes the object apart once more.
    pub(super) fn of(ebpf: &Ebpf) -> Result<Self, AttachError> {
        let error = |reason: String| refused("object", reason);
        let mut object = Object::parse(OBJECT).map_err(|e| error(e.to_string()))?;
        let features = aya::features();
        let btf = object
            .fixup_and_sanitize_btf(features.btf().ok_or(AttachError::NoBtf)?)
            .map_err(|e| error(e.to_string()))?
            .ok_or_else(|| error("it has no BTF".to_owned()))?;
        let types = load_btf(&btf.to_bytes()).map_err(|source| match source.raw_os_error() {
            Some(libc::EPERM) => AttachError::NotPermitted {
                what: "to load BTF",
            },
            _ => error(format!("its BTF: {source}")),
        })?;
        let sections: HashSet<usize> = object
            .functions
            .keys()
            .map(|&(section, _)| section)
            .collect();
        let maps = std::mem::take(&mut object.maps);
        let with_fds =
            map_fds(ebpf).filter_map(|(name, fd)| Some((name, fd.as_raw_fd(), maps.get(name)?)));
        object
            .relocate_maps(with_fds, &sections)
            .map_err(|e| error(e.to_string()))?;
        object
            .relocate_calls(&sections)
            .map_err(|e| error(e.to_string()))?;
        object.sanitize_functions(features);
        Ok(Self { object, types })
    }

    fn armer(
        &self,
        name: &'static str,
        exe: &Path,
        scope: Scope,
        holder: &Holder,
    ) -> Result<Armer, AttachError> {
        Armer::new((name, self.load(name)?), exe, scope, By::Multi, holder)
    }

    /// Names of all programs, in order.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.object.programs.keys().cloned().collect();
        names.sort();
        names
    }

    /// Loads one program for links of this kind.
    pub(super) fn load(&self, name: &str) -> Result<OwnedFd, AttachError> {
        let missing = || refused(name, "not in the object".to_owned());
        let program = self.object.programs.get(name).ok_or_else(missing)?;
        let function = self
            .object
            .functions
            .get(&program.function_key())
            .ok_or_else(missing)?;
        let load =
            |log: &mut [u8]| load_program(name, function, &program.license, &self.types, log);
        load(&mut []).map_err(|source| match source.raw_os_error() {
            Some(libc::EPERM) => AttachError::NotPermitted {
                what: "to load a BPF program",
            },
            Some(libc::ENOSYS) => AttachError::NoBpf,
            _ => {
                let mut log = vec![0; VERIFIER_LOG];
                // Again, for the verifier's words.
                drop(load(&mut log));
                let words = CStr::from_bytes_until_nul(&log)
                    .unwrap_or_default()
                    .to_string_lossy();
                features::refused(name, &source, &words)
            }
        })
    }
}

fn refused(program: &str, reason: String) -> AttachError {
    AttachError::Program {
        program: program.to_owned(),
        reason,
    }
}

fn load_btf(btf: &[u8]) -> io::Result<OwnedFd> {
    // SAFETY: all fields of the union are integers, for which zero is a value.
    let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
    // SAFETY: the variant that BPF_BTF_LOAD reads; it was zeroed as a whole.
    let fields = unsafe { &mut attr.__bindgen_anon_7 };
    fields.btf = btf.as_ptr() as u64;
    fields.btf_size = length(btf);
    bpf(bpf_cmd::BPF_BTF_LOAD, &attr)
}

fn load_program(
    name: &str,
    function: &Function,
    license: &CStr,
    types: &OwnedFd,
    log: &mut [u8],
) -> io::Result<OwnedFd> {
    let functions = function.func_info.func_info_bytes();
    // SAFETY: all fields of the union are integers, for which zero is a value.
    let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
    // SAFETY: the variant that BPF_PROG_LOAD reads; it was zeroed as a whole.
    let fields = unsafe { &mut attr.__bindgen_anon_3 };
    fields.prog_type = BPF_PROG_TYPE_KPROBE as u32;
    fields.expected_attach_type = BPF_TRACE_UPROBE_MULTI as u32;
    fields.insns = function.instructions.as_ptr() as u64;
    fields.insn_cnt = length(&function.instructions);
    fields.license = license.as_ptr() as u64;
    fields.prog_btf_fd = types.as_raw_fd().cast_unsigned();
    fields.func_info = functions.as_ptr() as u64;
    fields.func_info_cnt = u32::try_from(function.func_info.len()).unwrap_or(u32::MAX);
    fields.func_info_rec_size = u32::try_from(function.func_info_rec_size).unwrap_or(u32::MAX);
    for (to, from) in fields.prog_name.iter_mut().zip(name.bytes().take(15)) {
        // C's char is signed on amd64 and unsigned on arm64.
        *to = std::ffi::c_char::from_ne_bytes([from]);
    }
    if !log.is_empty() {
        fields.log_level = 1;
        fields.log_buf = log.as_mut_ptr() as u64;
        fields.log_size = length(log);
    }
    bpf(bpf_cmd::BPF_PROG_LOAD, &attr)
}

/// A slice's length, as system calls take it. Far below the bound for all that is passed here.
fn length<T>(slice: &[T]) -> u32 {
    u32::try_from(slice.len()).unwrap_or(u32::MAX)
}

/// Makes a link. `pid` 0: for all processes. Allocates nothing and takes no lock.
pub(super) fn link(
    program: &OwnedFd,
    path: &CStr,
    offsets: &[u64],
    cookies: &[u64],
    pid: i32,
) -> io::Result<OwnedFd> {
    assert_eq!(offsets.len(), cookies.len());
    // SAFETY: all fields of the union are integers, for which zero is a value.
    let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
    // SAFETY: the variant that BPF_LINK_CREATE reads; it was zeroed as a whole.
    unsafe {
        attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd().cast_unsigned();
        attr.link_create.attach_type = BPF_TRACE_UPROBE_MULTI as u32;
        let multi = &mut attr.link_create.__bindgen_anon_3.uprobe_multi;
        multi.path = path.as_ptr() as u64;
        multi.offsets = offsets.as_ptr() as u64;
        multi.cookies = cookies.as_ptr() as u64;
        multi.cnt = length(offsets);
        multi.pid = pid.cast_unsigned();
    }
    bpf(bpf_cmd::BPF_LINK_CREATE, &attr)
}
