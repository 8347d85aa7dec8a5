//! Who logged in, as a command says it.

use sekisho_evidence::voucher::Voucher;
use sekisho_types::id::{Digest, Signature};
use sekisho_types::principal::KeyRecord;
use serde::{Deserialize, Serialize};

/// Who logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The binding.
    pub record: KeyRecord,
    /// How the person's operator vouches for it.
    pub voucher: Voucher,
    /// SHA-256 of the key in the certificate that goes with it.
    pub certificate_key: Digest,
    /// By the key that is registered, under that: it is the person's own.
    pub possession: Signature,
}
