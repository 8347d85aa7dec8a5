//! The key pair that an operator's backups are encrypted to, in the text forms of `age` (C2SP, age-encryption.org/v1),
//! so that other programs that know this format open them, too.
//!
//! Must hold: one spelling; the secret is in a file that only its owner reads.

use super::file::{self, PemFileError};
use bech32::{FromBase32 as _, ToBase32 as _, Variant};
use sekisho_evidence::operator::BackupKey;
use std::fmt;
use std::path::Path;
use x25519_dalek::{PublicKey, StaticSecret};

const RECIPIENT: &str = "age";
const SECRET: &str = "age-secret-key-";

/// Why a backup key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupKeyError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// It holds something else.
    #[error("not an age X25519 key")]
    Form,
}

/// The secret half. Does not print itself.
#[derive(Clone)]
pub struct BackupIdentity(StaticSecret);

impl fmt::Debug for BackupIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackupIdentity({})", recipient(&self.public()))
    }
}

fn encode(prefix: &str, bytes: &[u8; 32]) -> String {
    // Only an empty or mixed-case prefix is refused.
    bech32::encode(prefix, bytes.to_base32(), Variant::Bech32).unwrap_or_default()
}

fn decode(prefix: &str, text: &str) -> Option<[u8; 32]> {
    let (found, data, variant) = bech32::decode(text).ok()?;
    let bytes = Vec::from_base32(&data).ok()?;
    let ours = found == prefix && variant == Variant::Bech32;
    <[u8; 32]>::try_from(bytes).ok().filter(|_| ours)
}

/// A backup key as an `age` recipient.
#[must_use]
pub fn recipient(key: &BackupKey) -> String {
    encode(RECIPIENT, &key.0)
}

impl BackupIdentity {
    /// The key with this secret. Randomness enters from outside.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(StaticSecret::from(seed))
    }

    /// What others encrypt to.
    #[must_use]
    pub fn public(&self) -> BackupKey {
        BackupKey(PublicKey::from(&self.0).to_bytes())
    }

    /// In the one text form of `age`.
    pub(crate) fn text(&self) -> String {
        encode(SECRET, &self.0.to_bytes()).to_uppercase()
    }

    /// Reads an identity file; lines that begin with `#` are comments.
    ///
    /// # Errors
    /// [`BackupKeyError`].
    pub fn read(path: &Path) -> Result<Self, BackupKeyError> {
        let text = file::read(path)?;
        let mut lines =
            text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        let secret = lines.next().and_then(|line| decode(SECRET, &line.to_lowercase()));
        match (secret, lines.next()) {
            (Some(secret), None) => Ok(Self::from_seed(secret)),
            (Some(_) | None, _) => Err(BackupKeyError::Form),
        }
    }

    /// Writes an identity file with mode 0600.
    ///
    /// # Errors
    /// [`BackupKeyError::File`].
    pub fn write(&self, path: &Path) -> Result<(), BackupKeyError> {
        let text = format!("# public key: {}\n{}\n", recipient(&self.public()), self.text());
        Ok(file::write(path, &text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key pair of the `age` tool's own manual page of file formats.
    const KNOWN: (&str, &str) = (
        "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
        "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
    );

    #[test]
    fn a_key_survives_its_file_and_has_the_forms_of_age() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("backup.key");
        let known = BackupIdentity::from_seed([0x42; 32]);
        known.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(KNOWN.0) && text.contains(KNOWN.1), "{text}");
        assert_eq!(BackupIdentity::read(&path).unwrap().public(), known.public());
        assert!(!format!("{known:?}").contains("SECRET"));
        for bad in ["", "# nothing\n", KNOWN.1, &KNOWN.0[..60], &[KNOWN.0, KNOWN.0].join("\n")] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(BackupIdentity::read(&path), Err(BackupKeyError::Form)), "{bad}");
        }
    }
}
