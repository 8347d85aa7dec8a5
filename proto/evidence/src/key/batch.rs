//! Many signatures checked by one equation: a third to a quarter of the work of checking each.
//!
//! Must hold (R4): a batch is good if and only if each of its signatures is good alone; see ADR 9. It does not say
//! which one is bad: whoever needs to know checks each.
//!
//! The equation weighs the signatures with random numbers, or two bad ones could make up for each other. This crate
//! draws no randomness, so the weights are a hash of the whole batch: whoever changes any byte of it to fit the weights
//! gets other weights. To find a bad batch that passes takes 2^128 tries, as does forging a signature.

use super::{BadSignature, Purpose, bytes_of, signature_of, statement};
use ed25519_zebra::batch::Verifier;
use rand_core::{CryptoRng, Error, RngCore, impls};
use sekisho_types::id::{PublicKey, Signature};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Signatures to check together.
#[derive(Default)]
pub struct Batch {
    verifier: Verifier,
    /// Over everything in the verifier.
    transcript: Sha256,
    count: usize,
    /// Something in it needs no equation to be refused.
    refused: bool,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("signatures", &self.count).finish_non_exhaustive()
    }
}

impl Batch {
    /// Adds a signature, as [`super::verify`] would check it.
    pub fn add(
        &mut self,
        key: &PublicKey,
        purpose: Purpose,
        message: &[u8],
        signature: &Signature,
    ) {
        self.count = self.count.saturating_add(1);
        let (Ok(bytes), Ok(parsed)) = (bytes_of(key), signature_of(&signature.0)) else {
            self.refused = true;
            return;
        };
        let message = statement(purpose, message);
        self.transcript.update(key.0);
        self.transcript.update(signature.0);
        // Of one length, so that no two batches are the same string of bytes.
        self.transcript.update(Sha256::digest(&message));
        self.verifier.queue((bytes, parsed, message.as_slice()));
    }

    /// Signatures in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Checks that every signature in it is good.
    ///
    /// # Errors
    /// [`BadSignature`] if one or more are not.
    pub fn verify(self) -> Result<(), BadSignature> {
        if self.refused {
            return Err(BadSignature);
        }
        let weights = Weights::new(self.transcript.finalize().into());
        self.verifier.verify(weights).map_err(|_one_or_more| BadSignature)
    }
}

/// An endless string of bytes out of a seed: SHA-256 of seed and counter, block after block.
struct Weights {
    seed: [u8; 32],
    counter: u64,
    block: [u8; 32],
    /// Bytes of the block that were handed out.
    used: usize,
}

impl Weights {
    fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0, block: [0; 32], used: 32 }
    }

    fn next(&mut self) -> u8 {
        if self.used >= self.block.len() {
            let hash = Sha256::new().chain_update(self.seed);
            self.block = hash.chain_update(self.counter.to_be_bytes()).finalize().into();
            (self.counter, self.used) = (self.counter.wrapping_add(1), 0);
        }
        let byte = self.block.get(self.used).copied().unwrap_or_default();
        self.used = self.used.saturating_add(1);
        byte
    }
}

impl RngCore for Weights {
    fn next_u32(&mut self) -> u32 {
        impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, into: &mut [u8]) {
        into.iter_mut().for_each(|byte| *byte = self.next());
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(into);
        Ok(())
    }
}

/// As good as SHA-256 for whoever does not know the batch, and whoever knows it cannot change it any more.
impl CryptoRng for Weights {}

#[cfg(test)]
mod tests;
