//! What goinstr and the holder say to each other: over a stream socket, request and answer by turns.
//!
//! Neither allocates nor locks: one of the two is a fork that may do neither.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{FromRawFd as _, OwnedFd, RawFd},
};

/// Arm: with the program and the file; its words are the offsets, then the cookies.
pub(super) const ARM: u32 = 1;
/// Arm one site by a perf event: as [`ARM`], with one offset and its cookie.
pub(super) const ARM_PERF: u32 = 3;
/// Drop a link: its word is the link's descriptor.
pub(super) const DROP: u32 = 2;

/// What goinstr asks for.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Request {
    /// [`ARM`], [`ARM_PERF`] or [`DROP`].
    pub what: u32,
    /// The process to be armed; 0: all.
    pub pid: i32,
    /// The kernel's number for perf events that are uprobes.
    pub event_type: u32,
    pub _padding: u32,
    /// Number of the words that follow.
    pub words: u64,
}

/// What the holder answers; to [`DROP`] it adds a pidfd of the process by whose exit the link goes,
/// unless it is gone already.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reply {
    /// The kernel's error; 0: done.
    pub error: i32,
    /// The link's descriptor.
    pub link: u32,
}

/// Messages: any bytes are a value.
pub(super) trait Message: Copy {}
impl Message for Request {}
impl Message for Reply {}

/// Room for the descriptors that a message carries, aligned as the kernel wants it.
type Control = [u64; 8];

/// The two ends of a line.
pub(super) fn line() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: a valid buffer; two new descriptors, which nobody else owns.
    unsafe {
        if libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// Sends a message with some descriptors, at most four.
pub(super) fn send<M: Message>(socket: RawFd, message: &M, files: &[RawFd]) -> io::Result<()> {
    let bytes = std::ptr::from_ref(message).cast::<u8>();
    // SAFETY: the message's own bytes.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, size_of::<M>()) };
    let sent = send_some(socket, bytes, files)?;
    send_all(socket, bytes.get(sent..).unwrap_or_default())
}

/// Sends the words that belong to a message.
pub(super) fn send_words(socket: RawFd, words: &[u64]) -> io::Result<()> {
    // SAFETY: the words' own bytes.
    let bytes = unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) };
    send_all(socket, bytes)
}

fn send_all(socket: RawFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = send_some(socket, bytes, &[])?;
        bytes = bytes.get(sent..).unwrap_or_default();
    }
    Ok(())
}

/// Sends some of the bytes, and the descriptors with the first of them.
fn send_some(socket: RawFd, bytes: &[u8], files: &[RawFd]) -> io::Result<usize> {
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut control: Control = [0; 8];
    // SAFETY: all fields are integers or pointers, for which zero is a value; what they point to
    // outlives the call, and four descriptors fit into the control buffer.
    unsafe {
        let mut header = MaybeUninit::<libc::msghdr>::zeroed().assume_init();
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        if !files.is_empty() {
            let length = u32::try_from(size_of_val(files)).unwrap_or(u32::MAX);
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = libc::CMSG_SPACE(length) as _;
            if header.msg_controllen > size_of::<Control>() as _ {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let first = libc::CMSG_FIRSTHDR(&raw const header);
            (*first).cmsg_level = libc::SOL_SOCKET;
            (*first).cmsg_type = libc::SCM_RIGHTS;
            (*first).cmsg_len = libc::CMSG_LEN(length) as _;
            std::ptr::copy_nonoverlapping(
                files.as_ptr().cast(),
                libc::CMSG_DATA(first),
                size_of_val(files),
            );
        }
        loop {
            let sent = libc::sendmsg(socket, &raw const header, libc::MSG_NOSIGNAL);
            match usize::try_from(sent) {
                Ok(sent) => return Ok(sent),
                Err(_) => again()?,
            }
        }
    }
}

/// Receives a message and at most `N` descriptors.
///
/// # Errors
/// `BrokenPipe` where the other side is gone.
pub(super) fn receive<M: Message, const N: usize>(
    socket: RawFd,
    message: &mut M,
) -> io::Result<[Option<OwnedFd>; N]> {
    let bytes = std::ptr::from_mut(message).cast::<u8>();
    // SAFETY: the message's own bytes, of which any are a value.
    let bytes = unsafe { std::slice::from_raw_parts_mut(bytes, size_of::<M>()) };
    let (read, files) = receive_some(socket, bytes)?;
    receive_all(socket, bytes.get_mut(read..).unwrap_or_default())?;
    Ok(files)
}

/// Receives the words that belong to a message.
pub(super) fn receive_words(socket: RawFd, words: &mut [u64]) -> io::Result<()> {
    let length = size_of_val(words);
    // SAFETY: the words' own bytes, of which any are a value.
    let bytes = unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), length) };
    receive_all(socket, bytes)
}

fn receive_all(socket: RawFd, mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let (read, []) = receive_some(socket, bytes)?;
        bytes = bytes.get_mut(read..).unwrap_or_default();
    }
    Ok(())
}

/// Receives some bytes, and the descriptors that come with them.
fn receive_some<const N: usize>(
    socket: RawFd,
    bytes: &mut [u8],
) -> io::Result<(usize, [Option<OwnedFd>; N])> {
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut control: Control = [0; 8];
    let mut files = [const { None }; N];
    // SAFETY: as in sending; the descriptors are new, and nobody else owns them.
    unsafe {
        let mut header = MaybeUninit::<libc::msghdr>::zeroed().assume_init();
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of::<Control>() as _;
        let read = loop {
            let read = libc::recvmsg(socket, &raw mut header, libc::MSG_CMSG_CLOEXEC);
            match usize::try_from(read) {
                Ok(0) => return Err(io::ErrorKind::BrokenPipe.into()),
                Ok(read) => break read,
                Err(_) => again()?,
            }
        };
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        if !first.is_null() && (*first).cmsg_type == libc::SCM_RIGHTS {
            let length = ((*first).cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
            let mut received: *const RawFd = libc::CMSG_DATA(first).cast();
            let end = received.byte_add(length);
            let mut room = files.iter_mut();
            while received < end {
                let file = OwnedFd::from_raw_fd(received.read_unaligned());
                if let Some(room) = room.next() {
                    *room = Some(file);
                }
                received = received.add(1);
            }
        }
        Ok((read, files))
    }
}

/// Whether the last call was only interrupted.
fn again() -> io::Result<()> {
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        error => Err(error),
    }
}

/// Whether the other side is there.
pub(super) fn is_open(socket: RawFd) -> bool {
    let mut byte = 0u8;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: a valid buffer.
    let read = unsafe { libc::recv(socket, (&raw mut byte).cast(), 1, flags) };
    // Nothing to be read yet is an error, no end.
    read != 0
}
