//! A member's process: started with its output in a file, signalled, measured, and gone when its value is dropped.

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A program with its arguments, and its process while it runs.
#[derive(Debug)]
pub(super) struct Process {
    program: PathBuf,
    arguments: Vec<OsString>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    pub(super) fn new(program: &Path, arguments: Vec<OsString>, log: PathBuf) -> Self {
        Self { program: program.to_owned(), arguments, log, child: None }
    }

    /// Starts it if it does not run. It stays in our process group, so that Ctrl-C ends it too.
    pub(super) fn start(&mut self) -> Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let log = File::options().append(true).create(true).open(&self.log)?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| self.program.display().to_string())?;
        self.child = Some(child);
        Ok(())
    }

    /// Its process id.
    pub(super) fn pid(&self) -> Result<Pid> {
        let child = self.child.as_ref().context("the member does not run")?;
        Ok(Pid::from_raw(child.id().try_into()?))
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid()?;
        kill(pid, signal).with_context(|| format!("{signal} to {pid}"))
    }

    /// Takes the dead process off the table. Blocks until it is dead.
    pub(super) fn reap(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Gone already is as good.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_starts_again_after_its_end_and_ends_with_its_value() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let arguments = vec!["-c".into(), "echo up; exec sleep 600".into()];
        let mut process = Process::new(Path::new("/bin/sh"), arguments, log);
        process.pid().unwrap_err();
        process.start().unwrap();
        let first = process.pid().unwrap();
        process.start().unwrap();
        assert_eq!(process.pid().unwrap(), first);
        process.signal(Signal::SIGKILL).unwrap();
        process.reap().unwrap();
        assert!(kill(first, None).is_err());
        process.start().unwrap();
        let second = process.pid().unwrap();
        drop(process);
        assert!(kill(second, None).is_err());
    }
}
