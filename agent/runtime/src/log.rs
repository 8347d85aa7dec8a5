//! Reads what a job wrote, a bounded piece at a time, over the segments in which it is kept.
//!
//! The shim writes the files and the job cannot reach them, so a name here is always the file it was. An offset is a position
//! in the whole stream, kept or not. Whether more will come is the placement's state, not this module's.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::limit;

/// How often a list of segments is read again because the oldest was removed meanwhile.
const TRIES: u32 = 4;

/// One of a job's output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    /// Name of the file that begins at `offset`, in the placement's directory. It orders as text.
    #[must_use]
    pub fn segment_name(self, offset: u64) -> String {
        format!("{}-{offset:020}.log", self.name())
    }

    fn offset_in(self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(self.name())?.strip_prefix('-')?.strip_suffix(".log")?;
        digits.parse().ok().filter(|offset| self.segment_name(*offset) == name)
    }
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Offset of its first byte: later than the one asked for where that is no longer kept, earlier where it was beyond the end.
    pub from: u64,
    /// The bytes; may end within a character.
    pub data: Vec<u8>,
    /// Offset to ask for next.
    pub next_offset: u64,
    /// Nothing lies beyond `next_offset` at the moment.
    pub eof: bool,
}

/// Reads at most `max_bytes` (and never more than [`limit::TAIL_BYTES_MAX`]) from `offset`. An offset beyond the
/// end is taken for the end; a job that has not written yet has an empty stream.
///
/// # Errors
/// What the file system says.
pub fn tail(
    placement_dir: &Path,
    stream: Stream,
    offset: u64,
    max_bytes: usize,
) -> io::Result<Chunk> {
    retried(|| read(placement_dir, stream, offset, max_bytes))
}

/// The offset at which the last `lines` lines begin, looked for in the last [`limit::TAIL_BYTES_MAX`] bytes: of longer ones as
/// many as fit.
///
/// # Errors
/// What the file system says.
pub fn last_lines(placement_dir: &Path, stream: Stream, lines: u32) -> io::Result<u64> {
    let most = u64::try_from(limit::TAIL_BYTES_MAX).map_err(io::Error::other)?;
    let chunk = retried(|| {
        let end = Segments::of(placement_dir, stream)?.end();
        read(placement_dir, stream, end.saturating_sub(most), limit::TAIL_BYTES_MAX)
    })?;
    // The end of the last line begins no line.
    let body = chunk.data.strip_suffix(b"\n").unwrap_or(&chunk.data);
    let breaks = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    let Some(nth) = lines.checked_sub(1) else { return Ok(chunk.next_offset) };
    let nth = usize::try_from(nth).unwrap_or(usize::MAX);
    let start = breaks.map(|(at, _)| at.saturating_add(1)).nth(nth).unwrap_or(0);
    Ok(chunk.from.saturating_add(u64::try_from(start).map_err(io::Error::other)?))
}

/// Again, when a segment that was listed has been removed.
fn retried(mut read: impl FnMut() -> io::Result<Chunk>) -> io::Result<Chunk> {
    let mut last = Err(io::Error::from(io::ErrorKind::NotFound));
    for _ in 0..TRIES {
        last = read();
        if !last.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            break;
        }
    }
    last
}

/// The segments of a stream that are there: offset and length, in order.
struct Segments(Vec<(u64, u64)>);

impl Segments {
    fn of(dir: &Path, stream: Stream) -> io::Result<Self> {
        let mut starts: Vec<u64> = Vec::new();
        let entries = match fs::read_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self(Vec::new())),
            entries => entries?,
        };
        for entry in entries {
            starts.extend(entry?.file_name().to_str().and_then(|name| stream.offset_in(name)));
        }
        starts.sort_unstable();
        let length = |start: &u64| {
            let file = fs::metadata(dir.join(stream.segment_name(*start)))?;
            Ok((*start, file.len()))
        };
        Ok(Self(starts.iter().map(length).collect::<io::Result<_>>()?))
    }

    fn end(&self) -> u64 {
        self.0.last().map_or(0, |(start, length)| start.saturating_add(*length))
    }
}

fn read(dir: &Path, stream: Stream, offset: u64, max_bytes: usize) -> io::Result<Chunk> {
    let segments = Segments::of(dir, stream)?;
    let end = segments.end();
    let first = segments.0.first().map_or(0, |(start, _)| *start);
    let from = offset.clamp(first, end.max(first));
    let wanted = u64::try_from(max_bytes.min(limit::TAIL_BYTES_MAX)).map_err(io::Error::other)?;
    let until = end.min(from.saturating_add(wanted));
    let (mut data, mut at) = (Vec::new(), from);
    // Not beyond the lengths seen: else `eof` would speak of a file that has grown meanwhile.
    for (start, length) in &segments.0 {
        let over = start.saturating_add(*length);
        if at >= until || over <= at || *start > at {
            continue;
        }
        let mut file = File::open(dir.join(stream.segment_name(*start)))?;
        file.seek(SeekFrom::Start(at.saturating_sub(*start)))?;
        let read = file.take(over.min(until).saturating_sub(at)).read_to_end(&mut data)?;
        at = at.saturating_add(u64::try_from(read).map_err(io::Error::other)?);
    }
    Ok(Chunk { from, data, next_offset: at, eof: at >= end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(dir: &Path, offset: u64, bytes: &[u8]) {
        fs::write(dir.join(Stream::Stdout.segment_name(offset)), bytes).unwrap();
    }

    #[test]
    fn pieces_add_up_to_the_whole_over_every_segment() {
        let dir = tempfile::tempdir().unwrap();
        let none = tail(dir.path(), Stream::Stdout, 9, 4).unwrap();
        assert_eq!((none.data.len(), none.next_offset, none.eof), (0, 0, true));
        put(dir.path(), 7, b"0123");
        put(dir.path(), 11, b"4");
        put(dir.path(), 12, b"56789");
        // No segments: another stream's, and names that only look like one.
        for other in ["stderr-00000000000000000000.log", "stdout-5.log", "stdout.log", "exit"] {
            fs::write(dir.path().join(other), b"no").unwrap();
        }
        for step in 1..12 {
            let (mut all, mut offset) = (Vec::new(), 0);
            loop {
                let chunk = tail(dir.path(), Stream::Stdout, offset, step).unwrap();
                assert!(chunk.data.len() <= step);
                assert_eq!(chunk.from, offset.max(7), "what was rotated away is told");
                all.extend(chunk.data);
                offset = chunk.next_offset;
                if chunk.eof {
                    break;
                }
            }
            assert_eq!((all.as_slice(), offset), (&b"0123456789"[..], 17), "{step}");
        }
        let beyond = tail(dir.path(), Stream::Stdout, 99, 4).unwrap();
        assert_eq!((beyond.from, beyond.next_offset, beyond.eof), (17, 17, true));
        assert!(tail(dir.path(), Stream::Stderr, 2, usize::MAX).unwrap().eof);
    }

    #[test]
    fn the_last_lines_are_counted_from_the_end() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(last_lines(dir.path(), Stream::Stdout, 3).unwrap(), 0);
        put(dir.path(), 100, b"one\ntwo\n");
        put(dir.path(), 108, b"three\nfour");
        let at = |lines| last_lines(dir.path(), Stream::Stdout, lines).unwrap();
        assert_eq!((at(0), at(1), at(2), at(3), at(4), at(5)), (118, 114, 108, 104, 100, 100));
        put(dir.path(), 108, b"three\nfour\n");
        assert_eq!((at(1), at(2), at(u32::MAX)), (114, 108, 100));
    }
}
