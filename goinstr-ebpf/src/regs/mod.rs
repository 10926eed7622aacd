//! The registers of a probed Go function, by architecture.

#[cfg(bpf_target_arch = "aarch64")]
mod aarch64;
#[cfg(bpf_target_arch = "x86_64")]
mod x86_64;

#[cfg(bpf_target_arch = "aarch64")]
pub use aarch64::{
    arguments, first_argument, frame_pointer, g, instruction, jump, return_address,
    return_address_at, stack_pointer, third_argument,
};
#[cfg(bpf_target_arch = "x86_64")]
pub use x86_64::{
    arguments, first_argument, frame_pointer, g, instruction, jump, return_address,
    return_address_at, stack_pointer, third_argument,
};
