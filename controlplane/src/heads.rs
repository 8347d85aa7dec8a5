//! The last signed head, kept in the member's own store; and what else of it the signer asks for.

use sekisho_controllers::checkpoint::{HeadStore, HeadStoreError};
use sekisho_evidence::canonical::{decode, encode};
use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_evidence::fork::KeptFork;
use sekisho_store::Store;
use sekisho_types::id::{Digest, MemberId, PublicKey};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Name of the note.
const NOTE: &str = "signed-head";

/// The store of one member.
#[derive(Debug)]
pub struct Heads(pub Arc<Store>);

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> HeadStoreError {
    HeadStoreError(Arc::new(error))
}

impl HeadStore for Heads {
    fn load(&self) -> Result<Option<Checkpoint>, HeadStoreError> {
        let Some(bytes) = self.0.notes().get(NOTE).map_err(failed)? else { return Ok(None) };
        decode(&bytes).map(Some).map_err(failed)
    }

    fn save(&self, head: &Checkpoint) -> Result<(), HeadStoreError> {
        let bytes = encode(head).map_err(failed)?;
        self.0.notes().put(NOTE, &bytes).map_err(failed)
    }

    fn hash(&self, index: u64) -> Result<Option<Digest>, HeadStoreError> {
        Ok(self.0.audit().hash(index).map_err(failed)?.map(Digest))
    }

    fn accused(&self) -> Result<BTreeSet<(MemberId, PublicKey)>, HeadStoreError> {
        let kept = self.0.evidence().all().map_err(failed)?;
        let accused = |bytes: &Vec<u8>| {
            let kept: KeptFork = decode(bytes).map_err(failed)?;
            Ok((kept.accused, kept.key))
        };
        kept.iter().map(accused).collect()
    }
}
