//! The guard at work, in a thread of its own: an output whose reader has stopped reading must not
//! keep it from its duty.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    LOOK_NS, Shed, Watch,
    moment::at_a_moment,
    watch::{Hits, Others},
};
use crate::{
    attach::{AttachError, Shedder, Stopper, urgent},
    session::{
        SessionError,
        clock::monotonic_ns,
        heart::{Heart, Sign},
    },
};

/// How often hits are looked at.
const LOOK: Duration = Duration::from_nanos(LOOK_NS);
/// How long it may be held up. Nothing that it does waits for the kernel.
const SILENCE: Duration = Duration::from_secs(5);
/// What is said where it is not there any more.
pub(in crate::session) const GONE: &str =
    "nobody keeps the budget any more (see above): the measurement was ended; please report this";

/// What the guard tells.
#[derive(Debug)]
pub(in crate::session) enum Told {
    /// A function is no longer measured, since so long.
    Shed {
        /// Which, and why.
        shed: Shed,
        /// When, ns of `CLOCK_MONOTONIC`.
        at_ns: u64,
    },
    /// A function would have to go, and none can: the measurement was stopped, and has to end.
    TooLoud {
        /// Which, and why.
        shed: Shed,
        /// When, ns of `CLOCK_MONOTONIC`.
        at_ns: u64,
    },
    /// To follow states costs more than all may.
    StatesTooDear(String),
    /// The sites of what was shed can't be taken out.
    Failed(AttachError),
    /// It has ended though nobody told it to, by a fault of its own.
    Gone,
}

/// The guard; it ends when it is dropped.
pub(in crate::session) struct Guard {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// `None`: there is nothing to be told.
    told: Option<UnboundedReceiver<Told>>,
}

impl Guard {
    /// Starts it. Without a `watch` it has nothing to do; with a `stopper`, it stops the measurement when the first
    /// function would have to go.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn start(
        watch: Option<Watch>,
        shedder: Shedder,
        stopper: Option<Stopper>,
        heart: &Heart,
    ) -> Result<Self, SessionError> {
        let stop = Arc::new(AtomicBool::new(false));
        let Some(watch) = watch else {
            return Ok(Self {
                stop,
                thread: None,
                told: None,
            });
        };
        if stopper.is_none() {
            shedder.make_ready().map_err(SessionError::Thread)?;
        }
        let (tell, told) = unbounded_channel();
        let ended = Arc::clone(&stop);
        let sign = heart.part("the guard", SILENCE);
        let work = move || run(watch, &shedder, stopper.as_ref(), &sign, &ended, &tell);
        let thread = thread::Builder::new().name("guard".into()).spawn(work);
        Ok(Self {
            stop,
            thread: Some(thread.map_err(SessionError::Thread)?),
            told: Some(told),
        })
    }

    /// Waits for what it tells. May be dropped and called again.
    pub async fn told(&mut self) -> Told {
        match &mut self.told {
            Some(told) => told.recv().await.unwrap_or(Told::Gone),
            None => std::future::pending().await,
        }
    }

    /// What it has told so far and nobody has heard. Does not wait.
    pub fn told_by_now(&mut self) -> Vec<Told> {
        let told = self.told.as_mut();
        told.map_or_else(Vec::new, |told| {
            std::iter::from_fn(|| told.try_recv().ok()).collect()
        })
    }

    /// What it has told and nobody has heard.
    pub fn rest(&mut self) -> Vec<Told> {
        self.end();
        self.told_by_now()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // What it panicked of it has said itself, and what was measured is to be told.
            let _ = thread.join();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(
    watch: Watch,
    shedder: &Shedder,
    stopper: Option<&Stopper>,
    sign: &Sign,
    ended: &AtomicBool,
    tell: &UnboundedSender<Told>,
) {
    urgent();
    let mut watch = Some(watch);
    let gauge = shedder.gauge();
    let mut told_states = false;
    let mut hits = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        sign.show();
        if let Some(watching) = &mut watch {
            let functions = watching.functions();
            let (now, others) = at_a_moment(monotonic_ns, || {
                hits.clear();
                hits.extend((0..functions).map(|function| {
                    let totals = gauge.totals(function);
                    Hits {
                        entries: totals.entries,
                        // Taken for over as soon as it has begun: a call that is lost returns as well.
                        returns: totals.entries.saturating_sub(totals.unwound),
                    }
                }));
                Others {
                    reentries: gauge.reentries(),
                    states: gauge.state_hits(),
                }
            });
            let of = |function: u32| hits.get(function as usize).copied().unwrap_or_default();
            let gone = watching.look(now, of, others);
            if !told_states && let Some(detail) = watching.states_too_dear() {
                told_states = true;
                let _ = tell.send(Told::StatesTooDear(detail));
            }
            match (stopper, gone.first()) {
                (None, _) => {
                    for shed in gone {
                        // First: whoever sees what comes of it must be able to know why.
                        let at_ns = monotonic_ns();
                        let _ = tell.send(Told::Shed { shed, at_ns });
                        shedder.shed(shed.load.function);
                    }
                    if let Err(error) = shedder.proceed() {
                        let _ = tell.send(Told::Failed(error));
                    }
                }
                (Some(stopper), Some(&shed)) => {
                    stopper.stop();
                    let at_ns = monotonic_ns();
                    let _ = tell.send(Told::TooLoud { shed, at_ns });
                    watch = None;
                }
                (Some(_), None) => {}
            }
        }
        thread::park_timeout(LOOK);
    }
}
