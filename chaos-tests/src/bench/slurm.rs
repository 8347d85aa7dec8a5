//! Debian's Slurm as the peer of placements: one `slurmctld` and 200 real `slurmd` on this machine, asked through its own
//! library for allocations, which start nothing.
//!
//! Must hold: Slurm is given its best (`sched/builtin`, no accounting, errors alone in its logs, ten threads for its
//! authentication), and all of it lies in a folder of its own: neither its key nor its settings are the machine's. What an
//! answer acknowledged is known whatever becomes of who asked.
//! Differs from ours: one controller without a quorum that saves its state up to five seconds later; GPUs stand as CPUs of a
//! node, which is less work than its generic resources; its clients speak plaintext, authenticated.

use super::meter::{Span, Spent};
use super::process::Process;
use super::{first_line, say};
use crate::fleet::Shape;
use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// What has to be installed, and how to see that it is.
const NEEDED: [(&str, &str); 5] = [
    ("slurmctld", "-V"),
    ("slurmd", "-V"),
    ("sbatch", "-V"),
    ("munged", "--version"),
    ("cc", "--version"),
];
const HEADER: &str = "/usr/include/slurm/slurm.h";
/// The line that installs it, as `deploy/scripts/bootstrap.sh bench` does.
const INSTALL: &str =
    "apt-get install --no-install-recommends slurmctld slurmd slurm-client munge libslurm-dev gcc";
/// What asks for allocations, compiled against the installed library.
const ALLOC: &str = include_str!("slurm/alloc.c");

/// Below the range of outgoing connections, with one more for each node.
const PORT: u16 = 28_000;
const NODES: u16 = 200;
/// Of a node: as many as 200 nodes need so that nothing has to end while it is measured.
const SLOTS: u16 = 64;
/// Longest path that a socket may have, with some to spare.
const SOCKET_MAX: usize = 100;
/// For the daemons to come up, and for allocations to end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// Threads that ask while the controller is killed.
const DRILL_THREADS: usize = 4;
/// More than is allocated until then.
const DRILL_JOBS: usize = 20_000;

/// What became of allocations that were asked for.
#[derive(Debug, Default)]
pub(super) struct Allocated {
    /// Those that were granted.
    pub(super) jobs: BTreeSet<u32>,
    /// Answers without one.
    pub(super) failed: usize,
    /// Of each granted one.
    pub(super) latencies: Vec<Duration>,
    pub(super) wall: Duration,
    /// Of all daemons.
    pub(super) cpu: Duration,
    /// Cores that everybody else kept busy meanwhile.
    pub(super) others: f64,
}

/// Acknowledged, and of those what is known no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) acknowledged: usize,
    pub(super) lost: usize,
}

/// The daemons.
#[derive(Debug)]
pub(super) struct Slurm {
    controller: Process,
    nodes: Vec<Process>,
    munged: Process,
    dir: PathBuf,
    settings: PathBuf,
}

/// Why it cannot be measured here, with what would help; `None` = it can.
pub(super) fn missing() -> Option<String> {
    let absent =
        NEEDED.iter().filter(|(program, argument)| first_line(program, argument).is_none());
    let mut missing: Vec<&str> = absent.map(|(program, _)| *program).collect();
    if !Path::new(HEADER).exists() {
        missing.push(HEADER);
    }
    if !missing.is_empty() {
        return Some(format!("{} missing; {INSTALL}", missing.join(", ")));
    }
    let is_root = nix::unistd::geteuid().is_root();
    (!is_root).then(|| "slurmctld and slurmd run as root only".to_owned())
}

/// Its version, for the head of a report.
pub(super) fn version() -> String {
    first_line("slurmctld", "-V").unwrap_or_default()
}

fn settings(dir: &Path) -> Result<String> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    let (host, own) = (host.trim(), dir.display());
    let (first, last) = (PORT.saturating_add(1), PORT.saturating_add(NODES));
    let (top, half) = (NODES.saturating_sub(1), SLOTS / 2);
    let mut text = format!(
        "ClusterName=bench\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={PORT}\nSlurmdPort={first}\n\
         SlurmUser=root\nSlurmdUser=root\nAuthType=auth/munge\nAuthInfo=socket={own}/munge/socket\n\
         CryptoType=crypto/munge\nStateSaveLocation={own}/state\nSlurmctldPidFile={own}/slurmctld.pid\n\
         SlurmctldLogFile={own}/slurmctld.log\nSlurmdSpoolDir={own}/spool/%n\n\
         SlurmdPidFile={own}/slurmd.%n.pid\nSlurmdLogFile={own}/log/%n.log\n"
    );
    text += "SlurmctldDebug=error\nSlurmdDebug=error\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n\
             SwitchType=switch/none\nMpiDefault=none\nSelectType=select/cons_tres\nSelectTypeParameters=CR_Core\n\
             SchedulerType=sched/builtin\nPriorityType=priority/basic\n\
             SchedulerParameters=default_queue_depth=10000,sched_max_job_start=0,batch_sched_delay=0,max_rpc_cnt=0\n\
             AccountingStorageType=accounting_storage/none\nJobAcctGatherType=jobacct_gather/none\n\
             JobCompType=jobcomp/none\nMaxJobCount=500000\nMaxArraySize=100001\nMinJobAge=5\nReturnToService=2\n\
             InactiveLimit=0\nMessageTimeout=60\nSlurmdParameters=config_overrides\nTreeWidth=250\n";
    writeln!(
        text,
        "NodeName=n[0-{top}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs={SLOTS} Boards=1 \
         SocketsPerBoard=2 CoresPerSocket={half} ThreadsPerCore=1 RealMemory=512000 State=UNKNOWN\n\
         PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP"
    )?;
    Ok(text)
}

/// A daemon that stays in the foreground, so that it is our child.
fn daemon(program: &str, arguments: &[&str], log: PathBuf) -> Result<Process> {
    let arguments = arguments.iter().map(OsString::from).collect();
    let mut process = Process::new(Path::new(program), arguments, log);
    process.start()?;
    Ok(process)
}

fn munged(dir: &Path) -> Result<Process> {
    use std::os::unix::fs::PermissionsExt as _;
    let own = dir.join("munge");
    let key = own.join("key");
    let bytes: Vec<u8> = std::iter::repeat_with(rand::random::<u8>).take(1024).collect();
    std::fs::write(&key, bytes)?;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
    let at = |option: &str, name: &str| format!("--{option}={}", own.join(name).display());
    let paths = [
        at("socket", "socket"),
        at("key-file", "key"),
        at("pid-file", "pid"),
        at("log-file", "log"),
        at("seed-file", "seed"),
    ];
    // The folder is root's alone, which it would rather not have.
    let mut arguments = vec!["--foreground", "--force", "--num-threads", "10"];
    arguments.extend(paths.iter().map(String::as_str));
    daemon("munged", &arguments, own.join("out"))
}

impl Slurm {
    /// Starts all of it in `dir`, new, and waits until every node is idle.
    pub(super) fn start(dir: &Path) -> Result<Self> {
        let dir = dir.canonicalize()?;
        for folder in ["munge", "state", "spool", "log"] {
            std::fs::create_dir_all(dir.join(folder))?;
        }
        let socket = dir.join("munge/socket");
        ensure!(socket.as_os_str().len() <= SOCKET_MAX, "{}: too long for a socket", dir.display());
        let path = dir.join("slurm.conf");
        std::fs::write(&path, settings(&dir)?)?;
        let file = path.to_string_lossy().into_owned();
        let munged = munged(&dir)?;
        let end = Instant::now() + PATIENCE;
        while !socket.exists() {
            ensure!(Instant::now() < end, "munged does not come up: {}", dir.display());
            std::thread::sleep(LOOK);
        }
        let controller = daemon("slurmctld", &["-D", "-f", &file], dir.join("log/slurmctld.out"))?;
        let mut nodes = Vec::new();
        for number in 0..NODES {
            let name = format!("n{number}");
            std::fs::create_dir_all(dir.join("spool").join(&name))?;
            let log = dir.join("log").join(format!("{name}.out"));
            nodes.push(daemon("slurmd", &["-D", "-N", &name, "-f", &file], log)?);
        }
        let slurm = Self { controller, nodes, munged, dir, settings: path };
        slurm.compile()?;
        slurm.until("nodes to be idle", || {
            let states = slurm.ask("sinfo", &["-h", "-o", "%D %T"])?;
            ensure!(states.trim() == format!("{NODES} idle"), "{states}");
            Ok(())
        })?;
        Ok(slurm)
    }

    fn compile(&self) -> Result<()> {
        let source = self.dir.join("alloc.c");
        std::fs::write(&source, ALLOC)?;
        let output = Command::new("cc")
            .args(["-O2", "-o"])
            .arg(self.dir.join("alloc"))
            .arg(&source)
            .args(["-lslurm", "-lpthread"])
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Its processes.
    fn pids(&self) -> Result<Vec<Pid>> {
        let all = [&self.controller, &self.munged].into_iter().chain(&self.nodes);
        all.map(Process::pid).collect()
    }

    fn ask(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(program);
        let output = command.args(arguments).env("SLURM_CONF", &self.settings).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program}: {}", said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn until(&self, what: &str, mut look: impl FnMut() -> Result<()>) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while let Err(error) = look() {
            if Instant::now() >= end {
                bail!("waited {PATIENCE:?} for {what}: {error:#}; logs in {}", self.dir.display());
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// The program that asks, with these jobs for its input and its answers in a file.
    fn asking(&self, jobs: &[Shape], threads: usize) -> Result<(Command, PathBuf)> {
        let mut lines = String::new();
        for Shape { group, gpus, .. } in jobs {
            writeln!(lines, "{group} {}", group.saturating_mul(*gpus))?;
        }
        let (input, answers) = (self.dir.join("jobs"), self.dir.join("answers"));
        std::fs::write(&input, lines)?;
        let mut command = Command::new(self.dir.join("alloc"));
        command.arg(threads.to_string()).env("SLURM_CONF", &self.settings);
        command.stdin(File::open(&input)?).stdout(File::create(&answers)?).stderr(Stdio::null());
        Ok((command, answers))
    }

    /// Has these jobs allocated, and releases them again.
    pub(super) fn allocate(&self, jobs: &[Shape], threads: usize) -> Result<Allocated> {
        let (mut asking, answers) = self.asking(jobs, threads)?;
        let span = Span::begin(self.pids()?)?;
        let status = asking.status().context("alloc")?;
        let Spent { wall, members, others, .. } = span.end()?;
        ensure!(status.success(), "alloc: {status}");
        let told = Allocated::read(&std::fs::read_to_string(answers)?);
        let found = Allocated { wall, cpu: members, others, ..told };
        ensure!(!found.jobs.is_empty(), "Slurm allocated nothing");
        self.release()?;
        Ok(found)
    }

    /// Ends all that there is, and waits until it is gone.
    fn release(&self) -> Result<()> {
        self.ask("scancel", &["-u", "root"])?;
        self.until("allocations to end", || {
            let left = self.ask("squeue", &["-h", "-o", "%A"])?;
            ensure!(left.trim().is_empty(), "{} are there", left.lines().count());
            Ok(())
        })
    }

    /// Runs `sbatch` so many times: from the start of its process to its end. The jobs are held, so that nothing is launched.
    pub(super) fn command_line(&self, times: u32) -> Result<Vec<Duration>> {
        let mut found = Vec::new();
        for _time in 0..times {
            let begun = Instant::now();
            self.ask("sbatch", &["--hold", "--output", "/dev/null", "--wrap", "true"])?;
            found.push(begun.elapsed());
        }
        self.release()?;
        Ok(found)
    }

    /// Kills the controller while it allocates, after so long, starts it again, and counts what it does not know any more.
    pub(super) fn kill(&mut self, after: Duration, one: &Shape) -> Result<Lost> {
        let jobs = vec![one.clone(); DRILL_JOBS];
        let (mut asking, answers) = self.asking(&jobs, DRILL_THREADS)?;
        let mut asking = asking.spawn().context("alloc")?;
        std::thread::sleep(after);
        let killed = self.controller.signal(Signal::SIGKILL);
        asking.kill()?;
        asking.wait()?;
        killed?;
        self.controller.reap()?;
        let told = Allocated::read(&std::fs::read_to_string(answers)?);
        self.controller.start()?;
        let mut known = String::new();
        self.until("slurmctld to answer", || {
            known = self.ask("squeue", &["-h", "-t", "all", "-o", "%A"])?;
            Ok(())
        })?;
        let known: BTreeSet<u32> =
            known.lines().filter_map(|line| line.trim().parse().ok()).collect();
        let lost = told.jobs.difference(&known).count();
        say(&format!("Slurm: {lost} of {} acknowledged allocations are gone", told.jobs.len()));
        Ok(Lost { acknowledged: told.jobs.len(), lost })
    }
}

impl Allocated {
    /// Reads what `alloc.c` says; a last line that was cut off was acknowledged to nobody.
    fn read(answers: &str) -> Self {
        let mut read = Self::default();
        for line in answers.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let granted = line.trim_end().split_once(' ').and_then(|(job, micros)| {
                Some((job.parse::<u32>().ok()?, micros.parse::<u64>().ok()?))
            });
            if let Some((job, micros)) = granted {
                read.jobs.insert(job);
                read.latencies.push(Duration::from_micros(micros));
            } else {
                read.failed = read.failed.saturating_add(1);
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_is_read_line_by_line() {
        let told = "7 1200\n- queued\n9 800\n- Unable to contact slurm controller\n12";
        let found = Allocated::read(told);
        assert_eq!((found.jobs.len(), found.failed), (2, 2));
        assert_eq!(found.latencies, [1200, 800].map(Duration::from_micros));
    }

    #[test]
    fn settings_name_the_folder_and_no_other() {
        let text = settings(Path::new("/tmp/x")).unwrap();
        assert!(text.contains("StateSaveLocation=/tmp/x/state\n") && text.contains("CPUs=64 "));
        assert!(text.contains("NodeName=n[0-199] ") && text.contains("Port=[28001-28200]"));
        assert!(!text.contains("/var/") && !text.contains("/etc/"));
    }

    #[test]
    fn what_is_missing_is_named_with_the_line_that_installs_it() {
        if let Some(why) = missing() {
            assert!(why.contains("apt-get install") || why.contains("root"), "{why}");
        }
    }
}
