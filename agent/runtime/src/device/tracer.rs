//! The GPU tracer: a device that notices being held twice (P1).
//!
//! A simulated device is a lock file and a trace beside it. Whoever runs a job on it holds the lock for as long as
//! any process of the job lives: the lock belongs to an open file that the outer shim, init and the job share, so
//! it vanishes with the last of them and with nothing else. Each taking, release and refusal is one line
//!
//! ```text
//! <nanoseconds since boot> acquire|release|conflict <placement key> <pid of the outer shim>
//! ```
//!
//! A refusal means that somebody tried to start a second holder: on a real device, which has no lock, it would have
//! run. So it is reported as an overlap, although the lock held. A shared device has a lock file and a trace for each share:
//! whoever takes it holds one of them, and is refused when all are held.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::limit;
use crate::placement::PlacementKey;
use crate::procfs::boottime_ns;

const TRACE: &str = "trace";

/// Why devices could not be held.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// Another placement has it.
    #[error("device {0} is held by another placement")]
    Busy(String),
    /// Its files cannot be used.
    #[error("cannot use the files of device {uuid}")]
    Io {
        /// The device.
        uuid: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Devices held; the locks last until every copy of the open files is closed.
#[derive(Debug)]
pub struct Held {
    files: Vec<File>,
    traces: Vec<PathBuf>,
    holder: String,
}

impl Held {
    /// Takes all of `devices` (id, and the files of which one is locked) for `key`, or none.
    ///
    /// # Errors
    /// [`HoldError::Busy`] for the first that is held already, which its trace then says too.
    pub fn take(devices: &[(String, Vec<PathBuf>)], key: &PlacementKey) -> Result<Self, HoldError> {
        let mut held = Self {
            files: Vec::new(),
            traces: Vec::new(),
            holder: format!("{key} {}", std::process::id()),
        };
        for (uuid, paths) in devices {
            if let Err(error) = held.add(uuid, paths) {
                held.trace_release();
                return Err(error);
            }
        }
        Ok(held)
    }

    fn add(&mut self, uuid: &str, paths: &[PathBuf]) -> Result<(), HoldError> {
        let io = |source| HoldError::Io { uuid: uuid.to_owned(), source };
        for path in paths {
            let trace = path.with_extension(TRACE);
            let file = File::open(path).map_err(io)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(source)) => return Err(io(source)),
            }
            append(&trace, "acquire", &self.holder).map_err(io)?;
            self.files.push(file);
            self.traces.push(trace);
            return Ok(());
        }
        if let Some(first) = paths.first() {
            append(&first.with_extension(TRACE), "conflict", &self.holder).map_err(io)?;
        }
        Err(HoldError::Busy(uuid.to_owned()))
    }

    /// The open files that carry the locks.
    #[must_use]
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// Writes that all are released. To be called when no process of the job is left and before the files close.
    /// A line that cannot be written looks like the death of the holder, which the checker understands.
    pub fn trace_release(&self) {
        for trace in &self.traces {
            drop(append(trace, "release", &self.holder));
        }
    }
}

/// One line by one write, so that lines of two writers cannot mix.
fn append(trace: &Path, event: &str, holder: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(trace)?;
    file.write_all(format!("{} {event} {holder}\n", boottime_ns()?).as_bytes())
}

/// Two holders of one device at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// The device.
    pub uuid: String,
    /// When the second came, in nanoseconds since boot.
    pub at_boottime_ns: u64,
    /// Who held it: key and shim, as in the trace.
    pub holder: String,
    /// Who came as well.
    pub intruder: String,
}

/// Why traces prove nothing.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// They cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// File or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line is no line of a trace, or the file is over its bound.
    #[error("{path} is no trace at line {line}")]
    Malformed {
        /// File.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
}

/// Reads every trace in `dir` and tells each overlap. A holder whose release is missing died; it held until the
/// next one could take the lock, unless a later line of its own says otherwise.
///
/// # Errors
/// When a trace cannot be read or understood: nothing is proven then.
pub fn check(dir: &Path) -> Result<Vec<Overlap>, TraceError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| TraceError::Io { path, source }
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(io(dir))? {
        let path = entry.map_err(io(dir))?.path();
        if path.extension().is_some_and(|extension| extension == TRACE) {
            paths.push(path);
        }
    }
    paths.sort();
    let mut overlaps = Vec::new();
    for path in paths {
        let mut text = String::new();
        let file = File::open(&path).map_err(io(&path))?;
        file.take(limit::TRACE_BYTES_MAX.saturating_add(1))
            .read_to_string(&mut text)
            .map_err(io(&path))?;
        let over = u64::try_from(text.len()).map_or(true, |length| length > limit::TRACE_BYTES_MAX);
        let uuid =
            path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let found = if over { Err(text.lines().count()) } else { check_text(&uuid, &text) };
        overlaps.extend(found.map_err(|line| TraceError::Malformed { path, line })?);
    }
    Ok(overlaps)
}

/// The overlaps in one trace, or the number of the line that is none.
fn check_text(uuid: &str, text: &str) -> Result<Vec<Overlap>, usize> {
    let mut overlaps = Vec::new();
    let overlap = |at_boottime_ns, holder: &str, intruder: &str| Overlap {
        uuid: uuid.to_owned(),
        at_boottime_ns,
        holder: holder.to_owned(),
        intruder: intruder.to_owned(),
    };
    // Holders that were followed without a release: alive unless they speak again. With whom, and since when.
    let mut presumed_dead: Vec<(&str, &str, u64)> = Vec::new();
    let mut holder: Option<&str> = None;
    for (number, line) in text.lines().enumerate().map(|(at, line)| (at.saturating_add(1), line)) {
        let mut words = line.splitn(3, ' ');
        let at: u64 = words.next().and_then(|word| word.parse().ok()).ok_or(number)?;
        let (event, who) = (words.next().ok_or(number)?, words.next().ok_or(number)?);
        match event {
            "acquire" => {
                if let Some(earlier) = holder.replace(who) {
                    presumed_dead.push((earlier, who, at));
                }
            }
            "release" => {
                for (_, intruder, since) in presumed_dead.iter().filter(|(dead, _, _)| *dead == who)
                {
                    overlaps.push(overlap(*since, who, intruder));
                }
                presumed_dead.retain(|(dead, _, _)| *dead != who);
                holder = holder.filter(|now| *now != who);
            }
            "conflict" => overlaps.push(overlap(at, holder.unwrap_or("unknown"), who)),
            _ => return Err(number),
        }
    }
    Ok(overlaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> PlacementKey {
        PlacementKey::new(text).unwrap()
    }

    #[test]
    fn only_true_overlaps_are_told() {
        let told = |text: &str| check_text("g", text).map(|found| found.len());
        assert_eq!(told(""), Ok(0));
        assert_eq!(told("1 acquire a 1\n2 release a 1\n2 acquire b 2\n3 release b 2\n"), Ok(0));
        assert_eq!(told("1 acquire a 1\n5 acquire b 2\n6 release b 2\n"), Ok(0), "a was killed");
        assert_eq!(
            told("1 acquire a 1\n5 acquire b 2\n6 release a 1\n7 release b 2\n"),
            Ok(1),
            "a lived on"
        );
        assert_eq!(
            told("1 acquire a 1\n5 acquire b 2\n6 release b 2\n7 release a 1\n"),
            Ok(1),
            "b inside a"
        );
        assert_eq!(told("1 acquire a 1\n2 conflict b 2\n3 release a 1\n"), Ok(1));
        assert_eq!(told("1 acquire a 1\nx release a 1\n"), Err(2));
        assert_eq!(told("1 acquire a 1\n2 grab a 1\n"), Err(2));
        assert_eq!(told("1 acquire\n"), Err(1));
    }

    #[test]
    fn a_second_holder_is_refused_and_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(format!("{name}.lock"));
        let lock = |name: &str| (name.to_owned(), vec![path(name)]);
        for name in ["g0", "g1"] {
            File::create(path(name)).unwrap();
        }
        let first = Held::take(&[lock("g1")], &key("first")).unwrap();
        let refused = Held::take(&[lock("g0"), lock("g1")], &key("second")).unwrap_err();
        assert!(matches!(refused, HoldError::Busy(uuid) if uuid == "g1"));
        drop(Held::take(&[lock("g0")], &key("third")).unwrap()); // the second holds nothing
        first.trace_release();
        drop(first);
        let again = Held::take(&[lock("g1")], &key("fourth")).unwrap();
        again.trace_release();
        let overlaps = check(dir.path()).unwrap();
        assert_eq!(overlaps.len(), 1, "{overlaps:?}");
        assert!(
            overlaps[0].holder.starts_with("first ") && overlaps[0].intruder.starts_with("second ")
        );
        assert_eq!(overlaps[0].uuid, "g1");
    }

    #[test]
    fn what_cannot_be_read_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("g.trace"), b"1 acquire a\n").unwrap();
        assert!(check(dir.path()).unwrap().is_empty());
        fs::write(dir.path().join("g.trace"), [0xff, 0xfe]).unwrap();
        assert!(matches!(check(dir.path()), Err(TraceError::Io { .. })));
        assert!(matches!(check(&dir.path().join("none")), Err(TraceError::Io { .. })));
    }
}
