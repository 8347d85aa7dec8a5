//! What a program may have at most: of the running one where it runs, else of whoever asks.

use crate::catalogue::host::*;
use crate::check::Finding;
use crate::host::kernel_file;
use crate::limit::PIDS_LEAST;
use crate::unit::bytes;
use std::io;

/// Soft limits of a process; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open files.
    pub files: Option<u64>,
    /// Processes of its user.
    pub processes: Option<u64>,
    /// Bytes of locked memory.
    pub locked: Option<u64>,
    /// Bytes of a core dump.
    pub core: Option<u64>,
}

impl Limits {
    /// Those of a process, or of this one.
    ///
    /// # Errors
    /// When they cannot be told: another user's are hidden.
    pub fn of(pid: Option<u32>) -> io::Result<Self> {
        let path =
            pid.map_or_else(|| "/proc/self/limits".to_owned(), |pid| format!("/proc/{pid}/limits"));
        Self::parse(&kernel_file(path)?).ok_or_else(|| io::Error::other("unknown form of limits"))
    }

    fn parse(text: &str) -> Option<Self> {
        let soft = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            match line.split_ascii_whitespace().next()? {
                "unlimited" => Some(None),
                number => number.parse().ok().map(Some),
            }
        };
        Some(Self {
            files: soft("Max open files")?,
            processes: soft("Max processes")?,
            locked: soft("Max locked memory")?,
            core: soft("Max core file size")?,
        })
    }
}

/// The check `limits`: `of` names whose they are, `least` is how many files are needed.
///
/// # Errors
/// When it cannot be told.
pub fn limits(of: &str, limits: Limits, least: u64) -> io::Result<Finding> {
    let pids = kernel_file("/proc/sys/kernel/pid_max")?;
    let pids = pids.trim().parse().map_err(|_digits| io::Error::other("pid_max is no number"))?;
    Ok(judge(of, limits, least, pids))
}

fn judge(of: &str, limits: Limits, least: u64, pids: u64) -> Finding {
    let shown = |limit: Option<u64>, show: fn(u64) -> String| {
        limit.map_or_else(|| "unlimited".to_owned(), show)
    };
    let (outcome, least) = if limits.files.is_some_and(|files| files < least) {
        (&LIMITS_FILES, least)
    } else if pids < PIDS_LEAST {
        (&LIMITS_PIDS, PIDS_LEAST)
    } else {
        (&LIMITS_SOUND, least)
    };
    Finding::new(outcome)
        .with("of", of)
        .with("files", shown(limits.files, |n| n.to_string()))
        .with("processes", shown(limits.processes, |n| n.to_string()))
        .with("locked", shown(limits.locked, bytes))
        .with("pids", pids)
        .with("least", least)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
                        Max core file size        0                    unlimited            bytes     \n\
                        Max processes             95841                95841                processes \n\
                        Max open files            1024                 1048576              files     \n\
                        Max locked memory         unlimited            8388608              bytes     \n";

    #[test]
    fn too_few_files_or_process_numbers_are_told() {
        let limits = Limits::parse(TEXT).unwrap();
        assert_eq!(
            limits,
            Limits { files: Some(1024), processes: Some(95_841), locked: None, core: Some(0) }
        );
        assert_eq!(Limits::parse("Max open files 1"), None);
        let judged = |least, pids| judge("agent", limits, least, pids).outcome.code;
        assert_eq!(judged(1024, 32_768), "LIMITS_SOUND");
        assert_eq!(judged(1025, 32_768), "LIMITS_FILES");
        assert_eq!(judged(1024, 32_767), "LIMITS_PIDS");
        let own = Limits::of(None).unwrap();
        assert_eq!(Limits::of(Some(std::process::id())).unwrap(), own);
        super::limits("this", own, 1).unwrap();
    }
}
