//! What a job runs: command, environment and working directory, as the submitter signed its digest.
//!
//! Must hold: one form. The bytes are the canonical encoding of [`JobPayload`]; whoever reads them decodes strictly
//! and calls [`JobPayload::check`]. The replicated state keeps digest and length alone and never looks inside.
//! Does not know: how it is run. Payloads are not sealed yet, so what looks like a secret is refused.

use crate::limit::PAYLOAD_MAX;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

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

/// Least and most main memory that a job may ask for, MiB: below, no interpreter starts; above, no host has it.
pub const MEMORY_MIB: RangeInclusive<u64> = 16..=64 * 1024 * 1024;
/// Least and most processors, in thousandths: below, the kernel's period of 100 ms gives it nothing to run in.
pub const CPU_MILLI: RangeInclusive<u32> = 10..=4_096_000;
/// Most restarts: a job that fails more often than that needs a person, not another attempt.
pub const RESTARTS_MAX: u32 = 100;
/// Least and most seconds before the first restart.
pub const RESTART_DELAY_S: RangeInclusive<u32> = 1..=3600;

/// When the host begins the job's program anew, within the same placement, epoch and time limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Restart {
    /// Its first end is the end of the placement.
    #[default]
    Never,
    /// Any end but exit code 0, and but a stop or the time limit, begins another attempt.
    OnFailure {
        /// Restarts at most.
        attempts: u32,
        /// Seconds before the first of them; doubled for each further one.
        delay_s: u32,
    },
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JobPayload {
    /// Program and arguments; never empty.
    pub command: Vec<String>,
    /// Variables that the job sets for itself.
    pub env: BTreeMap<String, String>,
    /// Where to start; `None` = the placement's own directory, below which a relative path stands.
    pub working_dir: Option<String>,
    /// Main memory of the host that each member of the group may use, MiB. A host that cannot enforce it does not start the job.
    pub memory_mib: Option<u64>,
    /// Processors that each member may keep busy, in thousandths; enforced in the same way.
    pub cpu_milli: Option<u32>,
    /// What to do when the program fails.
    pub restart: Restart,
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
        self.check_host()?;
        // A lower bound of the encoded length; the exact one is the encoder's to say.
        let bytes = self.env.iter().flat_map(|(k, v)| [k, v]).chain(&self.command);
        let bytes = bytes.fold(0usize, |sum, text| sum.saturating_add(text.len()));
        if bytes > PAYLOAD_MAX {
            return fail("run", format!("must be at most {PAYLOAD_MAX} bytes"));
        }
        Ok(())
    }

    /// What the job asks of its host beside the devices.
    fn check_host(&self) -> Result<(), PayloadError> {
        let between = |field: &str, (least, most): (u64, u64), unit: &str| {
            fail(field, format!("must be {least} to {most} {unit}"))
        };
        if self.memory_mib.is_some_and(|memory| !MEMORY_MIB.contains(&memory)) {
            return between("run.memory_gib", (*MEMORY_MIB.start(), *MEMORY_MIB.end()), "MiB");
        }
        if self.cpu_milli.is_some_and(|cpus| !CPU_MILLI.contains(&cpus)) {
            let bounds = (u64::from(*CPU_MILLI.start()), u64::from(*CPU_MILLI.end()));
            return between("run.cpus", bounds, "thousandths");
        }
        match self.restart {
            Restart::OnFailure { attempts, .. } if !(1..=RESTARTS_MAX).contains(&attempts) => {
                between("run.restart.attempts", (1, u64::from(RESTARTS_MAX)), "restarts")
            }
            Restart::OnFailure { delay_s, .. } if !RESTART_DELAY_S.contains(&delay_s) => {
                let bounds =
                    (u64::from(*RESTART_DELAY_S.start()), u64::from(*RESTART_DELAY_S.end()));
                between("run.restart.delay", bounds, "seconds")
            }
            Restart::Never | Restart::OnFailure { .. } => Ok(()),
        }
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
            ..JobPayload::default()
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
        for memory in [0, 15, MEMORY_MIB.end() + 1] {
            let payload = JobPayload { memory_mib: Some(memory), ..good.clone() };
            assert_eq!(refused(&payload), "run.memory_gib", "{memory}");
        }
        for cpus in [0, 9, CPU_MILLI.end() + 1] {
            let payload = JobPayload { cpu_milli: Some(cpus), ..good.clone() };
            assert_eq!(refused(&payload), "run.cpus", "{cpus}");
        }
        for (attempts, delay_s, field) in [
            (0, 1, "run.restart.attempts"),
            (RESTARTS_MAX + 1, 1, "run.restart.attempts"),
            (1, 0, "run.restart.delay"),
            (1, RESTART_DELAY_S.end() + 1, "run.restart.delay"),
        ] {
            let restart = Restart::OnFailure { attempts, delay_s };
            assert_eq!(refused(&JobPayload { restart, ..good.clone() }), field);
        }
        let restart = Restart::OnFailure { attempts: RESTARTS_MAX, delay_s: 3600 };
        let most = JobPayload {
            memory_mib: Some(*MEMORY_MIB.end()),
            cpu_milli: Some(*CPU_MILLI.end()),
            restart,
            ..good
        };
        assert_eq!(most.check(), Ok(()));
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
