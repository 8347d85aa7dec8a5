//! A small disk under an agent's data directory, in memory, that can be filled.

use super::limit::DISK_BYTES;
use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file that takes all the room there is.
const BALLAST: &str = "ballast";
/// Bytes of one write.
const PIECE: usize = 64 * 1024;

/// A mounted disk; taken away with the value.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// Puts one under `dir`, with all that is in it. Nobody may use the directory meanwhile.
    ///
    /// # Errors
    /// This user may not mount.
    pub fn under(dir: &Path) -> Result<Self> {
        let aside = dir.with_extension("aside");
        std::fs::rename(dir, &aside)?;
        std::fs::create_dir(dir)?;
        let options = format!("size={DISK_BYTES},mode=0711");
        let mounted =
            mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()));
        if let Err(error) = mounted {
            std::fs::remove_dir(dir)?;
            std::fs::rename(&aside, dir)?;
            return Err(error.into());
        }
        let disk = Self(dir.to_owned());
        let copied = Command::new("cp").arg("-a").arg(aside.join(".")).arg(dir).output()?;
        ensure!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        Ok(disk)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Fills it to its last byte.
    ///
    /// # Errors
    /// Another error than that it is full.
    pub fn fill(&self) -> Result<()> {
        let mut file = std::fs::File::create(self.0.join(BALLAST))?;
        let mut piece: &[u8] = &[7; PIECE];
        loop {
            match file.write(piece) {
                Ok(_written) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                    let Some(half) = piece.get(..piece.len() / 2).filter(|half| !half.is_empty())
                    else {
                        return Ok(());
                    };
                    piece = half;
                }
                Err(error) => return Err(error).context("filling a disk"),
            }
        }
    }

    /// Makes room again.
    ///
    /// # Errors
    /// What the file system says.
    pub fn empty(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.0.join(BALLAST))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still has a file open keeps it until then.
        umount2(&self.0, MntFlags::MNT_DETACH).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_stays_and_nothing_more_fits_until_it_is_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("ledger"), "old").unwrap();
        // Without the right to mount there is no such disk, and the drill says so.
        let Ok(disk) = Disk::under(&data) else { return };
        assert_eq!(std::fs::read_to_string(data.join("ledger")).unwrap(), "old");
        disk.fill().unwrap();
        let full = std::fs::write(data.join("new"), [1; 8192]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        std::fs::remove_file(data.join("new")).unwrap();
        disk.empty().unwrap();
        std::fs::write(data.join("new"), "fits").unwrap();
        drop(disk);
        assert!(!data.join("new").exists());
    }
}
