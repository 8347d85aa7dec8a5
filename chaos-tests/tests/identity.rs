//! R6 with real processes: a data directory that is not what its member had ends its controller, which says why.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a broken set-up should fail loudly")]

use nix::sys::signal::Signal;
use sekisho_chaos::federation::Federation;
use sekisho_chaos::work::{lost, write};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Member 3 of a federation, and what it is started on.
struct Third {
    federation: Federation,
    controller: PathBuf,
}

impl Third {
    fn data(&self) -> PathBuf {
        self.controller.join("data")
    }

    fn end(&mut self) {
        self.federation.signal("controller-3", Signal::SIGKILL).unwrap();
        self.federation.await_end(3).unwrap();
    }

    /// Puts a copy of `by`, or nothing, in the place of its data directory.
    fn replace(&self, by: Option<&Path>) {
        fs::remove_dir_all(self.data()).unwrap();
        if let Some(by) = by {
            copy(by, &self.data());
        }
    }

    /// Starts it and gives what it said before it ended by itself.
    fn refused(&mut self) -> String {
        let log = self.federation.dir().join("logs/controller-3.log");
        let before = fs::metadata(&log).unwrap().len();
        self.federation.revive(3).unwrap();
        self.federation.await_end(3).unwrap();
        let text = fs::read(&log).unwrap();
        let (_, said) = text.split_at(usize::try_from(before).unwrap());
        String::from_utf8_lossy(said).into_owned()
    }

    /// Another process of the same member on a copy of its directory, at another address.
    fn twin(&self, data: &Path) -> (bool, String) {
        let config = fs::read_to_string(self.controller.join("controller.toml")).unwrap();
        let mut table: toml::Table = config.parse().unwrap();
        table.insert("data_dir".into(), data.to_string_lossy().into_owned().into());
        table.insert("listen".into(), "127.0.0.1:27298".into());
        table.remove("metrics");
        table.remove("landmark");
        let file = data.with_extension("toml");
        fs::write(&file, toml::to_string(&table).unwrap()).unwrap();
        let output = Command::new(self.federation.program("sekisho-controller"))
            .arg("--config")
            .arg(&file)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn a_directory_with_another_past_ends_its_member_and_only_that() {
    let dir = tempfile::tempdir().unwrap();
    let federation = Federation::start(dir.path(), 27_270).unwrap();
    let controller = federation.dir().join("controllers/3");
    let mut third = Third { federation, controller };
    let mut written = vec![write(&third.federation, "before").unwrap()];

    // Cloned: a copy runs beside the original.
    third.end();
    let aside = tempfile::tempdir().unwrap();
    let (clone, backup) = (aside.path().join("clone"), aside.path().join("backup"));
    copy(&third.data(), &clone);
    copy(&third.data(), &backup);
    third.federation.revive(3).unwrap();
    third.federation.whole().unwrap();
    let (success, said) = third.twin(&clone);
    assert!(!success && said.contains("data directory refused by member"), "{said}");
    // It counts as many starts as the original, or one more, and is found out by asking the original, or by the entries
    // that the original has taken meanwhile.
    let (success, again) = third.twin(&clone);
    let found = ["another process runs as this member", "was set back: it ends at entry"];
    assert!(!success && found.iter().any(|why| again.contains(why)), "{again}");
    written.push(write(&third.federation, "beside-a-clone").unwrap());
    third.federation.whole().unwrap();

    // Set back: an older copy in the place of the original.
    third.end();
    let original = aside.path().join("original");
    copy(&third.data(), &original);
    third.replace(Some(&backup));
    let said = third.refused();
    assert!(said.contains("set back") && said.contains("under a new id"), "{said}");

    // Wiped, and started twice: at the second time its directory is no longer new.
    third.replace(None);
    for attempt in 0..2 {
        let said = third.refused();
        assert!(said.contains("the old one was wiped"), "{attempt}: {said}");
    }

    // Another member's.
    third.replace(Some(&original));
    third.federation.signal("controller-2", Signal::SIGKILL).unwrap();
    third.federation.await_end(2).unwrap();
    let own = aside.path().join("own");
    fs::rename(third.data(), &own).unwrap();
    copy(&third.federation.dir().join("controllers/2/data"), &third.data());
    let said = third.refused();
    assert!(said.contains("belongs to member 2, not 3"), "{said}");
    third.federation.revive(2).unwrap();

    // Nothing that was refused has harmed the original.
    fs::remove_dir_all(third.data()).unwrap();
    fs::rename(&own, third.data()).unwrap();
    third.federation.revive(3).unwrap();
    third.federation.whole().unwrap();
    written.push(write(&third.federation, "after").unwrap());
    assert_eq!(lost(&third.federation, &written).unwrap(), Vec::<String>::new());
}
