//! What a job runs: command, environment and working directory, as the submitter signed its digest.
//!
//! Must hold: one form. The bytes are the canonical encoding of [`JobPayload`]; whoever reads them decodes strictly
//! and calls [`JobPayload::check`]. The replicated state keeps digest and length alone and never looks inside.
//! Does not know: how it is run. Payloads are not sealed yet, so what looks like a secret is refused.

use crate::limit::PAYLOAD_MAX;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Arguments of a command, program included.
pub const ARGUMENTS_MAX: usize = 1024;
/// Variables that a job may set.
pub const VARIABLES_MAX: usize = 512;
/// Bytes of a working directory: the kernel's `PATH_MAX`.
pub const DIRECTORY_MAX: usize = 4096;
/// Prefix of the variables that only Sekisho sets.
pub const RESERVED_PREFIX: &str = "SEKISHO_";
/// Variables that choose devices: a job that set them could reach those of another.
pub const RESERVED_NAMES: [&str; 3] =
    ["CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES"];

/// Words that a variable's name carries when its value is a secret; each a whole word between underscores.
const SECRET_WORDS: [&str; 9] = [
    "TOKEN",
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIALS",
    "APIKEY",
    "SECRETKEY",
];
/// Endings of such a name. `KEY` alone is too common (`SORT_KEY`), so it counts only with what it opens.
const SECRET_ENDINGS: [&str; 5] =
    ["API_KEY", "ACCESS_KEY", "PRIVATE_KEY", "ENCRYPTION_KEY", "SIGNING_KEY"];
/// How values begin that are secrets under any name: PEM blocks and the fixed prefixes of common services.
const SECRET_VALUES: [&str; 6] = ["-----BEGIN", "AKIA", "ghp_", "github_pat_", "glpat-", "xoxb-"];

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPayload {
    /// Program and arguments; never empty.
    pub command: Vec<String>,
    /// Variables that the job sets for itself.
    pub env: BTreeMap<String, String>,
    /// Where to start; `None` = the placement's own directory, below which a relative path stands.
    pub working_dir: Option<String>,
}

/// Why a payload may not be accepted: a field and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {must}")]
pub struct PayloadError {
    /// Path of the field in the job's spec.
    pub field: String,
    /// What the field must be.
    pub must: String,
}

fn fail(field: &str, must: impl Into<String>) -> Result<(), PayloadError> {
    Err(PayloadError { field: field.to_owned(), must: must.into() })
}

impl JobPayload {
    /// Checks every bound. The encoded length is bounded apart, by [`PAYLOAD_MAX`].
    ///
    /// # Errors
    /// The first field that is out of bounds.
    pub fn check(&self) -> Result<(), PayloadError> {
        let program = self.command.first().is_some_and(|program| !program.is_empty());
        if !program || self.command.len() > ARGUMENTS_MAX {
            return fail("run.command", format!("must have 1 to {ARGUMENTS_MAX} arguments"));
        }
        if self.command.iter().any(|argument| argument.contains('\0')) {
            return fail("run.command", "must not contain a NUL");
        }
        if self.env.len() > VARIABLES_MAX {
            return fail("run.env", format!("must have at most {VARIABLES_MAX} variables"));
        }
        self.env.iter().try_for_each(|(name, value)| check_variable(name, value))?;
        let climbs = |dir: &str| dir.split('/').any(|part| part == "..") || dir.contains('\0');
        if let Some(dir) = self.working_dir.as_deref()
            && (dir.is_empty() || dir.len() > DIRECTORY_MAX || climbs(dir))
        {
            return fail(
                "run.working_dir",
                format!("must be a path without `..`, of at most {DIRECTORY_MAX} bytes"),
            );
        }
        // A lower bound of the encoded length; the exact one is the encoder's to say.
        let bytes = self.env.iter().flat_map(|(k, v)| [k, v]).chain(&self.command);
        let bytes = bytes.fold(0usize, |sum, text| sum.saturating_add(text.len()));
        if bytes > PAYLOAD_MAX {
            return fail("run", format!("must be at most {PAYLOAD_MAX} bytes"));
        }
        Ok(())
    }

    /// The variable that looks as if it held a secret, if one does. Conservative: a false alarm costs a rename, a
    /// miss puts a secret into every voter's log.
    #[must_use]
    pub fn suspicious_secret(&self) -> Option<&str> {
        let looks = |(name, value): &(&String, &String)| {
            !value.is_empty() && (named_secret(name) || begins_as_secret(value))
        };
        self.env.iter().find(looks).map(|(name, _)| name.as_str())
    }
}

fn check_variable(name: &str, value: &str) -> Result<(), PayloadError> {
    let field = format!("run.env.{name}");
    let head = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !head || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return fail(&field, "must be a name of letters, digits and `_`");
    }
    if value.contains('\0') {
        return fail(&field, "must not contain a NUL");
    }
    if name.starts_with(RESERVED_PREFIX) || RESERVED_NAMES.contains(&name) {
        return fail(&field, "is reserved: Sekisho sets it");
    }
    Ok(())
}

fn named_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    // `TOKENIZERS_PARALLELISM` and `MAX_TOKENS` are no secrets: whole words only.
    name.split('_').any(|word| SECRET_WORDS.contains(&word) || word.ends_with("PASSWORD"))
        || SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending))
        || (name.starts_with("AWS_") && name.ends_with("KEY"))
}

fn begins_as_secret(value: &str) -> bool {
    let value = value.trim_start();
    SECRET_VALUES.iter().any(|prefix| value.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_env(name: &str, value: &str) -> JobPayload {
        JobPayload {
            command: vec!["python3".into(), "train.py".into()],
            env: BTreeMap::from([(name.to_owned(), value.to_owned())]),
            working_dir: None,
        }
    }

    fn refused(payload: &JobPayload) -> String {
        payload.check().unwrap_err().field
    }

    #[test]
    fn every_field_is_bounded() {
        let good = with_env("BATCH", "32");
        assert_eq!(good.check(), Ok(()));
        for command in [vec![], vec![String::new()], vec!["a\0".into()], vec!["a".into(); 1025]] {
            assert_eq!(refused(&JobPayload { command, ..good.clone() }), "run.command");
        }
        for name in ["", "1A", "A=B", "SEKISHO_EPOCH", "CUDA_VISIBLE_DEVICES"] {
            assert_eq!(refused(&with_env(name, "1")), format!("run.env.{name}"));
        }
        assert_eq!(refused(&with_env("A", "x\0y")), "run.env.A");
        for dir in ["", "a/../b", "a\0"] {
            let payload = JobPayload { working_dir: Some(dir.into()), ..good.clone() };
            assert_eq!(refused(&payload), "run.working_dir", "{dir:?}");
        }
        assert_eq!(refused(&with_env("A", &"x".repeat(PAYLOAD_MAX + 1))), "run");
    }

    #[test]
    fn what_looks_like_a_secret_is_named() {
        for name in [
            "HF_TOKEN",
            "DB_PASSWORD",
            "db_password",
            "PGPASSWORD",
            "CLIENT_SECRET",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY",
            "OPENAI_API_KEY",
        ] {
            assert_eq!(with_env(name, "x").suspicious_secret(), Some(name));
            // Set to nothing, it hides nothing.
            assert_eq!(with_env(name, "").suspicious_secret(), None, "{name}");
        }
        let pem = with_env("DATA", "\n-----BEGIN PRIVATE KEY-----");
        assert_eq!(pem.suspicious_secret(), Some("DATA"));
        for name in ["MAX_TOKENS", "TOKENIZERS_PARALLELISM", "SORT_KEY", "KEYBOARD", "PATH"] {
            assert_eq!(with_env(name, "x").suspicious_secret(), None, "{name}");
        }
    }
}
