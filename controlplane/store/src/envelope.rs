//! The envelope around every stored value: `version (1) ‖ CRC-32C (4, little endian) ‖ bytes`.
//!
//! Must hold: the checksum covers table, key and bytes, so that a flipped bit and a row that surfaces under another
//! key are both found at read (R7). It guards against faults, not against an attacker: audit has its Merkle tree.

use crate::error::{StoreError, StoreResult};
use crate::limit::FORMAT_VERSION;

const HEAD: usize = 5;

fn checksum(table: &str, key: &[u8], bytes: &[u8]) -> u32 {
    let sum = crc32c::crc32c(table.as_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(sum, key), bytes)
}

/// Wraps `bytes` for storage under `key` of `table`.
pub(crate) fn seal(table: &str, key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + bytes.len());
    out.push(FORMAT_VERSION);
    out.extend_from_slice(&checksum(table, key, bytes).to_le_bytes());
    out.extend_from_slice(bytes);
    out
}

/// The bytes inside `stored`, or `Damaged`.
pub(crate) fn open<'a>(table: &str, key: &[u8], stored: &'a [u8]) -> StoreResult<&'a [u8]> {
    let damaged = |what: &str| StoreError::damaged(format!("{table} row {}: {what}", hex(key)));
    let (&version, rest) = stored.split_first().ok_or_else(|| damaged("empty value"))?;
    if version != FORMAT_VERSION {
        return Err(damaged(&format!(
            "format version {version}, this program reads {FORMAT_VERSION}"
        )));
    }
    let (sum, bytes) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("value cut short"))?;
    if u32::from_le_bytes(*sum) != checksum(table, key, bytes) {
        return Err(damaged("checksum mismatch"));
    }
    Ok(bytes)
}

/// A key for people.
pub(crate) fn hex(key: &[u8]) -> String {
    use std::fmt::Write as _;
    key.iter().fold(String::with_capacity(key.len() * 2), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// A `u64` from the first eight bytes of `bytes` (big endian), or `Damaged`.
pub(crate) fn be_u64(table: &str, bytes: &[u8]) -> StoreResult<u64> {
    let eight = bytes
        .first_chunk::<8>()
        .ok_or_else(|| StoreError::damaged(format!("{table}: short number")))?;
    Ok(u64::from_be_bytes(*eight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_flipped_bit_and_any_other_key_is_found(
            key in proptest::collection::vec(any::<u8>(), 1..12),
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let sealed = seal("t", &key, &bytes);
            prop_assert_eq!(open("t", &key, &sealed).unwrap(), &bytes[..]);
            let mut flipped = sealed.clone();
            flipped[at.index(sealed.len())] ^= 1 << bit;
            let flipped = matches!(open("t", &key, &flipped), Err(StoreError::Damaged { .. }));
            prop_assert!(flipped);
            let mut other = key.clone();
            other[0] ^= 1;
            prop_assert!(open("t", &other, &sealed).is_err());
            prop_assert!(open("u", &key, &sealed).is_err());
        }
    }
}
