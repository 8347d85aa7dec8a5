//! Values that say what they are: any bytes found on disk either are exactly what was once written, or are wrong.

/// Shortest value: its tag.
pub const LEAST: usize = 8;

/// The bytes of `tag` at `size`, which is at least [`LEAST`]. Another size gives other bytes throughout.
#[must_use]
pub fn bytes(tag: u64, size: usize) -> Vec<u8> {
    let mut out = tag.to_be_bytes().to_vec();
    let mut word =
        tag ^ u64::try_from(size).unwrap_or(u64::MAX).rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15;
    while out.len() < size {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.truncate(size.max(LEAST));
    out
}

/// The tag of `found`, or `None` if these bytes were never written.
#[must_use]
pub fn tag_of(found: &[u8]) -> Option<u64> {
    let tag = u64::from_be_bytes(*found.first_chunk::<8>()?);
    (bytes(tag, found.len()) == found).then_some(tag)
}

/// A 32-byte key or hash of `tag`.
#[must_use]
pub fn digest(tag: u64) -> [u8; 32] {
    let mut out = [0; 32];
    out.iter_mut().zip(bytes(tag, 32)).for_each(|(to, from)| *to = from);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_value_has_a_tag() {
        for size in [8, 9, 32, 5000] {
            let value = bytes(7, size);
            assert_eq!((value.len(), tag_of(&value)), (size, Some(7)));
        }
        let mut value = bytes(7, 5000);
        assert_eq!(tag_of(&value[..4999]), None);
        value[4000] ^= 1;
        assert_eq!(tag_of(&value), None);
        assert_eq!(tag_of(&[1; 7]), None);
    }
}
