//! Which members answered a moment ago, so that the next command does not begin with a site that is down.
//!
//! Must hold: it only orders and adds addresses; whom to believe there is the context's roots alone. What is remembered is of
//! little worth and less harm: addresses, in a folder of this login (`XDG_RUNTIME_DIR`) that ends with it, mode 0600. A file that
//! cannot be read or written is none.

use sekisho_transport::address::Address;
use sekisho_transport::clock::SystemClock;
use sekisho_transport::limit::ENDPOINTS_MAX;
use sekisho_types::id::{ClusterId, OperatorId};
use sekisho_types::time::Clock as _;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

/// How long the member that answered last is asked first. Then the nearest is tried again: it may be back.
const GOOD_FOR: Duration = Duration::from_secs(600);

/// Largest file, bytes: [`ENDPOINTS_MAX`] names of hosts.
const FILE_MAX: u64 = 16 * 1024;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    /// Who answered last.
    #[serde(default)]
    good: String,
    /// Every member that the federation named.
    #[serde(default)]
    members: Vec<String>,
}

/// What is remembered of one federation, as one operator's people see it.
#[derive(Debug)]
pub struct Reach {
    file: Option<PathBuf>,
    known: Mutex<Remembered>,
}

impl Reach {
    /// Remembers nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { file: None, known: Mutex::default() }
    }

    /// What stands in `folder`, the login's own.
    #[must_use]
    pub fn of(folder: &Path, cluster: ClusterId, operator: &OperatorId) -> Self {
        let file = folder.join(format!("reach-{cluster}-{operator}.json"));
        let mut known: Remembered =
            read(&file, None).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        if read(&file, Some(GOOD_FOR)).is_none() {
            known.good.clear();
        }
        Self { file: Some(file), known: Mutex::new(known) }
    }

    /// The addresses of a context in the order in which they are tried: who answered last, then as the context has them, then
    /// members that it does not name.
    #[must_use]
    pub fn order(&self, configured: &[Address]) -> Vec<Address> {
        let known = self.known();
        let learnt = known.members.iter().filter_map(|address| address.parse::<Address>().ok());
        let mut order: Vec<Address> = configured.to_vec();
        order.extend(learnt.filter(|address| !configured.contains(address)));
        order.truncate(ENDPOINTS_MAX.max(configured.len()));
        let good = known.good.parse().ok();
        if let Some(at) = order.iter().position(|address| Some(address) == good.as_ref()) {
            order.get_mut(..=at).unwrap_or_default().rotate_right(1);
        }
        order
    }

    /// This one answered.
    pub fn answered(&self, address: &Address) {
        let good = address.to_string();
        self.change(|known| known.good = good);
    }

    /// These are the federation's members.
    pub fn learn(&self, addresses: impl Iterator<Item = String>) {
        let mut members: Vec<String> =
            addresses.filter(|a| !a.is_empty()).take(ENDPOINTS_MAX).collect();
        members.sort();
        self.change(|known| known.members = members);
    }

    fn known(&self) -> Remembered {
        self.known.lock().map(|known| known.clone()).unwrap_or_default()
    }

    fn change(&self, change: impl FnOnce(&mut Remembered)) {
        let (Some(file), Ok(mut known)) = (&self.file, self.known.lock()) else { return };
        let mut changed = known.clone();
        change(&mut changed);
        if changed != *known {
            *known = changed;
            keep(file, &serde_json::to_string(&*known).unwrap_or_default());
        }
    }
}

/// The folder of this login where such files lie, made if need be; `None` where there is none.
#[must_use]
pub(crate) fn folder(runtime_dir: Option<PathBuf>) -> Option<PathBuf> {
    let folder = runtime_dir.filter(|dir| dir.is_absolute())?.join("sekisho");
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.ok().map(|()| folder)
}

/// A small file of that folder, if it is not older than `age`.
#[must_use]
pub(crate) fn read(file: &Path, age: Option<Duration>) -> Option<String> {
    let open = File::open(file).ok()?;
    let about = open.metadata().ok()?;
    let written = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(SystemClock.wall().0);
    // One of the future is of no known age.
    if age.is_some_and(|age| now.checked_sub(written).is_none_or(|old| old > age)) {
        return None;
    }
    let mut text = String::new();
    open.take(FILE_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Writes one, whole and for this user alone; not synced, because nothing is lost with it. Two runs at once write beside each
/// other.
pub(crate) fn keep(file: &Path, text: &str) {
    let fresh = file.with_extension(format!("{}.new", std::process::id()));
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh);
    let written = open.and_then(|mut open| open.write_all(text.as_bytes()));
    if written.and_then(|()| fs::rename(&fresh, file)).is_err() {
        // Where it cannot be written it is done without.
        drop(fs::remove_file(&fresh));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn address(port: u16) -> Address {
        format!("127.0.0.1:{port}").parse().unwrap()
    }

    #[test]
    fn who_answered_last_comes_first_and_members_that_no_context_names_come_last() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(Some(dir.path().to_owned())).unwrap();
        let reach = || Reach::of(&folder, ClusterId([1; 16]), &"kanto".parse().unwrap());
        let configured = [address(1), address(2)];
        assert_eq!(reach().order(&configured), configured);
        reach().learn([3, 2].map(|port| address(port).to_string()).into_iter());
        assert_eq!(reach().order(&configured), [1, 2, 3].map(address));
        reach().answered(&address(3));
        assert_eq!(reach().order(&configured), [3, 1, 2].map(address));
        let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        // After a while the nearest is tried again.
        File::options().write(true).open(file.path()).unwrap().set_modified(UNIX_EPOCH).unwrap();
        assert_eq!(reach().order(&configured), [1, 2, 3].map(address));
        fs::write(file.path(), "{").unwrap();
        assert_eq!(reach().order(&configured), configured);
        // Whoever names many does not push the configured ones out.
        reach().learn((10..90).map(|port| address(port).to_string()));
        let order = reach().order(&configured);
        assert_eq!((order.len(), &order[..2]), (ENDPOINTS_MAX, &configured[..]));
    }

    #[test]
    fn without_a_folder_nothing_is_remembered() {
        let reach = Reach::none();
        reach.answered(&address(2));
        assert_eq!(reach.order(&[address(1), address(2)]), [1, 2].map(address));
        assert_eq!(folder(Some("relative".into())), None);
        assert_eq!(folder(None), None);
    }
}
