//! Sealing backups, in the format of `age` (C2SP, age-encryption.org/v1): many recipients, chunks of 64 KiB that are
//! authenticated each, the last one marked. Programs that know this format open the files, too.
//!
//! Must hold: each recipient opens it alone; whoever is none reads nothing; a changed, missing or added byte ends the
//! reading with an error, and what was read before it is to be thrown away; memory does not grow with the file.
//! Does not know: what is inside, and who the recipients should be.

use crate::pki::backup::{BackupIdentity, recipient};
use age::stream::{StreamReader, StreamWriter};
use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, EncryptError, Encryptor};
use sekisho_evidence::operator::BackupKey;
use std::fmt;
use std::io::{self, Read, Write};

/// Why nothing is sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Nobody could open it.
    #[error("there is no recipient")]
    NoRecipient,
    /// Not a point of the curve: a key that nobody holds.
    #[error("a recipient is no X25519 key")]
    Recipient,
    /// Another file, or a damaged beginning.
    #[error("not a sealed file, or its header is damaged")]
    Form,
    /// Sealed to others.
    #[error("the file is not sealed to this key")]
    NotRecipient,
    /// The bytes cannot be read or written.
    #[error("cannot read or write")]
    Io(#[from] io::Error),
}

/// Seals what is written to it. Without [`Sealed::finish`] the file cannot be opened to its end.
pub struct Sealed<W: Write>(StreamWriter<W>);

impl<W: Write> fmt::Debug for Sealed<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

/// Begins a sealed file in `out`. The file key is drawn here, and with it all randomness.
///
/// # Errors
/// [`SealError`].
pub fn seal<W: Write>(recipients: &[BackupKey], out: W) -> Result<Sealed<W>, SealError> {
    let parse = |key| recipient(key).parse::<Recipient>().map_err(|_why| SealError::Recipient);
    let recipients = recipients.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let borrowed = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let sealer = Encryptor::with_recipients(borrowed).map_err(|error| match error {
        EncryptError::Io(error) => SealError::Io(error),
        EncryptError::MissingRecipients => SealError::NoRecipient,
        EncryptError::EncryptedIdentities(_)
        | EncryptError::IncompatibleRecipients { .. }
        | EncryptError::InvalidRecipientLabels(_)
        | EncryptError::MixedRecipientAndPassphrase => SealError::Recipient,
    })?;
    Ok(Sealed(sealer.wrap_output(out)?))
}

impl<W: Write> Sealed<W> {
    /// Marks the end.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for Sealed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Reads what was sealed. An error means that nothing of it counts.
pub struct Opened<R: Read>(StreamReader<R>);

impl<R: Read> fmt::Debug for Opened<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened")
    }
}

/// Opens a sealed file.
///
/// # Errors
/// [`SealError`].
pub fn open<R: Read>(identity: &BackupIdentity, from: R) -> Result<Opened<R>, SealError> {
    let refused = |error: DecryptError| match error {
        DecryptError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            SealError::Io(error)
        }
        DecryptError::NoMatchingKeys | DecryptError::KeyDecryptionFailed => SealError::NotRecipient,
        DecryptError::Io(_)
        | DecryptError::DecryptionFailed
        | DecryptError::ExcessiveWork { .. }
        | DecryptError::InvalidHeader
        | DecryptError::InvalidMac
        | DecryptError::UnknownFormat => SealError::Form,
    };
    let identity: Identity = identity.text().parse().map_err(|_why| SealError::NotRecipient)?;
    let sealed = Decryptor::new(from).map_err(refused)?;
    let stream = sealed.decrypt(std::iter::once(&identity as &dyn age::Identity));
    Ok(Opened(stream.map_err(refused)?))
}

impl<R: Read> Read for Opened<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(n: u8) -> BackupIdentity {
        BackupIdentity::from_seed([n; 32])
    }

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let recipients = [identity(1).public(), identity(2).public()];
        let mut writer = seal(&recipients, Vec::new()).unwrap();
        writer.write_all(plain).unwrap();
        writer.finish().unwrap()
    }

    fn read(n: u8, bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut plain = Vec::new();
        open(&identity(n), bytes)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn every_recipient_opens_it_alone_and_nobody_else() {
        // Of several chunks, the last one not full.
        let plain: Vec<u8> = (0..200_000u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let bytes = sealed(&plain);
        assert_eq!(read(1, &bytes).unwrap(), plain);
        assert_eq!(read(2, &bytes).unwrap(), plain);
        assert!(matches!(read(3, &bytes), Err(SealError::NotRecipient)));
        assert!(!bytes.windows(16).any(|window| window == &plain[..16]));
        assert!(matches!(seal(&[], Vec::new()), Err(SealError::NoRecipient)));
    }

    #[test]
    fn every_changed_missing_or_added_byte_is_noticed() {
        let bytes = sealed(b"the whole federation");
        assert_eq!(read(1, &bytes).unwrap(), b"the whole federation");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            read(1, &changed).unwrap_err();
            read(1, &bytes[..at]).unwrap_err();
        }
        read(1, &[&bytes[..], b"x"].concat()).unwrap_err();
        // A whole chunk is missing at the end.
        let long = sealed(&vec![7; 3 * 64 * 1024]);
        read(1, &long[..long.len() - (64 * 1024 + 16)]).unwrap_err();
        assert!(matches!(read(1, b"something else"), Err(SealError::Form)));
    }
}
