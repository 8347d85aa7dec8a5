//! The programs of the drill's federation, started and started again as a service manager would.
//!
//! Must hold: a program that ended comes back by itself, unless a fault holds it down; what the judge is told of a host is
//! so when it is told (a host is mute from after its agent's end until before its start); nothing of it survives the
//! value, stopped and frozen processes included.

use super::census::{Census, nanos};
use super::clock;
use super::disk::Disk;
use super::limit::{AGAIN_AFTER, SUPERVISE_EVERY, WATCHDOG_AFTER};
use super::watch::{Board, Watch};
use crate::federation::Federation;
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use sekisho_agent_runtime::procfs::boottime_ns;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The nodes of the development federation.
pub const HOSTS: [&str; 4] = ["tokyo-1/n-01", "sakai-1/n-01", "ishikari-1/n-01", "ishikari-1/n-02"];

/// One host.
#[derive(Debug, Clone)]
pub struct Host {
    /// `SITE/NODE`.
    pub node: String,
    /// Name of its agent's process.
    pub agent: String,
    /// Name of its watchdog's process.
    pub watchdog: String,
    /// The agent's data directory.
    pub data: PathBuf,
    /// Directory of its placements.
    pub root: PathBuf,
    /// Directory of its simulated devices.
    pub devices: PathBuf,
}

impl Host {
    fn of(dir: &Path, node: &str) -> Self {
        let own = dir.join("agents").join(node);
        let dashed = node.replace('/', "-");
        Self {
            node: node.to_owned(),
            agent: format!("agent-{dashed}"),
            watchdog: format!("watchdog-{dashed}"),
            data: own.join("data"),
            root: own.join("data").join("placements"),
            devices: own.join("devices"),
        }
    }
}

/// One program.
#[derive(Debug)]
struct Program {
    file: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    env: Vec<(String, String)>,
    child: Option<Child>,
    /// Whether it is to run.
    wanted: bool,
    pause: Duration,
    /// When it may be started again, boottime.
    due_ns: u64,
    /// Of which host it is the agent.
    agent_of: Option<usize>,
    starts: u64,
}

impl Program {
    fn pid(&self) -> Option<Pid> {
        Some(Pid::from_raw(self.child.as_ref()?.id().try_into().ok()?))
    }

    /// Notes an end, and starts it again when that is due.
    fn supervise(&mut self, board: &Board) -> Result<()> {
        if let Some(child) = self.child.as_mut() {
            if child.try_wait()?.is_none() {
                return Ok(());
            }
            self.child = None;
            self.due_ns = boottime_ns()?.saturating_add(nanos(self.pause));
            if let Some(host) = self.agent_of {
                board.mute(host)?;
            }
        }
        if !self.wanted || boottime_ns()? < self.due_ns {
            return Ok(());
        }
        let log = std::fs::File::options().append(true).create(true).open(&self.log)?;
        if let Some(host) = self.agent_of {
            board.speak(host);
        }
        let child = Command::new(&self.file)
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| self.file.display().to_string())?;
        self.child = Some(child);
        self.starts = self.starts.saturating_add(1);
        Ok(())
    }
}

type Programs = Arc<Mutex<BTreeMap<String, Program>>>;

/// The federation under the drill.
#[derive(Debug)]
pub struct Fleet {
    /// Its command line.
    pub federation: Federation,
    /// Its hosts.
    pub hosts: Vec<Host>,
    /// What is known of them.
    pub board: Arc<Board>,
    disks: Vec<Disk>,
    programs: Programs,
    watch: Option<Watch>,
    stop: Arc<AtomicBool>,
    supervisor: Option<JoinHandle<()>>,
}

impl Fleet {
    /// Takes over what `sekisho dev` started: ends it, gives every agent a disk of its own where that can be done, and
    /// starts all again. Returns when every node is ready.
    ///
    /// # Errors
    /// Something does not end or start in time.
    pub fn take_over(federation: Federation) -> Result<Self> {
        let dir = federation.dir().canonicalize()?;
        let hosts: Vec<Host> = HOSTS.iter().map(|node| Host::of(&dir, node)).collect();
        let mut programs = BTreeMap::new();
        for (number, host) in hosts.iter().enumerate() {
            for (name, verb, agent_of) in
                [(&host.agent, "run", Some(number)), (&host.watchdog, "watchdog", None)]
            {
                end(&federation, name)?;
                let config = dir.join("agents").join(&host.node).join("agent.toml");
                let args = [verb.to_owned(), "--config".to_owned(), text(&config)].to_vec();
                let pause = if agent_of.is_some() { AGAIN_AFTER } else { WATCHDOG_AFTER };
                programs.insert(
                    name.clone(),
                    Program {
                        agent_of,
                        pause,
                        ..program(&federation, &dir, name, "sekisho-agent", args)?
                    },
                );
            }
        }
        for member in crate::partition::MEMBERS {
            let name = format!("controller-{member}");
            end(&federation, &name)?;
            let config = dir.join("controllers").join(member.to_string()).join("controller.toml");
            let args = vec!["--config".to_owned(), text(&config)];
            let made = program(&federation, &dir, &name, "sekisho-controller", args)?;
            programs.insert(name, made);
        }
        let disks = hosts.iter().filter_map(|host| Disk::under(&host.data).ok()).collect();
        let board = Arc::new(Board::default());
        let roots: Vec<PathBuf> = hosts.iter().map(|host| host.root.clone()).collect();
        let watch = Some(Watch::begin(&roots, &board)?);
        let programs = Arc::new(Mutex::new(programs));
        let stop = Arc::new(AtomicBool::new(false));
        let supervisor = Some(supervise(&programs, &board, &stop)?);
        let fleet = Self { federation, hosts, board, disks, programs, watch, stop, supervisor };
        fleet.ready()?;
        Ok(fleet)
    }

    /// Waits until three members are in touch and every node is ready.
    ///
    /// # Errors
    /// They are not, in time.
    pub fn ready(&self) -> Result<()> {
        self.federation.whole()?;
        self.federation.until_within(super::limit::SETTLE, "every node to be ready", || {
            let nodes = self.federation.read("kanto", &["node", "list"])?;
            let nodes = crate::federation::rows(&nodes, "items");
            let ready = nodes.iter().filter(|node| node["state"] == "ready").count();
            ensure!(ready == self.hosts.len(), "{nodes:?}");
            Ok(())
        })
    }

    /// The disk of a host, where it has one of its own.
    #[must_use]
    pub fn disk(&self, host: usize) -> Option<&Disk> {
        let data = &self.hosts.get(host)?.data;
        self.disks.iter().find(|disk| disk.path() == data)
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Program) -> Result<T>) -> Result<T> {
        let mut programs = self.programs.lock();
        act(programs.get_mut(name).with_context(|| format!("no program {name}"))?)
    }

    /// The number of a program that runs.
    #[must_use]
    pub fn pid(&self, name: &str) -> Option<Pid> {
        self.with(name, |program| Ok(program.pid())).ok().flatten()
    }

    /// How often it was started.
    #[must_use]
    pub fn starts(&self, name: &str) -> u64 {
        self.with(name, |program| Ok(program.starts)).unwrap_or(0)
    }

    /// Signals a program, if it runs. While it is looked for nobody starts another one.
    ///
    /// # Errors
    /// It may not be signalled.
    pub fn signal(&self, name: &str, signal: Signal) -> Result<()> {
        let board = &self.board;
        self.with(name, |program| {
            let Some(pid) = program.pid() else { return Ok(()) };
            if let (Some(host), Signal::SIGCONT) = (program.agent_of, signal) {
                board.speak(host);
            }
            send(pid, signal)?;
            if let (Some(host), Signal::SIGKILL | Signal::SIGSTOP) = (program.agent_of, signal) {
                board.mute(host)?;
            }
            Ok(())
        })
    }

    /// Keeps a program from being started again, and kills it.
    ///
    /// # Errors
    /// It may not be killed.
    pub fn hold(&self, name: &str) -> Result<()> {
        self.with(name, |program| {
            program.wanted = false;
            Ok(())
        })?;
        self.signal(name, Signal::SIGKILL)
    }

    /// Lets it be started again.
    ///
    /// # Errors
    /// There is no such program.
    pub fn release(&self, name: &str) -> Result<()> {
        self.with(name, |program| {
            (program.wanted, program.due_ns) = (true, 0);
            Ok(())
        })
    }

    /// Waits until a program that is held down is gone, as its supervisor sees it.
    ///
    /// # Errors
    /// It is not, in time.
    pub fn await_end(&self, name: &str) -> Result<()> {
        self.federation.until(&format!("{name} to end"), || {
            ensure!(self.pid(name).is_none(), "it runs");
            Ok(())
        })
    }

    /// Waits until a program runs that was started after `starts`.
    ///
    /// # Errors
    /// It does not, in time.
    pub fn await_start(&self, name: &str, starts: u64) -> Result<()> {
        self.federation.until(&format!("{name} to be started again"), || {
            ensure!(self.starts(name) > starts && self.pid(name).is_some(), "it does not run");
            Ok(())
        })
    }

    /// Replaces the environment from the next start on.
    ///
    /// # Errors
    /// There is no such program.
    pub fn environment(&self, name: &str, env: Vec<(String, String)>) -> Result<()> {
        self.with(name, |program| {
            program.env = env;
            Ok(())
        })
    }

    /// Ends the watch, and gives what it saw.
    ///
    /// # Errors
    /// It could not look.
    pub fn unwatch(&mut self) -> Result<()> {
        self.watch.take().map_or(Ok(()), Watch::end)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(supervisor) = self.supervisor.take() {
            // It has nothing to say.
            drop(supervisor.join());
        }
        for program in self.programs.lock().values_mut() {
            if let Some(mut child) = program.child.take() {
                // Gone already is as good.
                drop(child.kill());
                drop(child.wait());
            }
        }
        self.watch = None;
        let roots = self.hosts.iter().map(|host| host.root.clone()).collect();
        // A fresh look: a number seen earlier may be a stranger's by now.
        for seen in Census::new(roots).look().unwrap_or_default() {
            drop(send(Pid::from_raw(seen.pid), Signal::SIGKILL));
        }
    }
}

/// To have been gone already is no error.
pub(super) fn send(pid: Pid, signal: Signal) -> Result<()> {
    match kill(pid, signal) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{signal} to {pid}")),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn program(
    federation: &Federation,
    dir: &Path,
    name: &str,
    file: &str,
    args: Vec<String>,
) -> Result<Program> {
    clock::step(dir, name, "+0")?;
    Ok(Program {
        file: federation.program(file),
        args,
        log: dir.join("logs").join(format!("{name}.log")),
        env: clock::steppable(dir, name),
        child: None,
        wanted: true,
        pause: AGAIN_AFTER,
        due_ns: 0,
        agent_of: None,
        starts: 0,
    })
}

/// Ends a program that `sekisho dev` started.
fn end(federation: &Federation, name: &str) -> Result<()> {
    let pid = federation.pid(name)?;
    send(pid, Signal::SIGKILL)?;
    federation.until(&format!("{name} to end"), || {
        ensure!(crate::federation::process::is_over(pid), "it runs");
        Ok(())
    })
}

fn supervise(
    programs: &Programs,
    board: &Arc<Board>,
    stop: &Arc<AtomicBool>,
) -> Result<JoinHandle<()>> {
    let (programs, board, stop) = (Arc::clone(programs), Arc::clone(board), Arc::clone(stop));
    let supervise = move || {
        while !stop.load(Ordering::Relaxed) {
            for program in programs.lock().values_mut() {
                // It is tried again at the next look.
                drop(program.supervise(&board));
            }
            // waits: until the next look at processes that may have ended
            std::thread::sleep(SUPERVISE_EVERY);
        }
    };
    Ok(std::thread::Builder::new().name("supervisor".to_owned()).spawn(supervise)?)
}
