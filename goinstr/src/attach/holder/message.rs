//! What goinstr and the holder say to each other: over a stream socket, request and answer by turns.
//!
//! Neither allocates nor locks: one of the two is a fork that may do neither.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, sendmsg,
        socketpair,
        sockopt::{Timeout, set_socket_timeout},
    },
};

/// Arm: with the program and the file; its words are the offsets, then the cookies.
pub(super) const ARM: u32 = 1;
/// Arm one site by a perf event: as [`ARM`], with one offset and its cookie.
pub(super) const ARM_PERF: u32 = 3;
/// Drop a link: its word is the link's descriptor.
pub(super) const DROP: u32 = 2;
/// Call [`super::process::probed`] once.
pub(super) const CALL: u32 = 4;

/// What goinstr asks for.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Request {
    /// [`ARM`], [`ARM_PERF`], [`DROP`] or [`CALL`].
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

/// Descriptors that a message carries at most.
const FILES: usize = 2;

/// One end of a line, as it is used.
#[derive(Clone, Copy)]
pub(super) struct End<'l> {
    /// The socket.
    pub socket: BorrowedFd<'l>,
    /// What is done where the other side does not move for [`PATIENCE_MS`]; only where that was asked for.
    pub held_up: fn(i32),
    /// The process at the other end, for `held_up`.
    pub other: i32,
}

impl<'l> End<'l> {
    /// An end that waits for as long as it takes.
    pub fn patient(socket: BorrowedFd<'l>) -> Self {
        Self {
            socket,
            held_up: |_| (),
            other: 0,
        }
    }
}

/// How long nothing moves until one looks after the other side.
const PATIENCE_MS: u64 = 500;

/// Has calls on this socket give up waiting now and then.
pub(super) fn be_impatient(socket: BorrowedFd<'_>) -> io::Result<()> {
    let patience = Some(Duration::from_millis(PATIENCE_MS));
    set_socket_timeout(socket, Timeout::Recv, patience)?;
    set_socket_timeout(socket, Timeout::Send, patience)?;
    Ok(())
}

/// Does it, again where a signal came or the other side was held up.
fn retry<T>(line: End<'_>, mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => (line.held_up)(line.other),
            done => return done,
        }
    }
}

/// The two ends of a line.
pub(super) fn line() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

/// Sends a message with some descriptors, at most two.
pub(super) fn send<M: Message>(
    line: End<'_>,
    message: &M,
    files: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = std::ptr::from_ref(message).cast::<u8>();
    // SAFETY: the message's own bytes.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, size_of::<M>()) };
    let sent = send_some(line, bytes, files)?;
    send_all(line, bytes.get(sent..).unwrap_or_default())
}

/// Sends the words that belong to a message.
pub(super) fn send_words(line: End<'_>, words: &[u64]) -> io::Result<()> {
    // SAFETY: the words' own bytes.
    let bytes = unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) };
    send_all(line, bytes)
}

fn send_all(line: End<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = send_some(line, bytes, &[])?;
        bytes = bytes.get(sent..).unwrap_or_default();
    }
    Ok(())
}

/// Sends some of the bytes, and the descriptors with the first of them.
fn send_some(line: End<'_>, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut carried = SendAncillaryBuffer::new(&mut room);
    if !files.is_empty() && !carried.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let parts = [IoSlice::new(bytes)];
    let send = || sendmsg(line.socket, &parts, &mut carried, SendFlags::NOSIGNAL);
    Ok(retry(line, send)?)
}

/// Receives a message and at most `N` descriptors.
///
/// # Errors
/// `BrokenPipe` where the other side is gone.
pub(super) fn receive<M: Message, const N: usize>(
    line: End<'_>,
    message: &mut M,
) -> io::Result<[Option<OwnedFd>; N]> {
    let bytes = std::ptr::from_mut(message).cast::<u8>();
    // SAFETY: the message's own bytes, of which any are a value.
    let bytes = unsafe { std::slice::from_raw_parts_mut(bytes, size_of::<M>()) };
    let (read, files) = receive_some(line, bytes)?;
    receive_all(line, bytes.get_mut(read..).unwrap_or_default())?;
    Ok(files)
}

/// Receives the words that belong to a message.
pub(super) fn receive_words(line: End<'_>, words: &mut [u64]) -> io::Result<()> {
    let length = size_of_val(words);
    // SAFETY: the words' own bytes, of which any are a value.
    let bytes = unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), length) };
    receive_all(line, bytes)
}

fn receive_all(line: End<'_>, mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let (read, []) = receive_some(line, bytes)?;
        bytes = bytes.get_mut(read..).unwrap_or_default();
    }
    Ok(())
}

/// Receives some bytes, and the descriptors that come with them.
fn receive_some<const N: usize>(
    line: End<'_>,
    bytes: &mut [u8],
) -> io::Result<(usize, [Option<OwnedFd>; N])> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut carried = RecvAncillaryBuffer::new(&mut room);
    let mut parts = [IoSliceMut::new(bytes)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let receive = || recvmsg(line.socket, &mut parts, &mut carried, flags);
    let read = retry(line, receive)?.bytes;
    if read == 0 {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    let mut files = [const { None }; N];
    let carried = carried.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    for (place, file) in files.iter_mut().zip(carried.flatten()) {
        *place = Some(file);
    }
    Ok((read, files))
}

/// Whether the other side is there.
pub(super) fn is_open(socket: BorrowedFd<'_>) -> bool {
    let mut byte = [0];
    let received = recv(socket, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
    // Nothing to be read yet is an error, no end.
    !matches!(received, Ok((_, 0)))
}
