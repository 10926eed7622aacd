//! Keeps a program on the stack of the thread that it runs in.
//!
//! Since Linux 6.13, the JIT compilers give a program of this type a stack that it shares with all its
//! runs on the same CPU, on the assumption that such runs can't overlap. For kprobes that holds. A
//! uprobe's program can be preempted, in a preemptible kernel, and by a thread that hits the same
//! probe: the second run then overwrites what the first one has on its stack. Seen on 7.3: the callback
//! of `bpf_loop` followed a pointer that was another thread's, and the kernel killed the target.
//!
//! A program with a tail call gets no such stack (kernel: `check_max_stack_depth` in
//! `kernel/bpf/verifier.c`), and whether it has one is looked up before code that can't be reached is
//! dropped.

use core::arch::asm;

use crate::config;

/// To be called at the beginning of each program.
#[inline(always)]
pub fn keep_to_the_threads_own() {
    if config::tail_call() != 0 {
        // `bpf_tail_call` is helper 12.
        // SAFETY: never reached: the verifier knows the setting to be 0 and drops it.
        unsafe {
            asm!(
                "call 12",
                out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
            )
        };
    }
}
