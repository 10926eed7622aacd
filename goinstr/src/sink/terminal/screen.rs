//! The terminal's modes: taken over, and given back however it ends.

use std::{
    io::{self, Write as _},
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ratatui::crossterm::{
    cursor::Show,
    event::{DisableMouseCapture, EnableMouseCapture},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

/// What came of waiting for a key.
pub(super) enum Waited {
    /// None was pressed.
    InVain,
    /// There is something to read.
    Key,
    /// The terminal is gone: its window was closed, or the connection to it.
    HungUp,
}

/// Waits until a key is pressed. `crossterm::event::poll` can't be asked first: where a terminal was
/// hung up it reads an end of file over and over, and never returns.
pub(super) fn wait(longest: Duration) -> io::Result<Waited> {
    let stdout = io::stdout();
    let mut terminal = [PollFd::new(&stdout, PollFlags::IN)];
    let longest = Timespec::try_from(longest).map_err(io::Error::other)?;
    match poll(&mut terminal, Some(&longest)) {
        Ok(0) | Err(Errno::INTR) => return Ok(Waited::InVain),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    Ok(match terminal[0].revents().intersects(gone) {
        true => Waited::HungUp,
        false => Waited::Key,
    })
}

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// A terminal that is taken over: given back when dropped, and before the message of a panic.
pub(super) struct Screen {
    mouse: bool,
}

impl Screen {
    /// Takes it over: another screen, no echo, no line editing.
    pub fn enter() -> io::Result<Self> {
        give_back_at_panic();
        TAKEN.store(true, Ordering::SeqCst);
        let screen = Self { mouse: false };
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen)?;
        Ok(screen)
    }

    /// Has the terminal tell of the mouse, or leave it to select text.
    pub fn capture_mouse(&mut self, wanted: bool) -> io::Result<()> {
        if wanted == self.mouse {
            return Ok(());
        }
        self.mouse = wanted;
        if wanted {
            execute!(io::stdout(), EnableMouseCapture)
        } else {
            execute!(io::stdout(), DisableMouseCapture)
        }
    }

    /// Gives it back.
    pub fn leave(self) -> io::Result<()> {
        give_back()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = give_back();
    }
}

/// Once only: it is called by whoever comes first.
fn give_back() -> io::Result<()> {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return Ok(());
    }
    let shown = execute!(
        io::stdout(),
        DisableMouseCapture,
        LeaveAlternateScreen,
        Show
    );
    let cooked = disable_raw_mode();
    shown.and(cooked).and(io::stdout().flush())
}

/// A panic of any thread would else be told on a screen that goes, in a terminal without echo.
fn give_back_at_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let _ = give_back();
            before(panic);
        }));
    });
}
