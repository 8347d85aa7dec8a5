//! Clocks that are wrong: steps of the wall clock while a program runs, by libfaketime, and rates from its start on, by a
//! small library that is compiled for it (`rate.c`).
//!
//! Must hold: what steps is the wall clock only (`FAKETIME_DONT_FAKE_MONOTONIC`); jobs and the tracer see the kernel's
//! clocks, because a shim is started with an empty environment.
//! An agent's boottime rate cannot be changed honestly from outside: it would differ from that of its own watchdog and
//! shims, which no host's clock does. The rate of whoever waits for the lease's end, the controllers, can; and only the
//! ratio of both is in the arithmetic.

use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

const FAKETIME: &str = "libfaketimeMT.so.1";
const RATE: &str = include_str!("rate.c");
const PRELOAD: &str = "LD_PRELOAD";

/// libfaketime, where the machine has it.
#[must_use]
pub fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let folders = folders.chain([PathBuf::from("/usr/lib")]);
    folders.map(|folder| folder.join("faketime").join(FAKETIME)).find(|path| path.is_file())
}

/// Where the clock of a program is told its step.
#[must_use]
pub fn step_file(dir: &Path, program: &str) -> PathBuf {
    dir.join("clocks").join(program)
}

/// Sets the step of a program's wall clock: `+0` for none, `-1h`.
///
/// # Errors
/// The file cannot be written.
pub fn step(dir: &Path, program: &str, by: &str) -> Result<()> {
    let path = step_file(dir, program);
    let fresh = path.with_extension("new");
    std::fs::create_dir_all(path.parent().context("it has a folder")?)?;
    std::fs::write(&fresh, by)?;
    // Whole at once: half a step would be another step.
    Ok(std::fs::rename(fresh, path)?)
}

/// The environment of a program whose wall clock can step. Empty where there is no libfaketime.
#[must_use]
pub fn steppable(dir: &Path, program: &str) -> Vec<(String, String)> {
    let Some(library) = faketime() else { return Vec::new() };
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    [
        (PRELOAD, text(library)),
        ("FAKETIME_TIMESTAMP_FILE", text(step_file(dir, program))),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("FAKETIME_CACHE_DURATION", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The environment of a program whose clocks run at this rate.
///
/// # Errors
/// The library cannot be compiled.
pub fn rated(dir: &Path, ppm: i64) -> Result<Vec<(String, String)>> {
    let library = dir.join("clocks").join("rate.so");
    if !library.is_file() {
        std::fs::create_dir_all(dir.join("clocks"))?;
        let source = dir.join("clocks").join("rate.c");
        std::fs::write(&source, RATE)?;
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(&source)
            .output()
            .context("cc")?;
        ensure!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    }
    let library = library.to_string_lossy().into_owned();
    Ok(vec![(PRELOAD.to_owned(), library), ("SEKISHO_RATE_PPM".to_owned(), ppm.to_string())])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `date` tells in that environment.
    fn now(env: Vec<(String, String)>) -> i64 {
        let output = Command::new("date").arg("+%s").envs(env).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    }

    #[test]
    fn a_step_moves_the_wall_clock_of_one_program() {
        let Some(_library) = faketime() else { return };
        let dir = tempfile::tempdir().unwrap();
        step(dir.path(), "a", "-1h").unwrap();
        let real = now(Vec::new());
        let stepped = now(steppable(dir.path(), "a"));
        assert!((3500..=3700).contains(&(real - stepped)), "{real} {stepped}");
        step(dir.path(), "a", "+0").unwrap();
        assert!((now(steppable(dir.path(), "a")) - real).abs() < 60);
    }

    #[test]
    fn a_rate_is_compiled_and_counts_from_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let env = rated(dir.path(), 500_000).unwrap();
        // A start takes no time, so a rate changes nothing yet.
        assert!((now(env) - now(Vec::new())).abs() <= 2);
    }
}
