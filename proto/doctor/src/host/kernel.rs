//! The kernel: how new it is, and where it puts the memory of what crashes.

use crate::catalogue::host::*;
use crate::check::Finding;
use crate::host::kernel_file;
use crate::limit::KERNEL_LEAST;
use std::io;

/// The check `kernel`.
///
/// # Errors
/// When it cannot be told.
pub fn version() -> io::Result<Finding> {
    let text = kernel_file("/proc/sys/kernel/osrelease")?;
    judge_version(text.trim()).ok_or_else(|| io::Error::other("its version is no version"))
}

fn judge_version(text: &str) -> Option<Finding> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let found = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let outcome = if found < KERNEL_LEAST { &KERNEL_OLD } else { &KERNEL_SOUND };
    let least = format!("{}.{}", KERNEL_LEAST.0, KERNEL_LEAST.1);
    Some(Finding::new(outcome).with("version", text).with("least", least))
}

/// The check `core-dumps`, of a program whose cores are cut at `limit` bytes; `None` is no limit.
///
/// # Errors
/// When it cannot be told.
pub fn cores(limit: Option<u64>) -> io::Result<Finding> {
    Ok(judge_cores(kernel_file("/proc/sys/kernel/core_pattern")?.trim(), limit))
}

fn judge_cores(pattern: &str, limit: Option<u64>) -> Finding {
    let outcome = if pattern.starts_with('|') {
        &CORES_CAUGHT
    } else if pattern.is_empty() || limit == Some(0) {
        &CORES_OFF
    } else {
        &CORES_WRITTEN
    };
    let limit = limit.map_or_else(|| "unlimited".to_owned(), crate::unit::bytes);
    Finding::new(outcome).with("pattern", pattern).with("limit", limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_fails_and_an_odd_one_is_no_answer() {
        let judged = |text| judge_version(text).map(|found| found.outcome.code);
        assert_eq!(judged("6.1.0-18-amd64"), Some("KERNEL_SOUND"));
        assert_eq!(judged("5.10.0"), Some("KERNEL_SOUND"));
        assert_eq!(judged("5.4.0-150-generic"), Some("KERNEL_OLD"));
        assert_eq!(judged("4.19"), Some("KERNEL_OLD"));
        assert_eq!(judged("six"), None);
        assert_eq!(version().unwrap().outcome.code, "KERNEL_SOUND");
    }

    #[test]
    fn cores_that_are_written_to_files_are_told() {
        let judged = |pattern, limit| judge_cores(pattern, limit).outcome.code;
        assert_eq!(judged("|/usr/lib/systemd/systemd-coredump", None), "CORES_CAUGHT");
        assert_eq!(judged("core", Some(0)), "CORES_OFF");
        assert_eq!(judged("core", None), "CORES_WRITTEN");
        assert_eq!(judged("/var/core/%p", Some(1)), "CORES_WRITTEN");
        cores(None).unwrap();
    }
}
