//! Which cgroups this host gives the agent: read from the kernel's tables, then tried.
//!
//! Must hold: a controller counts as there only when a group of ours has its files. Nothing of another program is moved: the
//! agent makes a group for itself below its own only when nobody else is in it.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::{Controller, Parents, Version, put};

/// Below the agent's own group, for the agent itself: with version 2 a group that has groups below has no processes.
const SELF: &str = "sekisho-agent";

/// What this host gives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// Where groups of jobs are made.
    pub parents: Parents,
    /// Controllers that cannot be used, and why not.
    pub missing: BTreeMap<Controller, String>,
}

impl Host {
    /// Looks, and makes the groups above those of the jobs of the runtime directory `root`.
    #[must_use]
    pub fn find(root: &Path) -> Self {
        let layout = match (
            fs::read_to_string("/proc/self/mountinfo"),
            fs::read_to_string("/proc/self/cgroup"),
        ) {
            (Ok(mounts), Ok(own)) => Layout::read(&mounts, &own),
            (Err(error), _) | (_, Err(error)) => {
                let why = format!("the kernel does not tell where cgroups are: {error}");
                let missing = Controller::ALL.map(|controller| (controller, why.clone())).into();
                return Self { missing, ..Self::default() };
            }
        };
        let mut host = Self::default();
        let name = name_of(root);
        for controller in Controller::ALL {
            let found = match layout.of(controller) {
                Some((Version::V1, own)) => version_1(controller, own, &name),
                Some((Version::V2, own)) => version_2(controller, own, &name),
                None => Err("no cgroup file system is mounted".to_owned()),
            };
            match (found, layout.of(controller)) {
                (Ok(parent), Some((version, _))) => {
                    host.parents.0.insert(controller, (version, parent));
                }
                (Ok(_), None) => {}
                (Err(why), _) => {
                    host.missing.insert(controller, why);
                }
            }
        }
        host
    }

    /// Removes the groups above those of the jobs, if they are empty.
    pub fn leave(&self) {
        for (_, parent) in self.parents.0.values() {
            // One that is in use stays.
            drop(fs::remove_dir(parent));
        }
    }
}

/// Two agents of one host must not meet: a placement's key is unique in its runtime directory only.
fn name_of(root: &Path) -> String {
    format!("sekisho-{:08x}", crc32c::crc32c(root.as_os_str().as_encoded_bytes()))
}

/// Where this process is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Layout {
    v1: BTreeMap<Controller, PathBuf>,
    v2: Option<PathBuf>,
}

impl Layout {
    /// From the text of `/proc/self/mountinfo` and `/proc/self/cgroup`.
    fn read(mounts: &str, own: &str) -> Self {
        // hierarchy:controllers:path, and the second is empty for version 2.
        let own: Vec<(&str, &str)> =
            own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')).collect();
        let path_of = |wanted: &dyn Fn(&str) -> bool| {
            own.iter().find(|(names, _)| wanted(names)).map(|(_, path)| *path)
        };
        let mut layout = Self::default();
        for line in mounts.lines() {
            // 31 23 0:28 ROOT MOUNTPOINT options optional-fields - TYPE source super-options
            let Some((head, tail)) = line.split_once(" - ") else { continue };
            let (mut head, mut tail) = (head.split(' ').skip(3), tail.split(' '));
            let (Some(root), Some(point), Some(kind)) = (head.next(), head.next(), tail.next())
            else {
                continue;
            };
            let options = tail.nth(1).unwrap_or_default();
            match kind {
                "cgroup" => {
                    for controller in Controller::ALL {
                        let name = controller.name();
                        let named = |names: &str| names.split(',').any(|n| n == name);
                        if named(options)
                            && let Some(path) = path_of(&named)
                        {
                            layout.v1.entry(controller).or_insert_with(|| below(point, root, path));
                        }
                    }
                }
                "cgroup2" if layout.v2.is_none() => {
                    layout.v2 = path_of(&str::is_empty).map(|path| below(point, root, path));
                }
                _ => {}
            }
        }
        layout
    }

    /// A controller is in one hierarchy only; where it has one of its own, version 2 does not have it.
    fn of(&self, controller: Controller) -> Option<(Version, &Path)> {
        let v1 = self.v1.get(&controller).map(|own| (Version::V1, own.as_path()));
        v1.or_else(|| self.v2.as_deref().map(|own| (Version::V2, own)))
    }
}

/// The group `path` as seen through a mount of the group `root`. In a container they can lie apart; then what is mounted is
/// all that there is.
fn below(point: &str, root: &str, path: &str) -> PathBuf {
    let inner = if root == "/" { Some(path) } else { path.strip_prefix(root) };
    let inner = inner.filter(|inner| !inner.contains("..")).unwrap_or_default();
    let group = Path::new(point).join(inner.trim_start_matches('/'));
    if group.is_dir() { group } else { PathBuf::from(point) }
}

fn made(group: &Path) -> Result<(), String> {
    match DirBuilder::new().create(group) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(format!("cannot make {}: {error}", group.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn has(group: &Path, file: &str) -> Result<(), String> {
    let path = group.join(file);
    if path.exists() { Ok(()) } else { Err(format!("{} is missing", path.display())) }
}

fn version_1(controller: Controller, own: &Path, name: &str) -> Result<PathBuf, String> {
    let parent = own.join(name);
    made(&parent)?;
    has(
        &parent,
        match controller {
            Controller::Memory => "memory.limit_in_bytes",
            Controller::Pids => "pids.max",
            Controller::Cpu => "cpu.cfs_quota_us",
        },
    )?;
    Ok(parent)
}

fn version_2(controller: Controller, own: &Path, name: &str) -> Result<PathBuf, String> {
    let there = fs::read_to_string(own.join("cgroup.controllers"))
        .map_err(|error| format!("{}: {error}", own.display()))?;
    if !there.split_whitespace().any(|found| found == controller.name()) {
        return Err(format!("{} does not have it; a service needs `Delegate=yes`", own.display()));
    }
    let parent = own.join(name);
    hand_down(controller, own)?;
    made(&parent)?;
    hand_down(controller, &parent)?;
    Ok(parent)
}

/// Lets the groups below `group` use the controller.
fn hand_down(controller: Controller, group: &Path) -> Result<(), String> {
    let (path, value) = (group.join("cgroup.subtree_control"), format!("+{controller}"));
    let told = |error: io::Error| format!("{}: {error}", path.display());
    match put(&path, &value) {
        Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
            make_room(group)?;
            put(&path, &value).map_err(told)
        }
        other => other.map_err(told),
    }
}

/// Moves the agent, its watchdog and its shims into a group of their own, if nobody else is in `group`.
fn make_room(group: &Path) -> Result<(), String> {
    let told = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let program = fs::read_link("/proc/self/exe").map_err(|error| error.to_string())?;
    let procs = group.join("cgroup.procs");
    let pids = fs::read_to_string(&procs).map_err(|error| told(&procs, error))?;
    for pid in pids.split_whitespace() {
        let other = fs::read_link(format!("/proc/{pid}/exe")).ok();
        if other.is_some_and(|other| other != program) {
            return Err(format!(
                "process {pid}, which is not ours, is in {}; run the agent as a service with `Delegate=yes`",
                group.display()
            ));
        }
    }
    let inner = group.join(SELF);
    made(&inner)?;
    let entrance = inner.join("cgroup.procs");
    for pid in pids.split_whitespace() {
        match put(&entrance, pid) {
            Err(error) if error.raw_os_error() != Some(Errno::ESRCH as i32) => {
                return Err(told(&entrance, error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 23 0:28 / /none/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /none/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /none/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /none/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /none/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const HYBRID_OWN: &str = "9:name=systemd:/\n4:memory:/a/b\n1:cpu,cpuacct:/\n0::/\n";

    #[test]
    fn each_controller_is_looked_for_where_the_host_has_it() {
        let hybrid = Layout::read(HYBRID, HYBRID_OWN);
        let at = |controller| hybrid.of(controller).map(|(v, path)| (v, path.to_str().unwrap()));
        assert_eq!(at(Controller::Cpu), Some((Version::V1, "/none/cgroup/cpu,cpuacct")));
        assert_eq!(at(Controller::Memory), Some((Version::V1, "/none/cgroup/memory")));
        assert_eq!(at(Controller::Pids), Some((Version::V2, "/none/cgroup/unified")));
        let unified =
            "30 23 0:26 / /none/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let unified = Layout::read(unified, "0::/system.slice/sekisho-agent.service\n");
        for controller in Controller::ALL {
            assert_eq!(unified.of(controller), Some((Version::V2, Path::new("/none/cgroup"))));
        }
        assert_eq!(Layout::read("", "0::/\n").of(Controller::Cpu), None);
        assert_eq!(Layout::read("rubbish - cgroup", ":::"), Layout::default());
    }

    #[test]
    fn a_group_is_found_through_the_mount_and_never_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let point = dir.path().to_str().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        assert_eq!(below(point, "/", "/a/b"), dir.path().join("a/b"));
        assert_eq!(below(point, "/outer", "/outer/a"), dir.path().join("a"));
        for (root, path) in [("/", "/gone"), ("/outer", "/other"), ("/", "/../.."), ("/", "/")] {
            assert_eq!(
                below(point, root, path),
                Path::new(&format!("{point}{}", if path == "/" { "/" } else { "" })),
                "{path}"
            );
        }
    }

    #[test]
    fn this_host_gives_each_controller_or_says_why_not() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::find(root.path());
        for controller in Controller::ALL {
            assert_ne!(
                host.parents.0.contains_key(&controller),
                host.missing.contains_key(&controller),
                "{controller}"
            );
        }
        assert_ne!(name_of(Path::new("/a")), name_of(Path::new("/b")));
        host.leave();
    }
}
