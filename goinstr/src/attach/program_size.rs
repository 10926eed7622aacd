//! How large the kernel programs are once the kernel has taken them: what a benchmark prints and a test
//! guards.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_prog_info};

use super::{AttachError, Kernel, Settings, multi::Programs, syscall::bpf_status};
use crate::plan::ProbePlan;

/// Bytes of an instruction of BPF.
const INSTRUCTION: u32 = 8;

/// A kernel program's size, by the kernel's own statistics (`bpf_prog_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramSize {
    /// Name of the program.
    pub name: String,
    /// Instructions that are left of it when the verifier has dropped what the settings rule out.
    pub instructions: u32,
    /// Bytes of machine code; 0 where the kernel interprets.
    pub machine_code: u32,
    /// Instructions that the verifier went through on all paths: its limit is a million.
    pub verified: u32,
    /// Whether the JIT compiler gave it a stack that all its runs on a CPU share (Linux 6.13, x86_64), which a
    /// program that can be preempted must not have.
    pub shared_stack: bool,
}

/// `add r9, gs:[this_cpu_off]`: how the JIT compiler for x86_64 finds such a stack (kernel:
/// `emit_priv_frame_ptr` in `arch/x86/net/bpf_jit_comp.c`).
const SHARED_STACK: [u8; 5] = [0x65, 0x4c, 0x03, 0x0c, 0x25];

impl ProgramSize {
    /// Loads every program as it would be for a plan with these settings, and arms none.
    pub fn of_all(plan: &ProbePlan, settings: &Settings) -> Result<Vec<Self>, AttachError> {
        let stepped = vec![false; plan.functions.len()];
        let kernel = Kernel::load(plan, stepped, settings)?;
        let programs = Programs::of(&kernel.ebpf)?;
        let names = programs.names().into_iter();
        names
            .map(|name| {
                let program = programs.load(&name)?;
                Self::of(&name, &program).map_err(|source| AttachError::Program {
                    reason: source.to_string(),
                    program: name,
                })
            })
            .collect()
    }

    fn of(name: &str, program: &OwnedFd) -> io::Result<Self> {
        let mut code = vec![0; info(program, &mut [])?.jited_prog_len as usize];
        let info = info(program, &mut code)?;
        Ok(Self {
            name: name.to_owned(),
            instructions: info.xlated_prog_len / INSTRUCTION,
            machine_code: info.jited_prog_len,
            verified: info.verified_insns,
            shared_stack: code
                .windows(SHARED_STACK.len())
                .any(|window| window == SHARED_STACK),
        })
    }
}

/// The kernel's statistics of a program, its machine code into `code`.
fn info(program: &OwnedFd, code: &mut [u8]) -> io::Result<bpf_prog_info> {
    // SAFETY: all fields are integers, for which zero is a value: no buffer.
    let mut info = unsafe { std::mem::zeroed::<bpf_prog_info>() };
    info.jited_prog_len = u32::try_from(code.len()).unwrap_or(0);
    info.jited_prog_insns = code.as_mut_ptr() as u64;
    // SAFETY: all fields of the union are integers, for which zero is a value.
    let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
    attr.info.bpf_fd = program.as_raw_fd().cast_unsigned();
    attr.info.info_len = u32::try_from(size_of::<bpf_prog_info>()).unwrap_or(u32::MAX);
    attr.info.info = &raw mut info as u64;
    bpf_status(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &attr)?;
    Ok(info)
}
