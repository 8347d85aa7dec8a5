//! A control group that freezes all that is in it, where the machine has one.

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};

const V1: &str = "/sys/fs/cgroup/freezer";
const V2: &str = "/sys/fs/cgroup";

/// One group; thawed, emptied and removed with the value.
#[derive(Debug)]
pub struct Freezer {
    dir: PathBuf,
    old: bool,
}

impl Freezer {
    /// Whether this machine has such groups and this user may make one.
    ///
    /// # Errors
    /// Why not.
    pub fn possible() -> Result<(), &'static str> {
        Self::new("probe").map(drop).map_err(|_cause| "no freezer group can be made")
    }

    /// Whether what is frozen cannot even be killed: so it is with the first version of control groups.
    ///
    /// # Errors
    /// It can, or nothing can be frozen.
    pub fn keeps_alive() -> Result<(), &'static str> {
        let probe = Self::new("probe-1").map_err(|_cause| "no freezer group can be made")?;
        if probe.old { Ok(()) } else { Err("what is frozen here can be killed") }
    }

    /// An empty group.
    ///
    /// # Errors
    /// There is no freezer, or it may not be used.
    pub fn new(name: &str) -> Result<Self> {
        let old = Path::new(V1).join("cgroup.procs").is_file();
        let parent = PathBuf::from(if old { V1 } else { V2 });
        let dir = parent.join(format!("sekisho-drill-{}-{name}", std::process::id()));
        std::fs::create_dir(&dir)?;
        let made = Self { dir, old };
        ensure!(made.switch().is_file(), "no freezer here");
        Ok(made)
    }

    fn switch(&self) -> PathBuf {
        self.dir.join(if self.old { "freezer.state" } else { "cgroup.freeze" })
    }

    /// Takes a process in. One that has ended meanwhile is no error.
    pub fn take(&self, pid: Pid) {
        drop(std::fs::write(self.dir.join("cgroup.procs"), pid.to_string()));
    }

    /// Stops all that is in it, and returns when it stands.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn freeze(&self) -> Result<()> {
        std::fs::write(self.switch(), if self.old { "FROZEN" } else { "1" })?;
        for _ in 0..1000 {
            if self.frozen()? {
                return Ok(());
            }
            // waits: until the kernel has stopped every thread
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        anyhow::bail!("not frozen")
    }

    fn frozen(&self) -> Result<bool> {
        if self.old {
            return Ok(std::fs::read_to_string(self.switch())?.trim() == "FROZEN");
        }
        Ok(std::fs::read_to_string(self.dir.join("cgroup.events"))?.contains("frozen 1"))
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn thaw(&self) -> Result<()> {
        std::fs::write(self.switch(), if self.old { "THAWED" } else { "0" }).context("thaw")
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        // A group that cannot be removed is empty and thawed, and harms nobody.
        drop(self.thaw());
        let parent = if self.old { V1 } else { V2 };
        let inside = std::fs::read_to_string(self.dir.join("cgroup.procs")).unwrap_or_default();
        for pid in inside.lines() {
            drop(std::fs::write(Path::new(parent).join("cgroup.procs"), pid));
        }
        drop(std::fs::remove_dir(&self.dir));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn what_is_frozen_stands_still_and_goes_on() {
        if Freezer::possible().is_err() {
            return;
        }
        let freezer = Freezer::new("test").unwrap();
        let mut child = Command::new("sleep").arg("0.2").spawn().unwrap();
        freezer.take(Pid::from_raw(child.id().try_into().unwrap()));
        freezer.freeze().unwrap();
        // waits: for longer than the process would have lived
        std::thread::sleep(std::time::Duration::from_millis(400));
        assert!(child.try_wait().unwrap().is_none());
        freezer.thaw().unwrap();
        assert!(child.wait().unwrap().success());
        let dir = freezer.dir.clone();
        drop(freezer);
        assert!(!dir.exists());
    }
}
