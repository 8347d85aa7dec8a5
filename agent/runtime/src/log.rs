//! Reads what a job wrote, a bounded piece at a time.
//!
//! The shim writes the files and the job cannot reach them, so a name here is always the file it was. Whether more
//! will come is the placement's state, not this module's.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::limit;

/// One of a job's output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Name of its file in the placement's directory.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout.log",
            Self::Stderr => "stderr.log",
        }
    }
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
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
    let mut file = match File::open(placement_dir.join(stream.file_name())) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Chunk { data: Vec::new(), next_offset: 0, eof: true });
        }
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let offset = offset.min(length);
    file.seek(SeekFrom::Start(offset))?;
    let wanted = u64::try_from(max_bytes.min(limit::TAIL_BYTES_MAX)).map_err(io::Error::other)?;
    let mut data = Vec::new();
    // Not beyond the length seen: else `eof` would speak of a file that has grown meanwhile.
    file.take(wanted.min(length.saturating_sub(offset))).read_to_end(&mut data)?;
    let next_offset = offset.saturating_add(u64::try_from(data.len()).map_err(io::Error::other)?);
    Ok(Chunk { data, next_offset, eof: next_offset >= length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_to_the_whole() {
        let dir = tempfile::tempdir().unwrap();
        let none = tail(dir.path(), Stream::Stdout, 9, 4).unwrap();
        assert_eq!((none.data.len(), none.next_offset, none.eof), (0, 0, true));
        std::fs::write(dir.path().join("stdout.log"), b"0123456789").unwrap();
        let mut all = Vec::new();
        let mut offset = 0;
        loop {
            let chunk = tail(dir.path(), Stream::Stdout, offset, 4).unwrap();
            assert!(chunk.data.len() <= 4);
            all.extend(chunk.data);
            offset = chunk.next_offset;
            if chunk.eof {
                break;
            }
        }
        assert_eq!(all, b"0123456789");
        let beyond = tail(dir.path(), Stream::Stdout, 99, 4).unwrap();
        assert_eq!((beyond.next_offset, beyond.eof), (10, true));
        assert!(tail(dir.path(), Stream::Stderr, 0, usize::MAX).unwrap().eof);
    }
}
