//! ZooKeeper's client protocol, as much of it as is measured: frames of a length and jute fields, all big-endian.

use anyhow::{Context as _, Result, ensure};

const CREATE: i32 = 1;
const GET: i32 = 4;
const SET: i32 = 5;
const SYNC: i32 = 9;
const MULTI: i32 = 14;
/// Any version of a node may be replaced.
const ANY_VERSION: i32 = -1;
/// All permissions to everybody.
const ALL: i32 = 31;
/// Node exists: as good as created.
const EXISTS: i32 = -110;
/// Milliseconds that the server keeps a silent session; it cuts it to its own bounds.
const SESSION: i32 = 30_000;
/// Larger than any answer here.
pub(super) const FRAME_MAX: usize = 1 << 20;

/// A frame being written: its first four bytes become its length.
#[derive(Debug)]
pub(super) struct Frame(Vec<u8>);

impl Frame {
    fn new() -> Self {
        Self(vec![0; 4])
    }

    fn request(number: i32, kind: i32) -> Self {
        Self::new().int(number).int(kind)
    }

    fn int(mut self, value: i32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn long(mut self, value: i64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn flag(mut self, value: bool) -> Self {
        self.0.push(u8::from(value));
        self
    }

    fn bytes(mut self, value: &[u8]) -> Self {
        let length = i32::try_from(value.len()).unwrap_or(i32::MAX);
        self.0.extend(length.to_be_bytes());
        self.0.extend(value);
        self
    }

    /// The bytes to send.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len().saturating_sub(4)).unwrap_or(u32::MAX);
        if let Some(head) = self.0.first_chunk_mut::<4>() {
            *head = length.to_be_bytes();
        }
        self.0
    }
}

/// Opens a session.
pub(super) fn connect() -> Frame {
    Frame::new().int(0).long(0).int(SESSION).long(0).bytes(&[0; 16]).flag(false)
}

pub(super) fn create(number: i32, path: &str, data: &[u8]) -> Frame {
    let frame = Frame::request(number, CREATE).bytes(path.as_bytes()).bytes(data);
    frame.int(1).int(ALL).bytes(b"world").bytes(b"anyone").int(0)
}

pub(super) fn set(number: i32, path: &str, data: &[u8]) -> Frame {
    Frame::request(number, SET).bytes(path.as_bytes()).bytes(data).int(ANY_VERSION)
}

/// Sets all of `paths` or none.
pub(super) fn set_all(number: i32, paths: &[String], data: &[u8]) -> Frame {
    let start = Frame::request(number, MULTI);
    let each = |frame: Frame, path: &String| {
        frame.int(SET).flag(false).int(-1).bytes(path.as_bytes()).bytes(data).int(ANY_VERSION)
    };
    paths.iter().fold(start, each).int(-1).flag(true).int(-1)
}

/// Makes the following read on this connection see everything acknowledged before.
pub(super) fn sync(number: i32, path: &str) -> Frame {
    Frame::request(number, SYNC).bytes(path.as_bytes())
}

pub(super) fn get(number: i32, path: &str) -> Frame {
    Frame::request(number, GET).bytes(path.as_bytes()).flag(false)
}

/// The head of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// Of the request.
    pub(super) number: i32,
    /// Last transaction that the server knows.
    pub(super) position: u64,
    error: i32,
}

impl Answer {
    /// Reads the head of an answer's frame.
    pub(super) fn of(frame: &[u8]) -> Result<Self> {
        let (number, rest) = frame.split_first_chunk::<4>().context("an answer too short")?;
        let (position, rest) = rest.split_first_chunk::<8>().context("an answer too short")?;
        let (error, _body) = rest.split_first_chunk::<4>().context("an answer too short")?;
        Ok(Self {
            number: i32::from_be_bytes(*number),
            position: u64::try_from(i64::from_be_bytes(*position)).unwrap_or(0),
            error: i32::from_be_bytes(*error),
        })
    }

    /// The position, unless the request was refused.
    pub(super) fn ok(self) -> Result<u64> {
        ensure!(matches!(self.error, 0 | EXISTS), "ZooKeeper error {}", self.error);
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_carry_their_length_and_answers_their_error() {
        let frame = set(7, "/k", b"vv").finish();
        assert_eq!(frame.len(), 4 + 4 + 4 + (4 + 2) + (4 + 2) + 4);
        assert_eq!(&frame[..12], [0, 0, 0, 24, 0, 0, 0, 7, 0, 0, 0, 5]);
        let many = set_all(1, &["/a".to_owned(), "/b".to_owned()], b"v").finish();
        assert_eq!(many.len(), 4 + 8 + 2 * (9 + 6 + 5 + 4) + 9);
        let head = |error: i32| {
            [&7_i32.to_be_bytes()[..], &9_i64.to_be_bytes(), &error.to_be_bytes()].concat()
        };
        assert_eq!(Answer::of(&head(0)).unwrap().ok().unwrap(), 9);
        assert_eq!(Answer::of(&head(EXISTS)).unwrap().number, 7);
        Answer::of(&head(-101)).unwrap().ok().unwrap_err();
        Answer::of(&[0; 15]).unwrap_err();
    }
}
