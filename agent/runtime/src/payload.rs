//! A job's payload: the command, its environment and its working directory, as the submitter signed them.
//!
//! The bytes are those whose digest the signature covers, so there is one encoding per payload and any other is
//! refused. What the command does is the tenant's business.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limit;

/// Prefix of the variables that only Sekisho sets.
pub const RESERVED_PREFIX: &str = "SEKISHO_";
/// Variables that say which devices a job sees; a job that set them could reach those of another.
pub const RESERVED_NAMES: [&str; 3] =
    ["CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES"];

/// Why a payload was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The bytes are longer than any sound payload.
    #[error("payload is longer than {max} bytes", max = limit::PAYLOAD_BYTES_MAX)]
    TooLong,
    /// The bytes are no payload, have a tail, or encode one in a second way.
    #[error("payload is not in its one encoding")]
    Encoding,
    /// There is no program to run, or too much of it.
    #[error("command must have 1 to {args} arguments of {bytes} bytes together, without NUL", args = limit::COMMAND_ARGS_MAX, bytes = limit::COMMAND_BYTES_MAX)]
    Command,
    /// Too many or too long variables.
    #[error("environment must have at most {vars} variables of {bytes} bytes together", vars = limit::ENV_VARS_MAX, bytes = limit::ENV_BYTES_MAX)]
    Environment,
    /// A name that no shell could set, or a NUL in the value.
    #[error("variable {0:?} is malformed")]
    Variable(String),
    /// A name that belongs to Sekisho or chooses devices.
    #[error("variable {0} is reserved")]
    Reserved(String),
    /// The working directory is empty, too long, or climbs.
    #[error("working directory must be a path without `..`, of at most {max} bytes", max = limit::PATH_BYTES_MAX)]
    WorkingDir,
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct JobPayload {
    fields: Fields,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fields {
    command: Vec<String>,
    env: BTreeMap<String, String>,
    working_dir: Option<String>,
}

impl JobPayload {
    /// Checks and makes a payload. A relative working directory is below the placement's own.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn new(
        command: Vec<String>,
        env: BTreeMap<String, String>,
        working_dir: Option<String>,
    ) -> Result<Self, PayloadError> {
        Self::try_from(Fields { command, env, working_dir })
    }

    /// Reads the one encoding.
    ///
    /// # Errors
    /// [`PayloadError::TooLong`], [`PayloadError::Encoding`]; a well-encoded payload that breaks another rule is
    /// also [`PayloadError::Encoding`], because the decoder cannot carry the reason.
    pub fn parse(bytes: &[u8]) -> Result<Self, PayloadError> {
        if bytes.len() > limit::PAYLOAD_BYTES_MAX {
            return Err(PayloadError::TooLong);
        }
        let Ok(fields) = postcard::from_bytes::<Fields>(bytes) else {
            return Err(PayloadError::Encoding);
        };
        let payload = Self::try_from(fields)?;
        // A map with a key twice, a longer varint or a tail decodes as well; only the one encoding was signed.
        if payload.encode()? == bytes { Ok(payload) } else { Err(PayloadError::Encoding) }
    }

    /// The one encoding.
    ///
    /// # Errors
    /// [`PayloadError::Encoding`] should the encoder refuse.
    pub fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        let Ok(bytes) = postcard::to_allocvec(&self.fields) else {
            return Err(PayloadError::Encoding);
        };
        Ok(bytes)
    }

    /// Program and arguments; never empty.
    #[must_use]
    pub fn command(&self) -> &[String] {
        &self.fields.command
    }

    /// Variables the job sets for itself.
    #[must_use]
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.fields.env
    }

    /// Where to start, when not in the placement's own directory.
    #[must_use]
    pub fn working_dir(&self) -> Option<&str> {
        self.fields.working_dir.as_deref()
    }
}

impl TryFrom<Fields> for JobPayload {
    type Error = PayloadError;

    fn try_from(fields: Fields) -> Result<Self, PayloadError> {
        check_command(&fields.command)?;
        check_env(&fields.env)?;
        if let Some(dir) = &fields.working_dir {
            let sound = (1..=limit::PATH_BYTES_MAX).contains(&dir.len())
                && !dir.contains('\0')
                && !dir.split('/').any(|part| part == "..");
            if !sound {
                return Err(PayloadError::WorkingDir);
            }
        }
        Ok(Self { fields })
    }
}

impl From<JobPayload> for Fields {
    fn from(payload: JobPayload) -> Self {
        payload.fields
    }
}

fn check_command(command: &[String]) -> Result<(), PayloadError> {
    let bytes = command.iter().fold(0_usize, |sum, arg| sum.saturating_add(arg.len()));
    let sound = (1..=limit::COMMAND_ARGS_MAX).contains(&command.len())
        && bytes <= limit::COMMAND_BYTES_MAX
        && command.first().is_some_and(|program| !program.is_empty())
        && command.iter().all(|arg| !arg.contains('\0'));
    if sound { Ok(()) } else { Err(PayloadError::Command) }
}

fn check_env(env: &BTreeMap<String, String>) -> Result<(), PayloadError> {
    let bytes =
        env.iter().fold(0_usize, |sum, (k, v)| sum.saturating_add(k.len()).saturating_add(v.len()));
    if env.len() > limit::ENV_VARS_MAX || bytes > limit::ENV_BYTES_MAX {
        return Err(PayloadError::Environment);
    }
    for (name, value) in env {
        let head = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        let tail = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !head || !tail || value.contains('\0') {
            return Err(PayloadError::Variable(name.clone()));
        }
        if name.starts_with(RESERVED_PREFIX) || RESERVED_NAMES.contains(&name.as_str()) {
            return Err(PayloadError::Reserved(name.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with_env(name: &str, value: &str) -> Result<JobPayload, PayloadError> {
        JobPayload::new(vec!["x".to_owned()], [(name.to_owned(), value.to_owned())].into(), None)
    }

    #[test]
    fn reserved_and_malformed_variables_are_refused() {
        for name in ["SEKISHO_EPOCH", "SEKISHO_", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"]
        {
            assert_eq!(with_env(name, "1"), Err(PayloadError::Reserved(name.to_owned())));
        }
        for (name, value) in [("", "1"), ("1A", "1"), ("A=B", "1"), ("A B", "1"), ("A", "x\0y")] {
            assert_eq!(with_env(name, value), Err(PayloadError::Variable(name.to_owned())));
        }
        assert_eq!(with_env("_a1", "値").unwrap().env().len(), 1);
    }

    #[test]
    fn commands_and_directories_are_bounded() {
        let command = |c: Vec<String>| JobPayload::new(c, [].into(), None).map(|_| ());
        assert_eq!(command(vec![]), Err(PayloadError::Command));
        assert_eq!(command(vec![String::new()]), Err(PayloadError::Command));
        assert_eq!(command(vec!["a\0".to_owned()]), Err(PayloadError::Command));
        assert_eq!(command(vec!["a".to_owned(); 1025]), Err(PayloadError::Command));
        assert_eq!(command(vec!["a".repeat(64 * 1024 + 1)]), Err(PayloadError::Command));
        for dir in ["", "..", "a/../b", "/a/..", "a\0"] {
            let made = JobPayload::new(vec!["x".to_owned()], [].into(), Some(dir.to_owned()));
            assert_eq!(made, Err(PayloadError::WorkingDir), "{dir:?}");
        }
    }

    #[test]
    fn a_second_encoding_is_refused() {
        let good = with_env("A", "1").unwrap().encode().unwrap();
        JobPayload::parse(&good).unwrap();
        let mut tail = good;
        tail.push(0);
        assert_eq!(JobPayload::parse(&tail), Err(PayloadError::Encoding));
        // one argument "x"; a map of two entries with the same key; no directory
        let twice = [1, 1, b'x', 2, 1, b'A', 1, b'1', 1, b'A', 1, b'1', 0];
        assert_eq!(JobPayload::parse(&twice), Err(PayloadError::Encoding));
        assert_eq!(
            JobPayload::parse(&vec![0; limit::PAYLOAD_BYTES_MAX + 1]),
            Err(PayloadError::TooLong)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(payload) = JobPayload::parse(&bytes) {
                prop_assert_eq!(payload.encode().unwrap(), bytes);
            }
        }
    }
}
