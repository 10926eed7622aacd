//! An array map of the kernel program, mapped into memory: read without a system call, while the
//! kernel goes on writing.

use std::{
    io,
    marker::PhantomData,
    num::NonZeroUsize,
    os::fd::BorrowedFd,
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A wire type that consists of whole words of 8 bytes, any bit pattern of which is a value.
///
/// # Safety
/// The type is `repr(C)`, without padding, its alignment is 8 and its size a multiple of 8.
pub(super) unsafe trait Words: Copy {}

// SAFETY: asserted at compile time in goinstr-common.
unsafe impl Words for goinstr_common::stat::FuncStat {}
// SAFETY: as above.
unsafe impl Words for goinstr_common::state::StateSum {}
// SAFETY: asserted at compile time in goinstr-common.
unsafe impl Words for goinstr_common::histogram::HistBlock {}
// SAFETY: a u64 is a word.
unsafe impl Words for u64 {}

/// An array map in memory.
pub(super) struct Mapped<T> {
    base: NonNull<u8>,
    bytes: NonZeroUsize,
    len: usize,
    element: PhantomData<T>,
}

// SAFETY: the memory is the kernel's and is only accessed atomically.
unsafe impl<T> Send for Mapped<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Mapped<T> {}

impl<T> Mapped<T> {
    /// Maps the first `len` elements of an array map that was made with `BPF_F_MMAPABLE`.
    pub fn new(map: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        // Elements of an array map start at multiples of 8 bytes.
        let bytes = len * size_of::<T>().next_multiple_of(8);
        let bytes = NonZeroUsize::new(bytes.next_multiple_of(rustix::param::page_size()))
            .ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            mmap(
                std::ptr::null_mut(),
                bytes.get(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                map,
                0,
            )
        }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            base,
            bytes,
            len,
            element: PhantomData,
        })
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset + 8 <= self.bytes.get() && offset.is_multiple_of(8));
        // SAFETY: in bounds and aligned; the kernel and we access it atomically only.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(offset).cast()) }
    }

    fn half_word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset + 4 <= self.bytes.get() && offset.is_multiple_of(4));
        // SAFETY: in bounds and aligned; the kernel and we access it atomically only.
        unsafe { AtomicU32::from_ptr(self.base.as_ptr().add(offset).cast()) }
    }
}

impl<T: Words> Mapped<T> {
    /// Element `index`, each of its words read at once (the element as a whole is not). `None`: out of range.
    pub fn get(&self, index: usize) -> Option<T> {
        if index >= self.len {
            return None;
        }
        let mut value = std::mem::MaybeUninit::<T>::uninit();
        for word in 0..size_of::<T>() / 8 {
            let read = self
                .word(index * size_of::<T>() + word * 8)
                .load(Ordering::Relaxed);
            // SAFETY: within `value`, which consists of words.
            unsafe { value.as_mut_ptr().cast::<u64>().add(word).write(read) };
        }
        // SAFETY: all words are written, and any bit pattern is a value.
        Some(unsafe { value.assume_init() })
    }
}

impl Mapped<u64> {
    /// Sets every element to 0.
    pub fn clear(&self) {
        for index in 0..self.len {
            self.word(index * 8).store(0, Ordering::Relaxed);
        }
    }
}

impl Mapped<u32> {
    /// Element `index`. `None`: out of range.
    pub fn get_u32(&self, index: usize) -> Option<u32> {
        (index < self.len).then(|| self.half_word(index * 8).load(Ordering::Relaxed))
    }

    /// Sets bits of an element; what it was before. `None`: out of range.
    pub fn set_bits(&self, index: usize, bits: u32) -> Option<u32> {
        (index < self.len).then(|| self.half_word(index * 8).fetch_or(bits, Ordering::SeqCst))
    }

    /// Adds one to an element. Out of range: nothing.
    pub fn increment(&self, index: usize) {
        if index < self.len {
            self.half_word(index * 8).fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Mapped<goinstr_common::control::Control> {
    /// Sets the phase.
    pub fn set_phase(&self, phase: u32) {
        self.half_word(0).store(phase, Ordering::SeqCst);
    }

    /// Makes the next window the present one.
    pub fn next_window(&self) {
        self.half_word(12).fetch_add(1, Ordering::SeqCst);
    }

    /// The window that is open or was last.
    pub fn window(&self) -> u32 {
        self.half_word(12).load(Ordering::SeqCst)
    }

    /// Says that one function more is shed.
    pub fn count_shed(&self) {
        self.half_word(8).fetch_add(1, Ordering::SeqCst);
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, which nothing refers to any more.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.bytes.get()) };
    }
}
