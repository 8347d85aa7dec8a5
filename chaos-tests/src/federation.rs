//! A federation of real processes, driven through the shipped command line alone.
//!
//! Must hold: nothing of it survives the value: processes are killed when it is dropped. The command line is used
//! as a person would, so that what works here works from a shell.
//! A member is started again only when its former process is dead: a supervisor waits for that, too.

pub(crate) mod process;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// Longest that any one thing may take before the drill gives up: an election, a lease and a restart fit.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(150);

/// The processes and where they live.
#[derive(Debug)]
pub struct Federation {
    dir: PathBuf,
    bin: PathBuf,
    /// Members that were started again here.
    revived: BTreeMap<u64, Child>,
}

/// What a command line answered.
#[derive(Debug)]
pub struct Answer {
    /// Exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Answer {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        Self { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Printed JSON.
    ///
    /// # Errors
    /// It failed, or printed something else.
    pub fn json(&self) -> Result<Value> {
        ensure!(self.code == 0, "exit {}: {}", self.code, self.stderr.trim());
        serde_json::from_str(&self.stdout).with_context(|| format!("not JSON: {}", self.stdout))
    }

    /// Fails unless it exited with 0.
    ///
    /// # Errors
    /// What it complained.
    pub fn ok(self) -> Result<Self> {
        ensure!(self.code == 0, "exit {}: {}{}", self.code, self.stdout, self.stderr);
        Ok(self)
    }
}

/// The folder of the running program: the shipped binaries lie beside it. A test's own program lies one deeper.
///
/// # Errors
/// The path of the running program is unknown.
pub fn beside() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let dir = own.parent().context("a program has a folder")?;
    let dir = if dir.ends_with("deps") { dir.parent().context("deps has a parent")? } else { dir };
    Ok(dir.to_owned())
}

/// What a program wrote into a file that it shared with this one.
fn whole(file: &mut File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Federation {
    /// Starts three controllers and four agents in `dir` and waits until every node is ready.
    ///
    /// # Errors
    /// A binary is missing, or something did not become ready in time.
    pub fn start(dir: &Path, port_base: u16) -> Result<Self> {
        Self::start_with(dir, port_base, &[])
    }

    /// As [`Self::start`], with more options of `sekisho dev`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(dir: &Path, port_base: u16, more: &[&str]) -> Result<Self> {
        Self::begin(dir, port_base, &[], more)
    }

    /// As [`Self::start`], by a command that is put before that of `sekisho dev` and may outlive it.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_under(dir: &Path, port_base: u16, before: &[String]) -> Result<Self> {
        Self::begin(dir, port_base, before, &[])
    }

    /// As [`Self::start`], with controllers that listen on three ports from `listen_base` on, for somebody who
    /// forwards those from `port_base` on to them.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_behind(dir: &Path, port_base: u16, listen_base: u16) -> Result<Self> {
        Self::start_with(dir, port_base, &["--listen-base", &listen_base.to_string()])
    }

    fn begin(dir: &Path, port_base: u16, before: &[String], more: &[&str]) -> Result<Self> {
        let bin = beside()?;
        for name in ["sekisho", "sekisho-controller", "sekisho-agent"] {
            ensure!(
                bin.join(name).is_file(),
                "{name} is not built: run `make demo` or `make test`"
            );
        }
        let federation = Self { dir: dir.to_owned(), bin, revived: BTreeMap::new() };
        let port_base = port_base.to_string();
        federation.dev(before, &[&["--fresh", "--port-base", &port_base], more].concat())?;
        Ok(federation)
    }

    fn dev(&self, before: &[String], more: &[&str]) -> Result<()> {
        let dir = self.dir.to_string_lossy().into_owned();
        let mut args = vec!["dev", "--dir", &dir, "--detach"];
        args.extend(more);
        // Into files: a pipe would end only with the last that was put before it.
        let (mut said, mut complained) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let mut command = self.command(before, "sekisho");
        command.args(&args).stdout(said.try_clone()?).stderr(complained.try_clone()?);
        let status = command.stdin(Stdio::null()).status().context("sekisho dev")?;
        let output = Output { status, stdout: whole(&mut said)?, stderr: whole(&mut complained)? };
        Answer::of(&output).ok().map(drop)
    }

    /// A shipped program, with a command put before its own.
    fn command(&self, before: &[String], program: &str) -> Command {
        let program = self.bin.join(program);
        let Some((first, rest)) = before.split_first() else { return Command::new(program) };
        let mut command = Command::new(first);
        command.args(rest).arg(program);
        command
    }

    /// Starts a member again that was killed. It is ended when this value is dropped.
    ///
    /// # Errors
    /// It cannot be started, or was not killed.
    pub fn revive(&mut self, member: u64) -> Result<()> {
        self.await_end(member)?;
        let config = self.dir.join("controllers").join(member.to_string()).join("controller.toml");
        let log = self.dir.join("logs").join(format!("controller-{member}.log"));
        let log = File::options().append(true).create(true).open(log)?;
        let child = Command::new(self.bin.join("sekisho-controller"))
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("sekisho-controller")?;
        self.revived.insert(member, child);
        Ok(())
    }

    /// Waits until a process that was killed is gone, whose child it may be.
    ///
    /// # Errors
    /// It is not, in time.
    pub fn gone(&self, name: &str) -> Result<()> {
        let pid = self.pid(name)?;
        self.until(&format!("the former {name} to be gone"), || {
            ensure!(process::is_over(pid), "process {pid} is still there");
            Ok(())
        })
    }

    /// Waits until the process of a member that was killed, or ends by itself, is gone. A signal is obeyed when the kernel
    /// gets to it: a process that is writing its log to disk goes on to hold its directory and its port until that is
    /// done, and the next one would be refused them.
    ///
    /// # Errors
    /// It is not, in time.
    pub fn await_end(&mut self, member: u64) -> Result<()> {
        self.gone(&format!("controller-{member}"))?;
        if let Some(mut child) = self.revived.remove(&member) {
            child.wait()?;
        }
        Ok(())
    }

    /// Where it lives.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Path of a shipped program.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Runs `sekisho --context CONTEXT ARGS`.
    ///
    /// # Errors
    /// The program cannot be run; what it answers is for the caller to judge.
    pub fn run(&self, context: &str, args: &[&str]) -> Result<Answer> {
        self.run_under(&[], context, args)
    }

    /// As [`Self::run`], by a command that is put before it.
    ///
    /// # Errors
    /// As there.
    pub fn run_under(&self, before: &[String], context: &str, args: &[&str]) -> Result<Answer> {
        let output = self
            .command(before, "sekisho")
            .env("SEKISHO_CONFIG", self.dir.join("contexts.toml"))
            .env("LC_ALL", "C.UTF-8")
            .args(["--context", context])
            .args(args)
            .output()
            .context("sekisho")?;
        Ok(Answer::of(&output))
    }

    /// Runs `sekisho-agent ARGS`, by a command that is put before it.
    ///
    /// # Errors
    /// As there.
    pub fn agent_under(&self, before: &[String], args: &[&str]) -> Result<Answer> {
        let output = self.command(before, "sekisho-agent").args(args).output();
        Ok(Answer::of(&output.context("sekisho-agent")?))
    }

    /// Runs a read and gives its JSON.
    ///
    /// # Errors
    /// It failed.
    pub fn read(&self, context: &str, args: &[&str]) -> Result<Value> {
        let mut all = args.to_vec();
        all.extend(["-o", "json"]);
        self.run(context, &all)?.json()
    }

    /// Writes a file into the federation's folder and gives its path.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn file(&self, name: &str, content: &str) -> Result<String> {
        let path = self.dir.join(name);
        std::fs::write(&path, content)?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// Process id by name: `controller-1`, `agent-tokyo-1-n-01`, …
    ///
    /// # Errors
    /// Not running.
    pub fn pid(&self, name: &str) -> Result<Pid> {
        let revived =
            name.strip_prefix("controller-").and_then(|n| self.revived.get(&n.parse().ok()?));
        if let Some(child) = revived {
            return Ok(Pid::from_raw(child.id().try_into()?));
        }
        let text = std::fs::read_to_string(self.dir.join("pids.toml"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix('='));
        Ok(Pid::from_raw(line.with_context(|| format!("no process {name}"))?.trim().parse()?))
    }

    /// Starts the agent of a node again that has ended; it is the caller's to end.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_agent(&self, site: &str, name: &str) -> Result<Child> {
        // It would find its state locked.
        self.gone(&format!("agent-{site}-{name}"))?;
        let dir = self.dir.join("agents").join(site).join(name);
        let log = File::options()
            .append(true)
            .open(self.dir.join(format!("logs/agent-{site}-{name}.log")))?;
        let mut command = Command::new(self.bin.join("sekisho-agent"));
        command.args(["run", "--config"]).arg(dir.join("agent.toml"));
        Ok(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?)
    }

    /// Sends a signal to one process.
    ///
    /// # Errors
    /// It is not there.
    pub fn signal(&self, name: &str, signal: Signal) -> Result<()> {
        kill(self.pid(name)?, signal).with_context(|| format!("{signal} to {name}"))
    }

    /// The member that leads.
    ///
    /// # Errors
    /// Nobody does, in time.
    pub fn leader(&self) -> Result<u64> {
        self.until("a leader", || {
            let members = self.read("kanto", &["member", "list"])?;
            let list = rows(&members, "items");
            let leader = list.iter().find(|m| m["leader"] == true).context("no leader yet")?;
            let name = leader["name"].as_str().context("a member has a name")?;
            Ok(name.trim_start_matches("members/").parse()?)
        })
    }

    /// Waits until three members are in touch and one of them leads.
    ///
    /// # Errors
    /// They are not, in time.
    pub fn whole(&self) -> Result<()> {
        self.until("three members in touch", || {
            let members = rows(&self.read("kanto", &["member", "list"])?, "items");
            ensure!(
                members.len() == 3 && members.iter().all(|m| m["reachable"] == true),
                "{members:?}"
            );
            ensure!(members.iter().filter(|m| m["leader"] == true).count() == 1, "{members:?}");
            Ok(())
        })
    }

    /// Waits until landmarks have proven `count` hosts: until then fixes come into the log.
    ///
    /// # Errors
    /// They have not, in time.
    pub fn proven(&self, count: usize) -> Result<()> {
        self.until(&format!("{count} hosts to be proven"), || {
            let all = rows(&self.read("kanto", &["node", "list"])?, "items");
            let tier = |node: &Value| node.pointer("/location/tier")?.as_str().map(str::to_owned);
            let tiers: Vec<String> = all.iter().filter_map(tier).collect();
            ensure!(
                tiers.iter().filter(|tier| *tier == "T2" || *tier == "T3").count() == count,
                "{tiers:?}"
            );
            Ok(())
        })
    }

    /// Waits until a job's phase is one of `phases`, and gives the job. Its tenant's person asks.
    ///
    /// # Errors
    /// It is not, in time; the error tells what it was.
    pub fn await_job(&self, job: &str, phases: &[&str]) -> Result<Value> {
        self.until(&format!("{job} to be {}", phases.join(" or ")), || {
            let tenant = job.split_once('/').map_or(job, |(tenant, _)| tenant);
            let found = self.read(tenant, &["job", "status", job])?;
            let told = |field: &str| found.get(field).and_then(Value::as_str).unwrap_or_default();
            let phase = told("phase");
            ensure!(phases.contains(&phase), "{job} is {phase}: {}", told("message"));
            Ok(found)
        })
    }

    /// Looks until `look` succeeds.
    ///
    /// # Errors
    /// What the last look said, after [`PATIENCE`], and the last words of the controllers.
    pub fn until<T>(&self, what: &str, look: impl FnMut() -> Result<T>) -> Result<T> {
        self.until_within(PATIENCE, what, look)
    }

    /// As [`Self::until`], with another patience.
    ///
    /// # Errors
    /// As there.
    pub fn until_within<T>(
        &self,
        patience: Duration,
        what: &str,
        mut look: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let begun = Instant::now();
        loop {
            match look() {
                Ok(found) => return Ok(found),
                Err(error) if begun.elapsed() > patience => {
                    let logs = process::last_words(&self.dir.join("logs"));
                    bail!("waited {patience:?} for {what}: {error:#}{logs}")
                }
                // waits: between two looks at another process's state, which cannot be subscribed to from a shell
                Err(_not_yet) => std::thread::sleep(LOOK),
            }
        }
    }

    /// Stops everything.
    pub fn stop(&self) {
        let dir = self.dir.to_string_lossy().into_owned();
        let stopped =
            Command::new(self.bin.join("sekisho")).args(["dev", "stop", "--dir", &dir]).output();
        drop(stopped);
    }
}

impl Drop for Federation {
    fn drop(&mut self) {
        for child in self.revived.values_mut() {
            // Gone already is as good.
            child.kill().ok();
            child.wait().ok();
        }
        self.stop();
    }
}

/// The rows of a listing, or of a field that is a list.
#[must_use]
pub fn rows(value: &Value, field: &str) -> Vec<Value> {
    value[field].as_array().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A federation of which member 1 is the process `pid`, and every program does nothing.
    fn federation(dir: &Path, pid: u32) -> Federation {
        std::fs::create_dir(dir.join("logs")).unwrap();
        std::fs::write(dir.join("pids.toml"), format!("[process]\ncontroller-1 = {pid}\n"))
            .unwrap();
        std::os::unix::fs::symlink("/bin/true", dir.join("sekisho-controller")).unwrap();
        Federation { dir: dir.to_owned(), bin: dir.to_owned(), revived: BTreeMap::new() }
    }

    #[test]
    fn a_member_is_started_again_only_when_its_former_process_is_dead() {
        let dir = tempfile::tempdir().unwrap();
        // It dies late, as one that the kernel keeps until its last write is on disk.
        let mut old = Command::new("sleep").arg("0.7").spawn().unwrap();
        let mut federation = federation(dir.path(), old.id());
        federation.revive(1).unwrap();
        assert!(old.try_wait().unwrap().is_some(), "two processes of one member");
        // Again, now of one that was started here.
        let first = federation.pid("controller-1").unwrap();
        federation.revive(1).unwrap();
        assert!(process::is_over(first) && federation.pid("controller-1").unwrap() != first);
    }

    #[test]
    fn a_wait_that_is_given_up_tells_what_the_controllers_said_last() {
        let dir = tempfile::tempdir().unwrap();
        let federation = federation(dir.path(), std::process::id());
        std::fs::write(dir.path().join("logs/controller-1.log"), "directory in use\n").unwrap();
        let given_up: Result<()> =
            federation.until_within(Duration::ZERO, "quorum", || bail!("nobody leads"));
        let text = given_up.unwrap_err().to_string();
        assert!(text.starts_with("waited 0ns for quorum: nobody leads\n--- "), "{text}");
        assert!(text.ends_with("controller-1.log\ndirectory in use"), "{text}");
    }
}
