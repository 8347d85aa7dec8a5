//! The two files by which a pipeline logs in: its request, and what the operator's administrator made of it.
//!
//! Must hold: neither holds a secret; whoever changes one on its way gains nothing, because each is checked against keys that
//! did not travel with it.

use crate::failure::{Failure, of_file};
use sekisho_transport::credential::certificate_key;
use sekisho_transport::pki::file;
use sekisho_types::id::{Digest, OperatorId, PublicKey, Signature};
use sekisho_types::principal::KeyRecord;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What somebody asks for. Who that is, in which role and for how long, the administrator says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningRequest {
    /// Whose administrator is asked.
    pub operator: OperatorId,
    /// PKCS#10, PEM: only its key is used.
    pub csr: String,
    /// Will sign commands.
    pub public_key: PublicKey,
    /// By that key, under the digest of the certificate's.
    pub possession: Signature,
}

/// What the administrator gives back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedRequest {
    /// Who, in which role, until when.
    pub record: KeyRecord,
    /// By the operator's issuer key, under the record.
    pub issuer: Signature,
    /// Leaf, issuer and root, PEM.
    pub certificate_chain: String,
}

fn write(path: &Path, value: &impl Serialize) -> Result<usize, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| of_file(path, &error))?;
    file::write(path, &text).map_err(|error| Failure::invalid(error.to_string()))?;
    Ok(text.len())
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = file::read(path).map_err(|error| Failure::invalid(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| of_file(path, &error))
}

impl SigningRequest {
    /// Writes the file; its size in bytes.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub fn write(&self, path: &Path) -> Result<usize, Failure> {
        write(path, self)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        read(path)
    }
}

impl SignedRequest {
    /// Writes the file; its size in bytes.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub fn write(&self, path: &Path) -> Result<usize, Failure> {
        write(path, self)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        read(path)
    }
}

/// SHA-256 of the key in the first certificate of a chain.
pub(super) fn leaf_key(path: &Path, chain: &str) -> Result<Digest, Failure> {
    certificate_key(chain).map_err(|error| of_file(path, &error))
}
