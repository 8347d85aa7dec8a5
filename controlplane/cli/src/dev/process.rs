//! The programs: found beside this one, started with their output in files, ended with SIGTERM (agents with SIGINT, by which
//! they stop their jobs first), then SIGKILL.
//!
//! Must hold: a process is signalled only if it still is the program that was started: its command line names our
//! directory. Children are in process groups of their own, so that Ctrl-C reaches this program first and they are
//! ended in order.

use super::layout::Layout;
use super::plan::{Node, Operator};
use crate::failure::{Failure, of_file};
use crate::pki::private_dir;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sekisho_types::error_code::ErrorCode;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// After SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_secs(10);
/// How long the end of a killed process is waited for: the kernel finishes its writes first.
const KILLED_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at processes that are not ours to wait for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const CONTROLLER: &str = "sekisho-controller";
const AGENT: &str = "sekisho-agent";
/// Lines of a log that are shown when its program failed.
const LAST_WORDS: usize = 5;

/// A program to start.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: String,
    file: PathBuf,
    arguments: Vec<PathBuf>,
    /// Started again whenever it ends.
    again: bool,
}

/// A shipped program, beside this one.
fn beside(name: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(Failure::from)?;
    let path = own.with_file_name(name);
    if path.exists() {
        return Ok(path);
    }
    let fix = format!("install {name} beside {}", own.display());
    Err(Failure::new(ErrorCode::NotFound, path.display().to_string()).remedy(fix))
}

/// Whether the shipped programs are there.
///
/// # Errors
/// `NOT_FOUND` with the one that is missing.
pub(super) fn installed() -> Result<(), Failure> {
    beside(CONTROLLER).and_then(|_found| beside(AGENT)).map(|_found| ())
}

/// What imitates the ways between sites and landmarks: this program itself, so that it outlives who started it.
pub(super) fn relay(layout: &Layout) -> Result<Program, Failure> {
    Ok(Program {
        name: "relay".to_owned(),
        file: std::env::current_exe().map_err(Failure::from)?,
        arguments: vec!["dev".into(), "relay".into(), "--dir".into(), layout.dir().to_owned()],
        again: false,
    })
}

/// An operator's controller.
pub(super) fn controller(layout: &Layout, operator: &Operator) -> Result<Program, Failure> {
    let config = layout.controller(operator.member).join("controller.toml");
    Ok(Program {
        name: format!("controller-{}", operator.member),
        file: beside(CONTROLLER)?,
        arguments: vec!["--config".into(), config],
        again: false,
    })
}

/// A node's agent.
pub(super) fn agent(layout: &Layout, node: &Node) -> Result<Program, Failure> {
    of_node(layout, node, ("agent", "run"), false)
}

/// What watches a node's jobs beside its agent.
pub(super) fn watchdog(layout: &Layout, node: &Node) -> Result<Program, Failure> {
    of_node(layout, node, ("watchdog", "watchdog"), true)
}

/// The agent's program with one of its verbs.
fn of_node(
    layout: &Layout,
    node: &Node,
    (role, verb): (&str, &str),
    again: bool,
) -> Result<Program, Failure> {
    let config = layout.agent(&node.id).join("agent.toml");
    Ok(Program {
        name: format!("{role}-{}-{}", node.id.site, node.id.name),
        file: beside(AGENT)?,
        arguments: vec![verb.into(), "--config".into(), config],
        again,
    })
}

/// The programs that run.
#[derive(Debug, Default)]
pub(super) struct Children(Vec<Running>);

#[derive(Debug)]
struct Running {
    program: Program,
    pid: i32,
    child: Child,
}

impl Running {
    fn is_over(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Children {
    /// Starts a program; its output is appended to its log.
    pub(super) fn start(&mut self, layout: &Layout, program: Program) -> Result<(), Failure> {
        let child = spawn(layout, &program)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
        self.0.push(Running { program, pid, child });
        Ok(())
    }

    /// Process ids by name.
    pub(super) fn pids(&self) -> BTreeMap<String, i32> {
        self.0.iter().map(|running| (running.program.name.clone(), running.pid)).collect()
    }

    /// The first program that has ended and is not started again, if one has.
    pub(super) fn ended(&mut self) -> Option<String> {
        let last = self.0.iter_mut().filter(|running| !running.program.again);
        last.filter_map(|running| running.is_over().then(|| running.program.name.clone())).next()
    }

    /// Starts again what is to be, and has ended. Whether there was one.
    fn revive(&mut self, layout: &Layout) -> Result<bool, Failure> {
        let mut over = Vec::new();
        for at in (0..self.0.len()).rev() {
            if self.0.get_mut(at).is_some_and(|running| running.program.again && running.is_over())
            {
                over.push(self.0.remove(at));
            }
        }
        let any = !over.is_empty();
        // At the front: what is stopped last.
        for Running { program, .. } in over {
            self.start(layout, program)?;
            self.0.rotate_right(1);
        }
        Ok(any)
    }

    /// Fails if a program has ended, with its last words.
    pub(super) fn check(&mut self, layout: &Layout) -> Result<(), Failure> {
        let Some(name) = self.ended() else { return Ok(()) };
        let path = layout.log(&name);
        let words = last_words(&path);
        let fix = format!("see {}", path.display());
        Err(Failure::new(ErrorCode::StartFailed, format!("{name}: {words}")).remedy(fix))
    }

    /// Waits for Ctrl-C, SIGTERM, or the end of a program, whose name is returned.
    pub(super) async fn watch(&mut self, layout: &Layout) -> Option<String> {
        let mut terminated = signal(SignalKind::terminate()).ok()?;
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => return None,
                _ = terminated.recv() => return None,
                () = tokio::time::sleep(GRACE / 10) => {
                    if let Some(name) = self.ended() { return Some(name) }
                    let revived = self.revive(layout).unwrap_or_default();
                    if revived && layout.save_pids(&self.pids()).is_err() { return None }
                }
            }
        }
    }

    /// Ends all of them: agents first, so that their last reports still reach a controller.
    pub(super) async fn stop(&mut self) {
        for running in self.0.iter_mut().rev() {
            if !running.is_over() {
                terminate(running.pid, gently(&running.program.name));
            }
        }
        for Running { pid, child, .. } in self.0.iter_mut().rev() {
            if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
                terminate(*pid, Signal::SIGKILL);
                let killed = child.wait().await;
                drop(killed);
            }
        }
        self.0.clear();
    }
}

fn spawn(layout: &Layout, program: &Program) -> Result<Child, Failure> {
    let path = layout.log(&program.name);
    if let Some(folder) = path.parent() {
        private_dir(folder)?;
    }
    let log = File::options().create(true).append(true).open(&path);
    let log = log.map_err(|error| of_file(&path, &error))?;
    let copy = log.try_clone().map_err(|error| of_file(&path, &error))?;
    Command::new(&program.file)
        .args(&program.arguments)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(copy)
        .process_group(0)
        .spawn()
        .map_err(|error| of_file(&program.file, &error))
}

/// What ends a program in order.
fn gently(name: &str) -> Signal {
    if name.starts_with("agent-") { Signal::SIGINT } else { Signal::SIGTERM }
}

fn terminate(pid: i32, with: Signal) {
    // 0 and negative numbers name groups; 1 is init.
    if pid > 1 {
        // Gone already is as good.
        kill(Pid::from_raw(pid), with).unwrap_or_default();
    }
}

fn last_words(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LAST_WORDS);
    lines.get(from..).unwrap_or_default().join(" | ")
}

/// Processes of an earlier run that still are what was started, by name.
pub(super) fn running(layout: &Layout) -> Result<BTreeMap<String, i32>, Failure> {
    let dir = layout.dir().as_os_str().to_string_lossy().into_owned();
    let mut running = layout.load_pids()?;
    running.retain(|_, pid| is_ours(*pid, &dir));
    Ok(running)
}

fn is_ours(pid: i32, dir: &str) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    pid > 1 && String::from_utf8_lossy(&line).contains(dir)
}

/// Ends processes that are not our children, and waits until they are gone: one that is killed still holds its data
/// directory and its port while it finishes a write.
pub(super) async fn stop(running: &BTreeMap<String, i32>) {
    for (insist, within) in [(false, GRACE), (true, KILLED_WITHIN)] {
        for (name, pid) in running.iter().filter(|(_, pid)| !is_over(**pid)) {
            terminate(*pid, if insist { Signal::SIGKILL } else { gently(name) });
        }
        let over = async {
            while !running.values().all(|pid| is_over(*pid)) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(within, over).await.is_ok() {
            return;
        }
    }
}

/// Whether nothing of a process runs any more, whoever has heard of its end. Its first thread may be dead while
/// another is still in the kernel and holds the files.
fn is_over(pid: i32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The name before the state is in parentheses and may hold anything.
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        state.is_none_or(|state| matches!(state, 'Z' | 'X'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str, script: &str) -> Program {
        Program {
            name: name.to_owned(),
            file: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            again: false,
        }
    }

    #[tokio::test]
    async fn a_program_that_fails_is_noticed_with_its_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path()).unwrap();
        let mut children = Children::default();
        children.start(&layout, program("bad", "echo cannot bind; exit 3")).unwrap();
        assert_eq!(children.watch(&layout).await.as_deref(), Some("bad"));
        let failure = children.check(&layout).unwrap_err();
        assert_eq!(
            (failure.code, failure.detail.as_str()),
            (ErrorCode::StartFailed, "bad: cannot bind")
        );
    }

    #[tokio::test]
    async fn a_watchdog_is_started_again_and_ends_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path()).unwrap();
        let mut children = Children::default();
        children
            .start(&layout, Program { again: true, ..program("dog", "exec sleep 600") })
            .unwrap();
        children.start(&layout, program("agent", "exec sleep 600")).unwrap();
        assert!(!children.revive(&layout).unwrap());
        let first = children.pids();
        kill(Pid::from_raw(first["dog"]), Signal::SIGKILL).unwrap();
        while !children.revive(&layout).unwrap() {
            // waits: until the kernel has ended what was killed
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let now = children.pids();
        assert!(now["dog"] != first["dog"] && now["agent"] == first["agent"]);
        assert_eq!(children.ended(), None);
        assert_eq!(children.0.last().unwrap().program.name, "agent", "it is stopped first");
        children.stop().await;
    }

    #[tokio::test]
    async fn programs_are_found_again_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path()).unwrap();
        let mut children = Children::default();
        let script = format!("exec sleep 600 # {}", layout.dir().display());
        children.start(&layout, program("good", &script)).unwrap();
        layout.save_pids(&children.pids()).unwrap();
        assert!(children.ended().is_none());
        // Another process's id, and one that is nobody's, are not ours.
        assert!(!is_ours(1, "/") && !is_ours(i32::MAX, "/"));
        children.stop().await;
        assert!(running(&layout).unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_is_ended_is_gone_though_nobody_has_heard_of_it() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert!(!is_over(pid));
        stop(&[("controller-1".to_owned(), pid)].into()).await;
        // No wait before: it is a zombie of this process.
        assert!(is_over(pid) && Path::new(&format!("/proc/{pid}")).exists());
        child.wait().unwrap();
        assert!(is_over(pid));
    }
}
