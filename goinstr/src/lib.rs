//! goinstr measures the functions of a running, unmodified Go program with eBPF uprobes.
//!
//! The modules are the stages of the data's way, in its order; a stage imports only from the
//! ones above it. [`session`] wires them, [`cli`] turns what was typed into a call of `session`.

pub mod target;

pub mod binary;

pub mod plan;

pub mod attach;

pub mod event;

pub mod aggregate;

pub mod sink;

pub mod recording;

pub mod session;

pub mod cli;
