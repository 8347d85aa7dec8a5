//! Keeps a job's output: reads its pipes without ever waiting, writes at most a bound, drops the rest.
//!
//! A limit on file size would have bounded the job's own checkpoints as well, and a job whose output nobody reads
//! would block; so init reads, always.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::limit;
use crate::log::Stream;

const BUFFER_BYTES: usize = 64 * 1024;

/// One stream on its way to its file.
#[derive(Debug)]
pub(super) struct Output {
    pipe: Option<PipeReader>,
    file: File,
    /// Bytes that may still be kept; `None` once the rest is dropped.
    room: Option<u64>,
}

impl Output {
    /// Takes the reading end of `stream`, whose file it makes in `dir`.
    pub(super) fn new(dir: &Path, stream: Stream, pipe: PipeReader) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(dir.join(stream.file_name()))?;
        fcntl(pipe.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { pipe: Some(pipe), file, room: Some(limit::LOG_BYTES_MAX) })
    }

    /// What to wait for; `None` once every writer is gone.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Moves what is there, once around. True when there may be more.
    pub(super) fn pump(&mut self, buffer: &mut Vec<u8>) -> bool {
        let Some(pipe) = self.pipe.as_mut() else { return false };
        buffer.resize(BUFFER_BYTES, 0);
        match pipe.read(buffer) {
            Ok(0) => {
                self.pipe = None;
                false
            }
            Ok(read) => {
                self.keep(buffer.get(..read).unwrap_or_default());
                true
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(_) => {
                self.pipe = None;
                false
            }
        }
    }

    /// A full disk costs output, never the job: what cannot be written is dropped, and so is all after it.
    fn keep(&mut self, data: &[u8]) {
        let Some(room) = self.room else { return };
        let fits = usize::try_from(room).unwrap_or(usize::MAX).min(data.len());
        let (kept, dropped) = data.split_at(fits);
        let written = self.file.write_all(kept);
        self.room = Some(room.saturating_sub(u64::try_from(fits).unwrap_or(u64::MAX)));
        if written.is_err() {
            self.room = None;
        } else if !dropped.is_empty() {
            drop(self.file.write_all(b"\n[sekisho: output beyond the bound was dropped]\n"));
            self.room = None;
        }
    }
}
