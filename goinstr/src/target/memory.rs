//! A process's memory, read and never written.
//!
//! By `/proc/PID/mem` where this user may open it: the open file stays with the process, whoever
//! gets its pid. Its mode is the owner's alone, so that another user with `CAP_SYS_PTRACE` and
//! nothing else may not; process_vm_readv(2) asks for just that capability.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use super::Pid;

/// The memory of one process.
#[derive(Debug)]
pub struct Memory {
    pid: libc::pid_t,
    file: Option<File>,
}

impl Memory {
    /// Opens the memory of process `pid`.
    ///
    /// # Errors
    /// What the kernel says where this user may not read it, or the process is gone.
    pub fn open(pid: Pid) -> io::Result<Self> {
        let number = libc::pid_t::try_from(pid.0).map_err(|_| io::ErrorKind::NotFound)?;
        let mut memory = Self {
            pid: number,
            file: None,
        };
        match File::open(format!("/proc/{pid}/mem")) {
            Ok(file) => memory.file = Some(file),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                // Nothing is mapped at 0: whoever may read is told of the address.
                match memory.read_exact(0, &mut [0]) {
                    Err(error) if error.raw_os_error() == Some(libc::EFAULT) => {}
                    Err(error) => return Err(error),
                    Ok(()) => {}
                }
            }
            Err(error) => return Err(error),
        }
        Ok(memory)
    }

    /// Fills `bytes` with what stands at `address`.
    ///
    /// # Errors
    /// What the kernel says where that is not mapped as a whole, or the process is gone.
    pub fn read_exact(&self, address: u64, bytes: &mut [u8]) -> io::Result<()> {
        if let Some(file) = &self.file {
            // Offsets of this file are signed; no process's memory lies in the upper half.
            i64::try_from(address).map_err(|_| io::ErrorKind::InvalidInput)?;
            return file.read_exact_at(bytes, address);
        }
        let local = libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: bytes.len(),
        };
        let address = usize::try_from(address).map_err(|_| io::ErrorKind::InvalidInput)?;
        let remote = libc::iovec {
            iov_base: std::ptr::without_provenance_mut(address),
            iov_len: bytes.len(),
        };
        // SAFETY: the kernel writes at most `bytes.len()` bytes to `bytes`; the other address is
        // the other process's and checked by the kernel.
        let read = unsafe { libc::process_vm_readv(self.pid, &local, 1, &remote, 1, 0) };
        match usize::try_from(read) {
            Err(_) => Err(io::Error::last_os_error()),
            Ok(read) if read == bytes.len() => Ok(()),
            Ok(_) => Err(io::Error::from_raw_os_error(libc::EFAULT)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static WORD: u64 = 0x1122_3344_5566_7788;

    #[test]
    fn both_ways_read_the_same() {
        let pid = Pid(std::process::id());
        let by_file = Memory::open(pid).expect("opens");
        let by_call = Memory {
            pid: by_file.pid,
            file: None,
        };
        for memory in [by_file, by_call] {
            let mut bytes = [0; 8];
            memory
                .read_exact(&raw const WORD as u64, &mut bytes)
                .expect("mapped");
            assert_eq!(u64::from_ne_bytes(bytes), WORD);
            assert!(memory.read_exact(8, &mut bytes).is_err());
            assert!(memory.read_exact(u64::MAX - 3, &mut bytes).is_err());
        }
    }

    #[test]
    fn a_pid_of_nobody_is_an_error() {
        assert!(Memory::open(Pid(u32::MAX)).is_err());
        assert!(Memory::open(Pid(4_194_305)).is_err());
    }
}
