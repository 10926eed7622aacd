//! How large the kernel programs are.

use anyhow::Result;

use crate::{target, ways};

/// Prints the sizes of the kernel programs as they are loaded to measure durations.
pub fn run() -> Result<()> {
    let exe = target::build("calls")?;
    println!("instructions left by the verifier, bytes of machine code, instructions verified\n");
    for size in ways::sizes(&exe)? {
        println!(
            "{:>10} {:>8} {:>8}  {}",
            size.instructions, size.machine_code, size.verified, size.name
        );
    }
    Ok(())
}
