//! Signatures under commands: what makes a widening verb the caller's own (A3).
//!
//! Must hold: a signature binds the command's bytes, the cluster, its incarnation and the request id, so it counts
//! for one intention in one federation and cannot be replayed as another.

use crate::key::{BadSignature, Batch, Purpose, SigningKey, verify};
use sekisho_types::id::{ClusterId, Digest, PublicKey, RequestId, Signature};
use sekisho_types::principal::Principal;
use sekisho_types::revision::Incarnation;
use serde::{Deserialize, Serialize};

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intention {
    /// Which federation.
    pub cluster: ClusterId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// The client's request id.
    pub request: RequestId,
    /// SHA-256 of the command's canonical bytes; of a batch, see [`crate::batch`].
    pub command: Digest,
}

impl Intention {
    fn bytes(&self) -> Vec<u8> {
        let incarnation = self.incarnation.0.to_be_bytes();
        [&self.cluster.0[..], &incarnation, &self.request.0, &self.command.0].concat()
    }

    /// Signs it.
    #[must_use]
    pub fn sign(&self, principal: Principal, key: &SigningKey) -> CommandSignature {
        let signature = key.sign(Purpose::Command, &self.bytes());
        CommandSignature { principal, key: key.public(), signature }
    }
}

/// One principal's signature under an intention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandSignature {
    /// Who signed.
    pub principal: Principal,
    /// With which key; must be registered for the principal.
    pub key: PublicKey,
    /// The signature.
    pub signature: Signature,
}

impl CommandSignature {
    /// Checks the signature alone; whether the key is registered is the state's to say.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn check(&self, intention: &Intention) -> Result<(), BadSignature> {
        verify(&self.key, Purpose::Command, &intention.bytes(), &self.signature)
    }

    /// Adds it to signatures that are checked together, as [`Self::check`] would check it.
    pub fn check_with(&self, batch: &mut Batch, intention: &Intention) {
        batch.add(&self.key, Purpose::Command, &intention.bytes(), &self.signature);
    }
}
