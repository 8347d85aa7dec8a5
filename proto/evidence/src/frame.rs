//! Parts of a file, one after the other: four bytes of length, big-endian, then the bytes.

use std::io::{self, Read};

/// Why there is no part.
#[derive(Debug)]
pub(crate) enum FrameError {
    /// More than a part of its kind may have.
    TooLarge,
    /// It ends inside.
    Short,
    /// It cannot be read.
    Io(io::Error),
}

/// The part with its length.
pub(crate) fn frame(part: &[u8], max: usize) -> Result<Vec<u8>, FrameError> {
    let len = u32::try_from(part.len()).map_err(|_range| FrameError::TooLarge)?;
    if part.len() > max {
        return Err(FrameError::TooLarge);
    }
    Ok([&len.to_be_bytes(), part].concat())
}

fn length(bytes: [u8; 4], max: usize) -> Result<usize, FrameError> {
    let len = usize::try_from(u32::from_be_bytes(bytes)).map_err(|_range| FrameError::TooLarge)?;
    if len > max { Err(FrameError::TooLarge) } else { Ok(len) }
}

/// Takes the next part off the front.
pub(crate) fn unframe<'b>(rest: &mut &'b [u8], max: usize) -> Result<&'b [u8], FrameError> {
    let (len, after) = rest.split_first_chunk::<4>().ok_or(FrameError::Short)?;
    let (part, after) = after.split_at_checked(length(*len, max)?).ok_or(FrameError::Short)?;
    *rest = after;
    Ok(part)
}

/// Reads the next part. A length that lies takes no more room than there are bytes.
pub(crate) fn read_frame<R: Read>(from: &mut R, max: usize) -> Result<Vec<u8>, FrameError> {
    let mut len = [0; 4];
    fill(from, &mut len)?;
    let len = length(len, max)?;
    let mut part = Vec::new();
    let bound = u64::try_from(len).unwrap_or(u64::MAX);
    let read = from.by_ref().take(bound).read_to_end(&mut part).map_err(FrameError::Io)?;
    if read == len { Ok(part) } else { Err(FrameError::Short) }
}

/// Reads exactly so many bytes.
pub(crate) fn fill<R: Read>(from: &mut R, into: &mut [u8]) -> Result<(), FrameError> {
    from.read_exact(into).map_err(|error| {
        let short = error.kind() == io::ErrorKind::UnexpectedEof;
        if short { FrameError::Short } else { FrameError::Io(error) }
    })
}
