//! The newest note of k operators, kept in the member's own store: what `sekisho-controller save` shows the audit log of a
//! stopped member with.
//!
//! Must hold: it is never further behind than [`KEEP_EVERY`] of running; keeping it delays nobody.

use sekisho_api::core::Core;
use sekisho_evidence::canonical::{decode, encode};
use sekisho_store::Store;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Name of the note.
const NOTE: &str = "covered";

/// How often it is kept: each time costs one write that waits for the disk.
pub const KEEP_EVERY: Duration = Duration::from_secs(5);

/// A note as kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// Records under it.
    pub size: u64,
    /// The signed note.
    pub bytes: Vec<u8>,
}

/// What an earlier run kept.
#[must_use]
pub fn kept(store: &Store) -> Option<Covered> {
    let bytes = match store.notes().get(NOTE) {
        Ok(bytes) => bytes?,
        Err(error) => {
            tracing::warn!(%error, "the note of the operators cannot be read");
            return None;
        }
    };
    decode(&bytes).inspect_err(|error| tracing::warn!(%error, "the kept note is not readable")).ok()
}

/// Keeps the newest note, until it is dropped.
pub async fn keep(core: Arc<Core>, store: Arc<Store>) {
    let mut held = 0;
    loop {
        tokio::time::sleep(KEEP_EVERY).await;
        let Some((size, bytes)) = core.newest_note().filter(|(size, _)| *size > held) else {
            continue;
        };
        let store = Arc::clone(&store);
        let put = tokio::task::spawn_blocking(move || {
            let bytes = encode(&Covered { size, bytes }).map_err(|error| error.to_string())?;
            store.notes().put(NOTE, &bytes).map_err(|error| error.to_string())
        });
        match put.await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(()) => held = size,
            Err(error) => tracing::warn!(%error, "the note of the operators cannot be kept"),
        }
    }
}
