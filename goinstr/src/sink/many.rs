//! Several sinks of one measurement, each with its own idea of which single calls it is to see.

use std::io;

use super::Sink;
use crate::aggregate::{CallEvent, Ledger, OpenCall, Report, SessionInfo, ShedEvent};
use crate::plan::ProbePlan;

/// One of several sinks.
pub struct One {
    /// The sink.
    pub sink: Box<dyn Sink>,
    /// Single calls at least this long are for it, in ns; `None`: none are.
    pub calls_from_ns: Option<u64>,
}

/// Passes all it receives to each of several sinks, in their order. The first error is its own.
pub struct Many(pub Vec<One>);

impl Many {
    /// Does `act` with every sink, the later ones too where an earlier one failed.
    fn each(&mut self, mut act: impl FnMut(&mut One) -> io::Result<()>) -> io::Result<()> {
        let mut result = Ok(());
        for one in &mut self.0 {
            result = result.and(act(one));
        }
        result
    }
}

impl Sink for Many {
    fn wants_distributions(&self) -> bool {
        self.0.iter().any(|one| one.sink.wants_distributions())
    }

    fn wants_end(&self) -> bool {
        self.0.iter().any(|one| one.sink.wants_end())
    }

    fn session(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        self.each(|one| one.sink.session(info, plan))
    }

    fn call(&mut self, call: &CallEvent) -> io::Result<()> {
        self.each(|one| match one.calls_from_ns {
            Some(from) if call.duration_ns >= from => one.sink.call(call),
            _ => Ok(()),
        })
    }

    fn asks_for_open(&self) -> bool {
        self.0.iter().any(|one| one.sink.asks_for_open())
    }

    fn settle(&mut self, open: Option<&[OpenCall]>, now_unix_ns: u64) -> io::Result<()> {
        self.each(|one| one.sink.settle(open, now_unix_ns))
    }

    fn shed(&mut self, event: &ShedEvent) -> io::Result<()> {
        self.each(|one| one.sink.shed(event))
    }

    fn interval(&mut self, number: u64, report: &Report) -> io::Result<()> {
        self.each(|one| one.sink.interval(number, report))
    }

    fn finish(&mut self, report: &Report, ledger: &Ledger) -> io::Result<()> {
        let mut ledger = ledger.clone();
        self.each(|one| {
            let finished = one.sink.finish(report, &ledger);
            ledger.exported = ledger.exported.or_else(|| one.sink.exported());
            finished
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::sink::sample;

    /// Writes down the methods that are called.
    struct Witness {
        seen: Arc<Mutex<Vec<String>>>,
        name: &'static str,
        fails: bool,
    }

    impl Witness {
        fn note(&self, what: &str) -> io::Result<()> {
            self.seen
                .lock()
                .expect("no panic")
                .push(format!("{} {what}", self.name));
            if self.fails {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            Ok(())
        }
    }

    impl Sink for Witness {
        fn session(&mut self, _: &SessionInfo, _: &ProbePlan) -> io::Result<()> {
            self.note("session")
        }

        fn call(&mut self, _: &CallEvent) -> io::Result<()> {
            self.note("call")
        }

        fn interval(&mut self, number: u64, _: &Report) -> io::Result<()> {
            self.note(&format!("interval {number}"))
        }

        fn finish(&mut self, _: &Report, _: &Ledger) -> io::Result<()> {
            self.note("finish")
        }
    }

    #[test]
    fn each_sink_sees_all_but_the_calls_that_are_too_short_for_it() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let one = |name, calls_from_ns| One {
            sink: Box::new(Witness {
                seen: Arc::clone(&seen),
                name,
                fails: false,
            }),
            calls_from_ns,
        };
        // The sample's only call takes 1.1 s.
        sample::play(&mut Many(vec![
            one("a", Some(1_100_000_000)),
            one("b", Some(1_100_000_001)),
            one("c", None),
        ]));
        let expected = "a session,b session,c session,a interval 0,b interval 0,c interval 0,a call,\
                        a interval 1,b interval 1,c interval 1,a finish,b finish,c finish";
        assert_eq!(seen.lock().expect("no panic").join(","), expected);
    }

    #[test]
    fn the_error_of_one_is_told_and_the_others_go_on() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let one = |name, fails| One {
            sink: Box::new(Witness {
                seen: Arc::clone(&seen),
                name,
                fails,
            }),
            calls_from_ns: None,
        };
        let mut many = Many(vec![one("a", true), one("b", false)]);
        let error = many
            .session(&sample::info(), &sample::plan())
            .expect_err("fails");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(
            seen.lock().expect("no panic").join(","),
            "a session,b session"
        );
    }
}
