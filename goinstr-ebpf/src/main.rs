//! goinstr's kernel side: one program for entries, one for returns, three for the places where the
//! Go runtime abandons open calls; one for entries where calls are only counted, one where they are told of as
//! they begin, one for coverage.
//!
//! In: hits of the uprobes that userspace armed, with the function's id in the cookie. Out: totals
//! and histograms in maps, single calls in the ring buffer, everything lost in named counters.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod atomic;
mod begin;
mod bounded;
mod call;
mod capture;
mod chain;
mod config;
mod count;
mod coverage;
mod emit;
mod goroutine;
mod histogram;
mod maps;
mod regs;
mod ret;
mod shadow;
mod sieve;
mod stack;
mod standing;
mod stat;
mod state;
mod walk;

use aya_ebpf::{
    macros::{raw_tracepoint, uprobe},
    programs::{ProbeContext, RawTracePointContext},
};

/// A function's entry site.
#[uprobe]
pub fn entry(ctx: ProbeContext) -> u32 {
    stack::keep_to_the_threads_own();
    call::enter(&ctx);
    0
}

/// A function's entry site, where only the number of calls is asked for.
#[uprobe]
pub fn count(ctx: ProbeContext) -> u32 {
    stack::keep_to_the_threads_own();
    count::count(&ctx);
    0
}

/// A function's entry site, where each call is told of as it begins.
#[uprobe]
pub fn begin(ctx: ProbeContext) -> u32 {
    stack::keep_to_the_threads_own();
    begin::begin(&ctx);
    0
}

/// One of a function's return instructions.
#[uprobe]
pub fn exit(ctx: ProbeContext) -> u32 {
    stack::keep_to_the_threads_own();
    call::leave(&ctx);
    0
}

/// `runtime.recovery(gp)`: a panic was recovered, the frames it passed are over.
#[uprobe]
pub fn recovery(ctx: ProbeContext) -> u32 {
    stack::keep_to_the_threads_own();
    call::recover(&ctx);
    0
}

/// Entry of `runtime.Goexit`: the goroutine's deferred functions are about to run.
#[uprobe]
pub fn goexit_entry(ctx: ProbeContext) -> u32 {
    stack::keep_to_the_threads_own();
    call::goexit_entry(&ctx);
    0
}

/// The end of `runtime.Goexit`: the goroutine's deferred functions have run, all its frames are over.
#[uprobe]
pub fn goexit(ctx: ProbeContext) -> u32 {
    stack::keep_to_the_threads_own();
    call::goexit(&ctx);
    0
}

/// A site that coverage waits for.
#[uprobe]
pub fn cover(ctx: ProbeContext) -> u32 {
    stack::keep_to_the_threads_own();
    coverage::hit(&ctx);
    0
}

/// `runtime.casgstatus`: a goroutine's state changes.
#[uprobe]
pub fn state_status(ctx: ProbeContext) -> u32 {
    stack::keep_to_the_threads_own();
    state::status(&ctx);
    0
}

/// Where the runtime changes a goroutine's state by itself.
#[uprobe]
pub fn state_site(ctx: ProbeContext) -> u32 {
    stack::keep_to_the_threads_own();
    state::site(&ctx);
    0
}

/// A CPU goes from one thread to another.
#[raw_tracepoint(tracepoint = "sched_switch")]
pub fn state_switch(ctx: RawTracePointContext) -> u32 {
    state::switch(&ctx);
    0
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
