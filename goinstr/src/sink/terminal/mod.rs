//! The terminal UI: a table to sort, filter and search, and a page for each function.
//!
//! It has a thread of its own, which draws and waits for keys. The measurement only ever leaves it
//! messages, and drops them where it is slow (a report is followed by a better one): a terminal that
//! hangs holds nothing up. At the end the screen is as it was, and the final table is printed on it.

mod draw;
mod history;
mod input;
mod model;
mod mouse;
mod screen;

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use ratatui::{Terminal, backend::CrosstermBackend, crossterm::event};

use super::{Sink, TableOptions, TableSink};
use crate::aggregate::{CallEvent, Ledger, Report, SessionInfo, ShedEvent};
use crate::plan::ProbePlan;

use model::{Model, Settings};
use screen::{Screen, Waited};

/// Messages that may wait for the terminal: single calls of a burst, mostly, a few hundred bytes each.
const QUEUE: usize = 8192;
/// The longest that a report waits for a key to be pressed.
const LOOK: Duration = Duration::from_millis(50);
/// Keys, and what else there is, between two times that it is drawn: a mouse may move without end.
const EVENTS: usize = 256;
/// How long the end waits for the screen to be as it was.
const PATIENCE: Duration = Duration::from_secs(2);

/// The terminal UI on stdout, and at the end the final table on `W`.
pub struct TerminalSink<W: Write> {
    table: TableSink<W>,
    settings: Settings,
    ui: Option<Ui>,
    quit: Arc<AtomicBool>,
    /// Single calls that found no room.
    missed: Arc<AtomicU64>,
}

/// The thread that draws.
struct Ui {
    messages: SyncSender<Message>,
    thread: JoinHandle<io::Result<()>>,
}

/// What the measurement tells it.
enum Message {
    Call(CallEvent),
    Report(Arc<Report>),
    Shed(ShedEvent),
}

impl<W: Write> TerminalSink<W> {
    /// Draws on stdout, which is a terminal, and prints the final table on `out`.
    pub fn new(out: W, options: TableOptions, slower_than_ns: Option<u64>) -> Self {
        Self {
            table: TableSink::new(
                out,
                TableOptions {
                    live: None,
                    ..options
                },
            ),
            settings: Settings {
                sort: options.sort,
                color: options.color,
                slower_than_ns,
            },
            ui: None,
            quit: Arc::default(),
            missed: Arc::default(),
        }
    }

    /// Leaves a message, unless too many wait already; an error if nobody draws any more.
    fn tell(&mut self, message: Message) -> io::Result<()> {
        let Some(ui) = &self.ui else { return Ok(()) };
        if ui.thread.is_finished() {
            return self.close();
        }
        // A report says all that the one before said, and the final table all that was shed.
        if let Err(TrySendError::Full(Message::Call(_))) = ui.messages.try_send(message) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits until the screen is as it was.
    fn close(&mut self) -> io::Result<()> {
        let Some(ui) = self.ui.take() else {
            return Ok(());
        };
        drop(ui.messages);
        let deadline = Instant::now() + PATIENCE;
        while !ui.thread.is_finished() {
            if Instant::now() > deadline {
                // It hangs in a terminal that takes nothing, and ends with goinstr.
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        ui.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the terminal UI has failed")))
    }
}

impl<W: Write> Sink for TerminalSink<W> {
    fn wants_distributions(&self) -> bool {
        true
    }

    fn wants_end(&self) -> bool {
        self.quit.load(Ordering::Relaxed)
    }

    fn session(&mut self, info: &SessionInfo, plan: &ProbePlan) -> io::Result<()> {
        self.table.session(info, plan)?;
        let model = Model::new(info, plan, self.settings);
        let (messages, received) = sync_channel(QUEUE);
        let quit = Arc::clone(&self.quit);
        let missed = Arc::clone(&self.missed);
        let thread = std::thread::Builder::new()
            .name("terminal".to_owned())
            .spawn(move || run(model, &received, &quit, &missed))?;
        self.ui = Some(Ui { messages, thread });
        Ok(())
    }

    fn call(&mut self, call: &CallEvent) -> io::Result<()> {
        self.tell(Message::Call(call.bare()))
    }

    fn shed(&mut self, event: &ShedEvent) -> io::Result<()> {
        self.tell(Message::Shed(event.clone()))
    }

    fn interval(&mut self, _number: u64, report: &Report) -> io::Result<()> {
        self.tell(Message::Report(Arc::new(report.clone())))
    }

    fn finish(&mut self, report: &Report, ledger: &Ledger) -> io::Result<()> {
        // The figures are worth more than the screen: they are printed whatever became of it.
        let closed = self.close();
        self.table.finish(report, ledger).and(closed)
    }
}

impl<W: Write> Drop for TerminalSink<W> {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

/// Draws until the other side is gone.
fn run(
    mut model: Model,
    messages: &Receiver<Message>,
    quit: &AtomicBool,
    missed: &AtomicU64,
) -> io::Result<()> {
    let mut screen = Screen::enter()?;
    let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
    let mut changed = true;
    loop {
        loop {
            match messages.try_recv() {
                Ok(Message::Call(call)) => model.add_call(call),
                Ok(Message::Report(report)) => model.add_report(report),
                Ok(Message::Shed(event)) => model.add_shed(&event),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return screen.leave(),
            }
            changed = true;
        }
        if changed {
            model.missed = missed.load(Ordering::Relaxed);
            terminal.draw(|frame| draw::draw(&mut model, frame))?;
            changed = false;
        }
        // What has come is taken at once: drawing after each would be slower than a held key or a mouse.
        let mut longest = LOOK;
        for _ in 0..EVENTS {
            let wait = match screen::wait(longest)? {
                Waited::InVain => Duration::ZERO,
                Waited::Key => LOOK,
                Waited::HungUp => {
                    quit.store(true, Ordering::Relaxed);
                    return Ok(());
                }
            };
            // A resize is no key, so it is asked for in any case.
            if !event::poll(wait)? {
                break;
            }
            model.input(&event::read()?);
            changed = true;
            longest = Duration::ZERO;
        }
        screen.capture_mouse(model.mouse)?;
        if model.quit {
            quit.store(true, Ordering::Relaxed);
        }
    }
}
