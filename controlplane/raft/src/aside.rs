//! Work on a member's store beside consensus, where it holds up no async worker.
//!
//! Not for what the simulation runs: that goes through [`Platform::blocking`](crate::platform::Platform::blocking).

use sekisho_store::{Store, StoreError, StoreResult};
use std::sync::Arc;

/// Does `work` on a thread that may wait for the disk.
///
/// # Errors
/// What `work` says; [`StoreError::Closed`] if it was not run to its end.
pub(crate) async fn blocking<T: Send + 'static>(
    store: &Arc<Store>,
    work: impl FnOnce(&Store) -> StoreResult<T> + Send + 'static,
) -> StoreResult<T> {
    let store = Arc::clone(store);
    let done = tokio::task::spawn_blocking(move || work(&store)).await;
    done.map_err(|_cancelled| StoreError::Closed)?
}
