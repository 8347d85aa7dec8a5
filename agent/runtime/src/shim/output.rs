//! Keeps a job's output: reads its pipes without ever waiting, keeps the newest within a bound, in segments.
//!
//! Must hold: the job is never held up and never ended by its own output. A segment's name is the offset of its first byte in
//! the whole stream, so that a reader's offset means the same before and after the oldest segment is removed. What a full disk
//! would not take is lost, and a marked line says how much once there is room again.
//!
//! A limit on file size would have bounded the job's own checkpoints as well, and a job whose output nobody reads
//! would block; so init reads, always.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::limit;
use crate::log::Stream;

const BUFFER_BYTES: usize = 64 * 1024;

/// One stream on its way to its files.
#[derive(Debug)]
pub(super) struct Output {
    pipe: Option<PipeReader>,
    kept: Kept,
}

impl Output {
    /// Takes the reading end of `stream`, of which at most about `bytes` are kept in `dir`.
    pub(super) fn new(
        dir: &Path,
        stream: Stream,
        pipe: PipeReader,
        bytes: u64,
    ) -> io::Result<Self> {
        let mut kept = Kept::new(dir, stream, bytes);
        kept.begin()?;
        fcntl(pipe.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { pipe: Some(pipe), kept })
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
                self.kept.take(buffer.get(..read).unwrap_or_default());
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

    /// Puts a line of ours into the stream, at the beginning of a line.
    pub(super) fn mark(&mut self, what: &str) {
        self.kept.mark(what);
    }
}

/// The files of one stream.
#[derive(Debug)]
struct Kept {
    dir: PathBuf,
    stream: Stream,
    segment_bytes: u64,
    /// Offsets of the segments that are there, the newest last.
    segments: VecDeque<u64>,
    /// The newest, and how much is in it.
    file: Option<File>,
    length: u64,
    /// Bytes that could not be written since the last that could.
    lost: u64,
    in_line: bool,
}

impl Kept {
    fn new(dir: &Path, stream: Stream, bytes: u64) -> Self {
        let bytes = bytes.clamp(limit::LOG_BYTES_MIN, limit::LOG_BYTES_MAX);
        Self {
            dir: dir.to_owned(),
            stream,
            segment_bytes: bytes / limit::LOG_SEGMENTS,
            segments: VecDeque::new(),
            file: None,
            length: 0,
            lost: 0,
            in_line: false,
        }
    }

    /// Begins a segment at the end of the stream, and removes the oldest beyond the bound.
    fn begin(&mut self) -> io::Result<()> {
        let start = self.segments.back().map_or(0, |start| start.saturating_add(self.length));
        let path = self.dir.join(self.stream.segment_name(start));
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        self.file = Some(file);
        self.length = 0;
        self.segments.push_back(start);
        while u64::try_from(self.segments.len()).is_ok_and(|count| count > limit::LOG_SEGMENTS) {
            if let Some(oldest) = self.segments.pop_front() {
                // One that stays costs room, and readers see it as what it is.
                drop(fs::remove_file(self.dir.join(self.stream.segment_name(oldest))));
            }
        }
        Ok(())
    }

    /// A full disk costs output, never the job.
    fn take(&mut self, data: &[u8]) {
        if self.lost > 0 {
            let lost = self.lost;
            let note =
                format!("\n[sekisho: {lost} bytes of output were lost: no room to keep them]\n");
            self.lost = 0;
            if self.write(note.as_bytes()).is_err() {
                self.lost = lost;
            }
        }
        if self.lost > 0 {
            self.lost = self.lost.saturating_add(length_of(data));
            return;
        }
        if let Err(written) = self.write(data) {
            self.lost = length_of(data).saturating_sub(written);
        }
        self.in_line = data.last().is_some_and(|last| *last != b'\n');
    }

    fn mark(&mut self, what: &str) {
        let begin = if self.in_line { "\n" } else { "" };
        self.take(format!("{begin}[sekisho: {what}]\n").as_bytes());
    }

    /// Writes all of `data`, over as many segments as it takes; else says how much was written.
    fn write(&mut self, mut data: &[u8]) -> Result<(), u64> {
        let mut written = 0u64;
        while !data.is_empty() {
            let room = self.segment_bytes.saturating_sub(self.length);
            if room == 0 {
                self.begin().map_err(|_full| written)?;
                continue;
            }
            let fits = usize::try_from(room).unwrap_or(usize::MAX).min(data.len());
            let Some(file) = self.file.as_mut() else { return Err(written) };
            match file.write(data.get(..fits).unwrap_or_default()) {
                Ok(0) => return Err(written),
                Ok(count) => {
                    let moved = u64::try_from(count).unwrap_or(u64::MAX);
                    written = written.saturating_add(moved);
                    self.length = self.length.saturating_add(moved);
                    data = data.get(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(written),
            }
        }
        Ok(())
    }
}

fn length_of(data: &[u8]) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tail;

    #[test]
    fn the_newest_output_is_kept_in_segments_and_offsets_stay() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = Kept::new(dir.path(), Stream::Stdout, 0);
        kept.begin().unwrap();
        let total = limit::LOG_BYTES_MIN * 3 + 17;
        let line = b"0123456789abcdef";
        let mut put = 0;
        while put < total {
            let more = usize::try_from((total - put).min(16)).unwrap();
            kept.take(&line[..more]);
            put += u64::try_from(more).unwrap();
        }
        let bytes: u64 = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(bytes <= limit::LOG_BYTES_MIN && bytes > limit::LOG_BYTES_MIN / 2, "{bytes}");
        let gone = tail(dir.path(), Stream::Stdout, 3, 32).unwrap();
        assert!(gone.from > total - limit::LOG_BYTES_MIN, "{}", gone.from);
        assert_eq!(gone.data[0], line[usize::try_from(gone.from % 16).unwrap()]);
        let end = tail(dir.path(), Stream::Stdout, total - 5, 32).unwrap();
        assert_eq!((end.from, end.next_offset, end.eof), (total - 5, total, true));
    }

    #[test]
    fn what_a_full_disk_would_not_take_is_told_once_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = Kept::new(dir.path(), Stream::Stderr, 0);
        kept.begin().unwrap();
        kept.take(b"before\n");
        let file = kept.file.replace(OpenOptions::new().write(true).open("/dev/full").unwrap());
        kept.take(b"lost");
        kept.take(b" too\n");
        kept.file = file;
        kept.take(b"after\n");
        kept.mark("marked");
        let read = tail(dir.path(), Stream::Stderr, 0, 999).unwrap();
        assert_eq!(
            String::from_utf8(read.data).unwrap(),
            "before\n\n[sekisho: 9 bytes of output were lost: no room to keep them]\nafter\n[sekisho: marked]\n"
        );
    }
}
