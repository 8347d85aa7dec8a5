//! What the drill did and saw, in order, with the kernel's time since boot.

use super::fault::Fault;
use anyhow::Result;
use parking_lot::Mutex;
use sekisho_agent_runtime::procfs::boottime_ns;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// A file of lines.
#[derive(Debug)]
pub struct Diary(Mutex<File>);

impl Diary {
    /// A new one.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn at(path: &Path) -> Result<Self> {
        Ok(Self(Mutex::new(File::create(path)?)))
    }

    /// Writes how a fault went.
    pub fn over(&self, fault: Fault, at: &str, done: &Result<()>) {
        match done {
            Ok(()) => self.note(&format!("{fault:?} at {at} is over")),
            Err(error) => self.note(&format!("{fault:?} at {at} failed: {error:#}")),
        }
    }

    /// Writes a line. One that cannot be written is lost, and judges nothing.
    pub fn note(&self, text: &str) {
        let at = boottime_ns().unwrap_or(0);
        drop(writeln!(self.0.lock(), "{at} {text}"));
    }
}
