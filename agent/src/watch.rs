//! The watchdog as a program: looks, kills, says so, for ever.

use crate::failure::Failure;
use sekisho_agent_runtime::guard::Guard;
use sekisho_agent_runtime::limit::WATCH_EVERY;
use sekisho_agent_runtime::watchdog::Watchdog;
use sekisho_types::error_code::ErrorCode;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::path::Path;

/// Watches the placements in the runtime directory `root` until it is killed.
///
/// # Errors
/// `ALREADY_EXISTS` while another one does; what the host says.
pub fn watch(root: &Path) -> Result<Infallible, Failure> {
    let _watch = Guard::Watchdog.take(root).map_err(|error| {
        if error.kind() != ErrorKind::WouldBlock {
            return Failure::host("cannot take the runtime directory", &error);
        }
        let cause = format!("another watchdog watches {}", root.display());
        Failure::new(ErrorCode::AlreadyExists, cause).remedy("One is enough.")
    })?;
    tracing::info!(root = %root.display(), "watching");
    let mut watchdog = Watchdog::new(root);
    loop {
        let pause = match watchdog.look() {
            Ok(look) => {
                for placement in look.killed {
                    tracing::warn!(%placement, "killed: it had outlived its lease");
                }
                look.pause
            }
            Err(error) => {
                tracing::error!(%error, "cannot tell what has outlived its lease");
                WATCH_EVERY
            }
        };
        std::thread::sleep(pause);
    }
}
