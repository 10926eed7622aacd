//! Work that nobody waits for, in a thread of its own.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

/// Does it beside the caller; where no thread is to be had (`ulimit -u`, `pids.max`), here and now, for what is done
/// takes sites out. `None`: it is done.
pub(super) fn beside(work: impl FnOnce() + Send + 'static) -> Option<JoinHandle<()>> {
    either(work, |start| thread::Builder::new().spawn(start))
}

type Start = Box<dyn FnOnce() + Send>;

/// The same, with what starts a thread.
fn either(
    work: impl FnOnce() + Send + 'static,
    start: impl FnOnce(Start) -> std::io::Result<JoinHandle<()>>,
) -> Option<JoinHandle<()>> {
    // A thread that can't be started takes what it was to do with it.
    let kept = Arc::new(Mutex::new(Some(work)));
    let theirs = Arc::clone(&kept);
    match start(Box::new(move || run(&theirs))) {
        Ok(thread) => Some(thread),
        Err(error) => {
            log::debug!("no thread: {error}");
            run(&kept);
            None
        }
    }
}

fn run(kept: &Mutex<Option<impl FnOnce()>>) {
    let work = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(work) = work {
        work();
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::mpsc};

    use super::*;

    #[test]
    fn work_is_done_where_no_thread_is_to_be_had() {
        let (done, told) = mpsc::channel();
        let refuse = |start: Start| {
            drop(start);
            Err(io::ErrorKind::WouldBlock.into())
        };
        let work = move || done.send(thread::current().id()).unwrap();
        assert!(either(work, refuse).is_none());
        assert_eq!(told.try_recv(), Ok(thread::current().id()));
    }

    #[test]
    fn work_is_done_once_and_by_another_thread() {
        let (done, told) = mpsc::channel();
        let thread = beside(move || done.send(thread::current().id()).unwrap());
        thread.unwrap().join().unwrap();
        let by: Vec<_> = told.iter().collect();
        assert_eq!(by.len(), 1);
        assert_ne!(by[0], thread::current().id());
    }
}
