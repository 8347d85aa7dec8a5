//! Ed25519 signing keys in files: PKCS#8 PEM (RFC 8410), readable by their owner only.

use super::file::{self, PemFileError};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use sekisho_evidence::key::SigningKey;
use std::path::Path;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// It holds something else.
    #[error("not an Ed25519 key in PKCS#8 PEM")]
    Form,
}

/// Reads a key.
///
/// # Errors
/// [`KeyFileError`].
pub fn read(path: &Path) -> Result<SigningKey, KeyFileError> {
    let pem = file::read(path)?;
    let key =
        ed25519_dalek::SigningKey::from_pkcs8_pem(&pem).map_err(|_form| KeyFileError::Form)?;
    Ok(SigningKey::from_seed(&key.to_bytes()))
}

/// Writes a key with mode 0600.
///
/// # Errors
/// [`KeyFileError`].
pub fn write(path: &Path, key: &SigningKey) -> Result<(), KeyFileError> {
    let key = ed25519_dalek::SigningKey::from_bytes(&key.seed());
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_form| KeyFileError::Form)?;
    Ok(file::write(path, &pem)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_survives_its_file_which_only_its_owner_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sign.key");
        let key = SigningKey::from_seed(&[7; 32]);
        write(&path, &key).unwrap();
        assert_eq!(read(&path).unwrap().public(), key.public());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
            .unwrap();
        assert!(matches!(read(&path), Err(KeyFileError::Form)));
        assert!(matches!(read(&dir.path().join("none")), Err(KeyFileError::File(_))));
    }
}
