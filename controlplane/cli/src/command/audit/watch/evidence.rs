//! Evidence that `audit watch` met, beside the head file.
//!
//! Must hold: what is there is never written over. The next detection, or a member that goes on to make up notes, must not put
//! something worthless in the place of what convicts somebody.

use crate::failure::{Failure, of_file};
use sekisho_transport::part;
use sekisho_types::error_code::ErrorCode;
use std::path::{Path, PathBuf};

/// Pieces that are kept beside one head: more than there are members to convict, few enough to look at each.
const PIECES_MAX: u32 = 64;

/// The names that evidence takes, in order: `HEAD.fork`, `HEAD.fork.1` and so on.
fn names(head: &Path) -> impl Iterator<Item = PathBuf> {
    (0..PIECES_MAX).map(move |number| {
        let mut path = head.as_os_str().to_owned();
        path.push(".fork");
        if number > 0 {
            path.push(format!(".{number}"));
        }
        PathBuf::from(path)
    })
}

/// Keeps a piece under the first free name, unless it is there already. Returns where it is.
pub(super) fn keep(head: &Path, bytes: &[u8]) -> Result<PathBuf, Failure> {
    for path in names(head) {
        match std::fs::read(&path) {
            Ok(known) if known == bytes => return Ok(path),
            Ok(_other) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                part::replace(&path, bytes)?;
                return Ok(path);
            }
            Err(error) => return Err(of_file(&path, &error)),
        }
    }
    let why = format!(
        "{PIECES_MAX} pieces of evidence are kept beside {}; the newest found no room: take them elsewhere",
        head.display()
    );
    Err(Failure::new(ErrorCode::AuditFork, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let head = dir.path().join("head.note");
        let at = |name: &str| dir.path().join(name);
        assert_eq!(keep(&head, b"first"), Ok(at("head.note.fork")));
        assert_eq!(keep(&head, b"second"), Ok(at("head.note.fork.1")));
        assert_eq!(keep(&head, b"first"), Ok(at("head.note.fork")), "it is there");
        assert_eq!(std::fs::read(at("head.note.fork")).unwrap(), b"first");
        assert_eq!(std::fs::read(at("head.note.fork.1")).unwrap(), b"second");
        for n in 2..PIECES_MAX {
            keep(&head, &n.to_be_bytes()).unwrap();
        }
        assert_eq!(keep(&head, b"more").unwrap_err().code, ErrorCode::AuditFork);
        assert_eq!(std::fs::read(at("head.note.fork")).unwrap(), b"first");
    }
}
