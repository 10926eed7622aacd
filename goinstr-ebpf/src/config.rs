//! What userspace fixes before it loads the program.
//!
//! The map that holds these is frozen at load, so the verifier knows the values and drops the
//! branches they rule out: what isn't asked for costs nothing.

use core::ptr;

macro_rules! settings {
    ($($(#[$doc:meta])* $static:ident => $reader:ident: $ty:ty = $default:expr;)*) => {
        $(
            #[unsafe(no_mangle)]
            static $static: $ty = $default;

            $(#[$doc])*
            #[inline(always)]
            pub fn $reader() -> $ty {
                // SAFETY: a static is valid and aligned. Volatile, because the compiler must not
                // use the default in the place of what userspace wrote.
                unsafe { ptr::read_volatile(&raw const $static) }
            }
        )*
    };
}

settings! {
    /// The only process that counts, as the initial pid namespace numbers it; 0: all that run the file.
    TARGET_TGID => target_tgid: u32 = 0;
    /// Offset of `goid` in `runtime.g`.
    GOID_OFFSET => goid_offset: u32 = 152;
    /// Offset of `parentGoid` in `runtime.g`; 0: nobody asks for it, or this Go has none.
    PARENT_GOID_OFFSET => parent_goid_offset: u32 = 0;
    /// Whether `runtime.recovery` finds the stack pointer in `g._panic.sp` (1) or in `g` (0).
    RECOVERY_IN_PANIC => recovery_in_panic: u32 = 1;
    /// Offset in `runtime.g` of `_panic` or, where it is there itself, of the stack pointer.
    RECOVERY_G_OFFSET => recovery_g_offset: u32 = 32;
    /// Offset of `sp` in `runtime._panic`.
    RECOVERY_SP_OFFSET => recovery_sp_offset: u32 = 0;
    /// Number of stripes of `STATS` less one; the number is a power of two.
    STRIPE_MASK => stripe_mask: u32 = 0;
    /// Number of blocks in `HIST_BLOCKS`.
    BLOCKS => blocks: u32 = 0;
    /// 1: every finished call goes through the ring buffer and userspace does the statistics.
    RING_CARRIES_ALL => ring_carries_all: u32 = 0;
    /// 1: nobody asks how long calls take; those that are followed only tell loops from calls.
    COUNTS_ONLY => counts_only: u32 = 0;
    /// 1: functions may be shed while they are measured.
    SHEDDING => shedding: u32 = 0;
    /// 1: durations are measured in windows, for part of the time.
    WINDOWS => windows: u32 = 0;
    /// 1: calls are counted by their callers too.
    COUNT_CALLERS => count_callers: u32 = 0;
    /// Who executes the return instruction at a return site: see `goinstr_common::ret`.
    RETURNS => returns: u32 = 0;
    /// What the loader added to the file's addresses, where that is known.
    LOAD_BIAS => load_bias: u64 = 0;
    /// Bits of an address that are known without `LOAD_BIAS`, or all.
    KNOWN_SITE_BITS => site_bits: u64 = 0;
    /// Always 0, which only the verifier knows: see `stack`.
    TAIL_CALL => tail_call: u32 = 0;
    /// 1: calls at least `SLOWER_THAN_NS` long also go through the ring buffer.
    REPORT_SLOW => report_slow: u32 = 0;
    /// What the probes add to a call's own duration, in ns: with an emulated entry site.
    OWN_EMULATED_NS => own_emulated_ns: u32 = 0;
    /// The same with a single-stepped one.
    OWN_STEPPED_NS => own_stepped_ns: u32 = 0;
    /// What the probes of a call that returned add to the calls around it, in ns: with an emulated entry site.
    PAIR_EMULATED_NS => pair_emulated_ns: u32 = 0;
    /// The same with a single-stepped one.
    PAIR_STEPPED_NS => pair_stepped_ns: u32 = 0;
    /// What a hit of a return costs, in ns: a call that was unwound has none.
    EXIT_NS => exit_ns: u32 = 0;
    /// 1: goroutines with open calls have clocks of their states.
    STATES => states: u32 = 0;
    /// 1: threads are followed too, as they lose and get CPUs.
    FOLLOW_THREADS => follow_threads: u32 = 0;
    /// 1: arguments or results of calls are read.
    CAPTURES => captures: u32 = 0;
    /// 1: only calls are told of for which a condition may hold.
    CONDITIONS => conditions: u32 = 0;
    /// Offset of `pid` in the kernel's `task_struct`.
    TASK_PID_OFFSET => task_pid_offset: u32 = 0;
    /// Offset of `waitreason` in `runtime.g`.
    WAITREASON_OFFSET => waitreason_offset: u32 = 176;
    /// 1: with each single call that is told of, its stack.
    STACKS => stacks: u32 = 0;
    /// 1: with each single call that is told of, the measured calls around it.
    CHAINS => chains: u32 = 0;
    /// Waits at least so long are told of with their stacks, in ns; all bits: none is.
    TOLD_WAIT_NS => told_wait_ns: u64 = u64::MAX;
    /// Offsets of `sched.sp`, `sched.pc` and `sched.bp` in `runtime.g`.
    SCHED_SP_OFFSET => sched_sp_offset: u32 = 56;
    SCHED_PC_OFFSET => sched_pc_offset: u32 = 64;
    SCHED_BP_OFFSET => sched_bp_offset: u32 = 96;
    /// See `REPORT_SLOW`.
    SLOWER_THAN_NS => slower_than_ns: u64 = 0;
}
