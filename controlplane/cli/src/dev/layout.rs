//! Where the files of a development federation lie.
//!
//! ```text
//! DIR/sekisho-dev            mark: only a directory with it is ever emptied
//! DIR/operators/OP/...       one directory of keys for each operator
//! DIR/genesis.bin            signed by all three
//! DIR/contexts.toml          one context for each administrator, one for a tenant's person
//! DIR/controllers/N/         controller.toml, data/
//! DIR/agents/SITE/NODE/      agent.toml, data/, devices/, join-token until it joined
//! DIR/logs/*.log             output of every program
//! DIR/pids.toml              what runs
//! DIR/ways.toml              imitated ways between sites and landmarks, for `sekisho dev relay`
//! DIR/job.yaml               an example
//! ```

use crate::failure::{Failure, of_file};
use crate::pki::private_dir;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{MemberId, NodeId, OperatorId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const MARK: &str = "sekisho-dev";

/// The directory.
#[derive(Debug)]
pub(super) struct Layout(PathBuf);

/// Content of `pids.toml`: process ids by name.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Pids {
    #[serde(default)]
    process: BTreeMap<String, i32>,
}

impl Layout {
    /// Takes a directory, made if it is not there. Absolute, because other programs read the paths.
    ///
    /// # Errors
    /// `ALREADY_EXISTS` for a directory that holds something else.
    pub(super) fn new(dir: &Path) -> Result<Self, Failure> {
        private_dir(dir)?;
        let dir = dir.canonicalize().map_err(|error| of_file(dir, &error))?;
        let mark = dir.join(MARK);
        if !mark.exists() {
            let mut entries = std::fs::read_dir(&dir).map_err(|error| of_file(&dir, &error))?;
            if entries.next().is_some() {
                let why = format!("{} holds something else", dir.display());
                return Err(Failure::new(ErrorCode::AlreadyExists, why)
                    .remedy("choose an empty directory: --dir"));
            }
            let text = "made by `sekisho dev`; `sekisho dev --fresh` empties this directory\n";
            std::fs::write(&mark, text).map_err(|error| of_file(&mark, &error))?;
        }
        Ok(Self(dir))
    }

    /// Takes a directory that an earlier run made.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub(super) fn existing(dir: &Path) -> Result<Self, Failure> {
        let missing = || {
            Failure::new(
                ErrorCode::NotFound,
                format!("{}: no development federation", dir.display()),
            )
        };
        let dir = dir.canonicalize().map_err(|_io| missing())?;
        if dir.join(MARK).exists() { Ok(Self(dir)) } else { Err(missing()) }
    }

    /// Deletes everything but the mark.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for what cannot be deleted.
    pub(super) fn clear(&self) -> Result<(), Failure> {
        for entry in std::fs::read_dir(&self.0).map_err(|error| of_file(&self.0, &error))? {
            let entry = entry.map_err(|error| of_file(&self.0, &error))?;
            if entry.file_name() == MARK {
                continue;
            }
            let path = entry.path();
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let gone =
                if is_dir { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            gone.map_err(|error| of_file(&path, &error))?;
        }
        Ok(())
    }

    pub(super) fn dir(&self) -> &Path {
        &self.0
    }
    pub(super) fn genesis(&self) -> PathBuf {
        self.0.join("genesis.bin")
    }
    pub(super) fn contexts(&self) -> PathBuf {
        self.0.join("contexts.toml")
    }
    pub(super) fn example(&self) -> PathBuf {
        self.0.join("job.yaml")
    }
    pub(super) fn operator(&self, operator: &OperatorId) -> PathBuf {
        self.0.join("operators").join(operator.as_str())
    }
    /// Key of a landmark, among those of its operator.
    pub(super) fn landmark_key(&self, landmark: &LandmarkId) -> PathBuf {
        let file = format!("{}.key", landmark.name);
        self.operator(&landmark.operator).join("landmarks").join(file)
    }
    pub(super) fn ways(&self) -> PathBuf {
        self.0.join("ways.toml")
    }
    pub(super) fn controller(&self, member: MemberId) -> PathBuf {
        self.0.join("controllers").join(member.to_string())
    }
    pub(super) fn agent(&self, node: &NodeId) -> PathBuf {
        self.0.join("agents").join(node.site.as_str()).join(node.name.as_str())
    }
    pub(super) fn token(&self, node: &NodeId) -> PathBuf {
        self.agent(node).join("join-token")
    }
    pub(super) fn log(&self, process: &str) -> PathBuf {
        self.0.join("logs").join(format!("{process}.log"))
    }
    pub(super) fn pids(&self) -> PathBuf {
        self.0.join("pids.toml")
    }

    /// Writes down what runs.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub(super) fn save_pids(&self, process: &BTreeMap<String, i32>) -> Result<(), Failure> {
        let path = self.pids();
        let text =
            toml::to_string(&Pids { process: process.clone() }).map_err(|e| of_file(&path, &e))?;
        std::fs::write(&path, text).map_err(|error| of_file(&path, &error))
    }

    /// What ran when it was last written down.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a damaged file.
    pub(super) fn load_pids(&self) -> Result<BTreeMap<String, i32>, Failure> {
        let path = self.pids();
        if !path.exists() {
            return Ok(BTreeMap::new());
        }
        let text = std::fs::read_to_string(&path).map_err(|error| of_file(&path, &error))?;
        let pids: Pids = toml::from_str(&text).map_err(|error| of_file(&path, &error))?;
        Ok(pids.process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_directory_of_ours_is_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("thesis.txt"), "x").unwrap();
        assert_eq!(Layout::new(&other).unwrap_err().code, ErrorCode::AlreadyExists);
        assert_eq!(Layout::existing(&other).unwrap_err().code, ErrorCode::NotFound);
        let own = Layout::new(&dir.path().join("own")).unwrap();
        own.save_pids(&[("controller-1".to_owned(), 42)].into()).unwrap();
        assert_eq!(own.load_pids().unwrap()["controller-1"], 42);
        own.clear().unwrap();
        assert!(own.load_pids().unwrap().is_empty());
        Layout::existing(own.dir()).unwrap();
    }
}
