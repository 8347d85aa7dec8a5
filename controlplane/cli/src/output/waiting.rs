//! Word on the terminal that an answer is waited for, once that has taken a second.
//!
//! Must hold: it stands on stderr of a terminal alone, and is gone before anything else is written.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

/// From when on: until then nobody asks whether anything happens.
const AFTER: Duration = Duration::from_secs(1);

/// Erases the line.
const ERASE: &str = "\r\u{1b}[K";

/// Shared by who waits and who prints.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    shown: Rc<Cell<bool>>,
    /// Something was written: it says more than that we wait.
    over: Rc<Cell<bool>>,
}

impl Waiting {
    /// Removes the word; there will be no other.
    pub(super) fn end(&self, err: &mut dyn Write) {
        self.over.set(true);
        if self.shown.replace(false) {
            // If the terminal is gone, what is written next says so.
            drop(err.write_all(ERASE.as_bytes()));
        }
    }

    /// Shows `words` and the seconds, until something else is written.
    pub async fn show(&self, words: &str) {
        let begun = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(AFTER).await;
            if self.over.get() {
                return std::future::pending().await;
            }
            self.shown.set(true);
            let text = format!("{ERASE}{words} {} s", begun.elapsed().as_secs());
            drop(io::stderr().write_all(text.as_bytes()));
        }
    }
}
