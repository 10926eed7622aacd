//! The kernel side's diagnostics (`-vv`) → goinstr's own log.

use aya_log::EbpfLogger;

/// Passes on what the kernel programs say, where they were asked to.
pub struct Diagnostics(Option<EbpfLogger<&'static dyn log::Log>>);

impl Diagnostics {
    /// `logger`: `None` where nothing was asked for.
    #[must_use]
    pub fn new(logger: Option<EbpfLogger<&'static dyn log::Log>>) -> Self {
        Self(logger)
    }

    /// Writes what has come since the last time.
    pub fn pass_on(&mut self) {
        if let Some(logger) = &mut self.0 {
            logger.flush();
        }
    }
}
