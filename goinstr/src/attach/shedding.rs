//! Takes functions out of a measurement that goes on, without a miscount of the others.
//!
//! Their calls are no longer followed from the moment they are marked; then their sites go. Sites
//! can't be taken out of a `uprobe.multi` link, so what else is in it is armed once more in a link of the
//! next generation before the old one is dropped: `goinstr_common::standing` has the protocol.
//! Arming and dropping take a while, and are done by a thread.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender, TryRecvError},
    },
    thread,
    time::Instant,
};

use goinstr_common::cookie;

use super::{
    AttachError, Gauge, features,
    holder::Holder,
    parts::{Called, Parted},
    perf,
    urgency::urgent,
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
    pub(super) fn new(links: Links, gauge: Gauge, holder: &Holder) -> Self {
        let links = Arc::new(Mutex::new(Shedding::new(links, holder.clone())));
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

    /// Starts the thread that takes sites out, and finds out what that rests on: both take a while, and may fail where
    /// there is no haste yet.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn make_ready(&self) -> io::Result<()> {
        let mut shedding = self.lock();
        let (requests, orders) = mpsc::channel();
        let (tell, results) = mpsc::channel();
        let multi = matches!(shedding.links, Some(Links::Multi(_)));
        let (gauge, holder) = (self.gauge.clone(), shedding.holder.clone());
        let work = move || {
            // While sites wait to go the target pays.
            urgent();
            if multi {
                drop(ordered(&holder));
            }
            serve(&orders, &tell, &gauge, &holder);
        };
        thread::Builder::new().name("shedder".into()).spawn(work)?;
        shedding.worker = Some(Worker {
            requests,
            results,
            busy: false,
        });
        Ok(())
    }

    /// Goes on with taking out the sites of functions that were shed, once it was made ready. Does not wait.
    ///
    /// # Errors
    /// The others can't be armed once more: those sites stay armed until the end.
    ///
    /// # Panics
    /// The thread that takes them out has panicked; all sites are out then.
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
    worker: Option<Worker>,
    holder: Holder,
}

/// The thread that takes sites out, from outside. It has the links for as long as it is busy.
struct Worker {
    requests: Sender<Order>,
    results: Receiver<Outcome>,
    busy: bool,
}

/// Links, and the functions that are to go.
type Order = (Links, HashSet<u32>);
/// What is left of the links.
type Outcome = (Links, Result<(), AttachError>);

/// What is said where the thread is gone: its own words have been told.
const PANICKED: &str = "the thread that takes sites out has ended";

impl Shedding {
    fn new(links: Links, holder: Holder) -> Self {
        Self {
            links: Some(links),
            marked: HashSet::new(),
            worker: None,
            holder,
        }
    }

    /// Goes on with what is to be done; to be asked often. An error: the others could not be armed
    /// anew, so that the sites of what was shed stay armed.
    fn proceed(&mut self) -> Result<(), AttachError> {
        let Some(worker) = &mut self.worker else {
            return Ok(());
        };
        let mut result = Ok(());
        if worker.busy {
            match worker.results.try_recv() {
                Ok((links, outcome)) => {
                    worker.busy = false;
                    self.links = Some(links);
                    result = outcome;
                }
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => panic!("{PANICKED}"),
            }
        }
        if !self.marked.is_empty()
            && let Some(links) = self.links.take()
        {
            let order = (links, std::mem::take(&mut self.marked));
            worker.busy = true;
            if let Err(mpsc::SendError((links, _))) = worker.requests.send(order) {
                // For whoever disarms.
                self.links = Some(links);
                panic!("{PANICKED}");
            }
        }
        result
    }

    fn disarm(&mut self) {
        if let Some(worker) = self.worker.take()
            && worker.busy
            && let Ok((links, outcome)) = worker.results.recv()
        {
            self.links = Some(links);
            if let Err(error) = outcome {
                log::warn!("{error}");
            }
        }
        drop(self.links.take());
    }
}

/// What the thread does until nobody asks any more.
fn serve(orders: &Receiver<Order>, tell: &Sender<Outcome>, gauge: &Gauge, holder: &Holder) {
    for (links, functions) in orders {
        // Whoever is gone wants the links disarmed, which they are as they are dropped.
        let _ = tell.send(take_out(links, &functions, gauge, holder));
    }
}

impl Drop for Shedding {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// Whether the kernel runs the newer of two links first, as the protocol wants it.
fn ordered(holder: &Holder) -> Result<(), AttachError> {
    match features::newest_first(holder) {
        Ok(true) => Ok(()),
        Ok(false) => Err(AttachError::Order),
        Err(source) => Err(AttachError::Features { source }),
    }
}

fn take_out(
    links: Links,
    functions: &HashSet<u32>,
    gauge: &Gauge,
    holder: &Holder,
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
            match ordered(holder).and_then(|()| links.without(functions, Called(&called))) {
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
