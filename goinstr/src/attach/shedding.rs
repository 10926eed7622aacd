//! Takes functions out of a measurement that goes on, without a miscount of the others.
//!
//! Their calls are no longer followed from the moment they are marked; then their sites go. Sites
//! can't be taken out of a `uprobe.multi` link, so what else is in it is armed once more in a link of the
//! next generation before the old one is dropped: `goinstr_common::standing` has the protocol.
//! Arming and dropping take a while, and are done by a thread.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

use goinstr_common::cookie;

use super::{
    AttachError, Gauge, features,
    parts::{Called, Parted},
    perf,
};

/// What keeps the sites armed, however that was done.
pub(super) enum Links {
    Multi(Parted),
    Perf(perf::Links),
}

/// Takes functions out, from whatever thread. Clones are of the same measurement.
#[derive(Clone)]
pub struct Shedder {
    gauge: Gauge,
    links: Arc<Mutex<Shedding>>,
}

impl Shedder {
    pub(super) fn new(links: Links, gauge: Gauge) -> Self {
        let links = Arc::new(Mutex::new(Shedding::new(links, gauge.clone())));
        Self { gauge, links }
    }

    /// How the measurement goes.
    #[must_use]
    pub fn gauge(&self) -> &Gauge {
        &self.gauge
    }

    /// Stops following the calls of a function at once, and takes its sites out as soon as may be:
    /// [`Shedder::proceed`] has to be called until then. False: that was done before.
    ///
    /// Only where the settings said that functions may be shed. Its open calls are lost, and named so.
    pub fn shed(&self, function: u32) -> bool {
        let first = self.gauge.mark_shed(function);
        if first {
            self.lock().marked.insert(function);
        }
        first
    }

    /// Finds out what taking out rests on, so that it is known when there is haste: it takes the kernel a tenth
    /// of a second.
    pub fn make_ready(&self) {
        if matches!(self.lock().links, Some(Links::Multi(_))) {
            drop(ordered());
        }
    }

    /// Goes on with taking out the sites of functions that were shed. Does not wait.
    ///
    /// # Errors
    /// The others can't be armed once more: those sites stay armed until the end.
    pub fn proceed(&self) -> Result<(), AttachError> {
        self.lock().proceed()
    }

    /// Disarms everything; when it returns no program runs any more.
    pub(super) fn disarm(&self) {
        self.lock().disarm();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shedding> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The links of a measurement, from which sites are taken out now and then.
struct Shedding {
    links: Option<Links>,
    /// Functions whose calls are no longer followed and whose sites are still armed.
    marked: HashSet<u32>,
    working: Option<JoinHandle<(Links, Result<(), AttachError>)>>,
    gauge: Gauge,
}

impl Shedding {
    fn new(links: Links, gauge: Gauge) -> Self {
        Self {
            links: Some(links),
            marked: HashSet::new(),
            working: None,
            gauge,
        }
    }

    /// Goes on with what is to be done; to be asked often. An error: the others could not be armed
    /// anew, so that the sites of what was shed stay armed.
    fn proceed(&mut self) -> Result<(), AttachError> {
        let mut result = Ok(());
        if self
            .working
            .as_ref()
            .is_some_and(|working| working.is_finished())
        {
            result = self.join();
        }
        if self.working.is_none()
            && !self.marked.is_empty()
            && let Some(links) = self.links.take()
        {
            let functions = std::mem::take(&mut self.marked);
            let gauge = self.gauge.clone();
            self.working = Some(thread::spawn(move || take_out(links, &functions, &gauge)));
        }
        result
    }

    fn disarm(&mut self) {
        if let Err(error) = self.join() {
            log::warn!("{error}");
        }
        drop(self.links.take());
    }

    fn join(&mut self) -> Result<(), AttachError> {
        match self.working.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok((links, result))) => {
                self.links = Some(links);
                result
            }
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Shedding {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// Whether the kernel runs the newer of two links first, as the protocol wants it.
fn ordered() -> Result<(), AttachError> {
    match features::newest_first() {
        Ok(true) => Ok(()),
        Ok(false) => Err(AttachError::Order),
        Err(source) => Err(AttachError::Features { source }),
    }
}

fn take_out(
    links: Links,
    functions: &HashSet<u32>,
    gauge: &Gauge,
) -> (Links, Result<(), AttachError>) {
    match links {
        Links::Perf(links) => {
            let keep = |cookie: u64| !functions.contains(&cookie::func(cookie));
            (Links::Perf(links.without(keep)), Ok(()))
        }
        Links::Multi(links) => {
            let began = Instant::now();
            // Of one moment: all sites of a function have to be in the same part.
            let called = gauge.called();
            match ordered().and_then(|()| links.without(functions, Called(&called))) {
                Ok((next, again)) => {
                    // From here on the new links' programs count, and the old ones' only what those
                    // have just missed.
                    let number = again.len();
                    gauge.next_generation(again);
                    let armed = began.elapsed();
                    drop(links);
                    log::debug!(
                        "{} functions went: {number} armed once more in {armed:?}, the old links gone after {:?}",
                        functions.len(),
                        began.elapsed()
                    );
                    (Links::Multi(next), Ok(()))
                }
                Err(error) => (Links::Multi(links), Err(error)),
            }
        }
    }
}
