//! Which process dialled: from the source port over the socket's inode to the process that holds it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The kernel's table of IPv4 connections.
const TABLE: &str = "/proc/net/tcp";
/// Whose processes are told apart.
const CONTROLLER: &str = "sekisho-controller";

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialler {
    /// A controller of the federation.
    Member(u64),
    /// Another process: an agent, a command line.
    Other,
}

/// Whether this machine lets a dialler be told.
///
/// # Errors
/// Why not, in words.
#[expect(clippy::disallowed_types, reason = "a connection to itself, to see whether it is seen")]
pub fn possible() -> Result<(), String> {
    let dial = || {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let to = listener.local_addr()?;
        let dialled = std::net::TcpStream::connect(to)?;
        let from = dialled.local_addr()?;
        Ok::<_, std::io::Error>(Diallers::new(PathBuf::new()).tell(from.port(), to.port()))
    };
    match dial() {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(format!("{TABLE} and /proc/PID/fd do not tell who dialled")),
        Err(error) => Err(format!("no connection on loopback: {error}")),
    }
}

/// Tells diallers of one federation, and remembers its controllers: looking through all processes at each dial would
/// take the time of those that are watched.
#[derive(Debug)]
pub(crate) struct Diallers {
    dir: PathBuf,
    controllers: Mutex<BTreeMap<PathBuf, u64>>,
}

impl Diallers {
    /// Of the federation in `dir`.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir, controllers: Mutex::default() }
    }

    /// Who holds the end on `from` of the loopback connection to port `to`. `None` if nobody does any more, or it
    /// cannot be seen: such a connection must not be served.
    pub(crate) fn tell(&self, from: u16, to: u16) -> Option<Dialler> {
        let inode = inode(&std::fs::read_to_string(TABLE).ok()?, from, to)?;
        let socket = OsString::from(format!("socket:[{inode}]"));
        let known = self.known();
        if let Some((_, member)) = known.iter().find(|(process, _)| holds(process, &socket)) {
            return Some(Dialler::Member(*member));
        }
        let holder = processes().find(|process| holds(process, &socket))?;
        let Some(member) = member(&holder, &self.dir) else { return Some(Dialler::Other) };
        let mut controllers = self.controllers.lock().unwrap_or_else(PoisonError::into_inner);
        controllers.insert(holder, member);
        Some(Dialler::Member(member))
    }

    /// The controllers seen so far that still are what they were.
    fn known(&self) -> BTreeMap<PathBuf, u64> {
        let mut controllers = self.controllers.lock().unwrap_or_else(PoisonError::into_inner);
        controllers.retain(|process, known| member(process, &self.dir) == Some(*known));
        controllers.clone()
    }
}

fn processes() -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
        .map(|entry| entry.path())
}

/// The member whose controller this process is: its settings lie in the federation's directory.
fn member(process: &Path, dir: &Path) -> Option<u64> {
    let line = std::fs::read(process.join("cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line).into_owned();
    let mut words = line.split('\0');
    let program = Path::new(words.next()?);
    if program.file_name()? != CONTROLLER {
        return None;
    }
    let within = |word: &str| {
        let rest = Path::new(word).strip_prefix(dir.join("controllers")).ok()?;
        rest.iter().next()?.to_str()?.parse().ok()
    };
    words.find_map(within)
}

fn holds(process: &Path, socket: &OsString) -> bool {
    let handles = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    handles
        .filter_map(|handle| std::fs::read_link(handle.path()).ok())
        .any(|target| target.as_os_str() == socket)
}

/// The inode of the socket that is `from` here and `to` there. An orphan's inode is 0: nobody holds it.
fn inode(table: &str, from: u16, to: u16) -> Option<u64> {
    let end = |port: u16| {
        // The kernel prints the address as a number of its own byte order.
        format!("{:08X}:{port:04X}", u32::from_ne_bytes(Ipv4Addr::LOCALHOST.octets()))
    };
    let (from, to) = (end(from), end(to));
    let row = table.lines().find_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        (columns.get(1)? == &from && columns.get(2)? == &to).then_some(columns)
    })?;
    row.get(9)?.parse().ok().filter(|inode| *inode != 0)
}

#[cfg(test)]
#[expect(clippy::disallowed_types, reason = "a connection to tell the dialler of")]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    #[test]
    fn the_dialler_is_told_and_nobody_is_not_taken_for_somebody() {
        assert_eq!(possible(), Ok(()));
        let diallers = Diallers::new(PathBuf::from("/nowhere"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let dialled = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let from = dialled.local_addr().unwrap().port();
        assert_eq!(diallers.tell(from, port), Some(Dialler::Other));
        assert_eq!(diallers.tell(from, port.wrapping_add(1)), None);
        let (_accepted, _) = listener.accept().unwrap();
        drop(dialled);
        assert_eq!(diallers.tell(from, port), None, "its end is closed");
    }

    #[test]
    fn a_controller_is_known_by_its_settings_file() {
        let dir = Path::new("/the/federation");
        let start = |file: &str| {
            // It waits for input, whatever its other arguments say.
            Command::new("/bin/sh")
                .arg0(CONTROLLER)
                .args(["-c", "read -r _", "--config", file])
                .stdin(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let told = |file: &str| {
            let mut child = start(file);
            let process = PathBuf::from(format!("/proc/{}", child.id()));
            // The kernel lets the parent go on before the child's command line can be read.
            while std::fs::read(process.join("cmdline")).unwrap().is_empty() {
                std::thread::yield_now();
            }
            let told = member(&process, dir);
            child.kill().unwrap();
            child.wait().unwrap();
            told
        };
        assert_eq!(told("/the/federation/controllers/2/controller.toml"), Some(2));
        assert_eq!(told("/another/federation/controllers/2/controller.toml"), None);
        assert_eq!(member(Path::new("/proc/self"), dir), None);
    }
}
