//! A tar file (POSIX ustar): plain files with fixed order, time and owner, so that the same facts give the same bytes.

use crate::failure::Failure;
use sekisho_types::error_code::ErrorCode;

/// Unit of the format.
const BLOCK: usize = 512;
/// Longest name that needs no second header.
const NAME_MAX: usize = 99;
/// Largest size that eleven octal digits hold.
const SIZE_MAX: usize = 0o777_7777_7777;

/// Files on their way.
#[derive(Debug, Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    /// Adds a file.
    ///
    /// # Errors
    /// `INTERNAL` for a name or size that the format does not hold.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        if name.len() > NAME_MAX || bytes.len() > SIZE_MAX {
            return Err(Failure::new(
                ErrorCode::Internal,
                format!("{name}: no such file in a tar"),
            ));
        }
        let mut header = vec![0u8; BLOCK];
        let size = format!("{:011o}\0", bytes.len());
        // Where each field begins, by the standard. Mode 0600, owner and time 0.
        let fields: [(usize, &[u8]); 10] = [
            (0, name.as_bytes()),
            (100, b"0000600\0"),
            (108, b"0000000\0"),
            (116, b"0000000\0"),
            (124, size.as_bytes()),
            (136, b"00000000000\0"),
            // The sum is made with spaces in its own place.
            (148, b"        "),
            (156, b"0"),
            (257, b"ustar\0"),
            (263, b"00"),
        ];
        for (at, field) in fields {
            put(&mut header, at, field);
        }
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        put(&mut header, 148, format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(header);
        self.0.extend(bytes);
        self.pad();
        Ok(())
    }

    /// The whole file.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.extend([0u8; 2 * BLOCK]);
        self.0
    }

    fn pad(&mut self) {
        let whole = self.0.len().next_multiple_of(BLOCK);
        self.0.resize(whole, 0);
    }
}

fn put(header: &mut [u8], at: usize, field: &[u8]) {
    for (to, from) in header.iter_mut().skip(at).zip(field) {
        *to = *from;
    }
}
