//! What the kernel has to confine jobs with: filters of system calls, control groups, and what it says of namespaces.

use crate::catalogue::node::*;
use crate::check::Finding;
use crate::host::{kernel_file, may_use};
use nix::unistd::geteuid;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The settings of the kernel that decide whether somebody who is not root can make namespaces, and whom that is asked for.
#[must_use]
pub fn facts() -> String {
    const SETTINGS: [&str; 3] = [
        "user/max_user_namespaces",
        "kernel/unprivileged_userns_clone",
        "kernel/apparmor_restrict_unprivileged_userns",
    ];
    let mut facts = vec![format!("user {}", geteuid())];
    for setting in SETTINGS {
        // Not every kernel has each of them.
        if let Ok(value) = kernel_file(format!("/proc/sys/{setting}")) {
            facts.push(format!("{} = {}", setting.replace('/', "."), value.trim()));
        }
    }
    let status = kernel_file("/proc/self/status").unwrap_or_default();
    if status.lines().any(|line| line.split_ascii_whitespace().eq(["Seccomp:", "2"])) {
        facts.push("a seccomp filter is in force".to_owned());
    }
    facts.join(", ")
}

/// The check `seccomp`.
#[must_use]
pub fn seccomp() -> Finding {
    match kernel_file("/proc/sys/kernel/seccomp/actions_avail") {
        Ok(actions) => Finding::new(&SECCOMP_SOUND).with("actions", actions.trim()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Finding::new(&SECCOMP_NONE),
        Err(error) => Finding::told(&SECCOMP, Err(error)),
    }
}

/// Controllers that a job's limits need.
const NEEDED: [&str; 3] = ["cpu", "memory", "pids"];

/// The control groups of a host, and where a program stands in them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Groups {
    /// `1`, `2`, or `1 and 2`.
    version: &'static str,
    controllers: BTreeSet<String>,
    /// The group below which others would be made.
    path: PathBuf,
}

/// The check `cgroups`, of process `pid` or of this one.
#[must_use]
pub fn cgroups(pid: Option<u32>) -> Finding {
    let whose = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let read = kernel_file("/proc/self/mountinfo")
        .and_then(|mounts| Ok((mounts, kernel_file(format!("/proc/{whose}/cgroup"))?)));
    let (mounts, own) = match read {
        Ok(read) => read,
        Err(error) => return Finding::told(&CGROUPS, Err(error)),
    };
    let Some(mut groups) = groups(&mounts, &own) else { return Finding::new(&CGROUPS_NONE) };
    if groups.controllers.is_empty() {
        let listed = kernel_file(groups.path.join("cgroup.controllers")).unwrap_or_default();
        groups.controllers = listed.split_ascii_whitespace().map(str::to_owned).collect();
    }
    let open = may_use(&groups.path).is_ok();
    judge(&groups, open)
}

/// By `/proc/self/mountinfo` and `/proc/PID/cgroup`. The controllers of version 2 stand in its own files.
fn groups(mounts: &str, own: &str) -> Option<Groups> {
    let mut first = Vec::new();
    let mut second = None;
    for line in mounts.lines() {
        let (left, right) = line.split_once(" - ")?;
        let place = left.split(' ').nth(4)?;
        let mut right = right.split(' ');
        match right.next()? {
            "cgroup" => first.push((place, right.nth(1)?)),
            "cgroup2" => second = Some(place),
            _ => {}
        }
    }
    let below = |place: &str, group: &str| Path::new(place).join(group.trim_start_matches('/'));
    let controllers: BTreeSet<String> = first
        .iter()
        .flat_map(|(_, options)| options.split(','))
        .filter(|option| NEEDED.contains(option) || ["cpuset", "devices", "io"].contains(option))
        .map(str::to_owned)
        .collect();
    let group_of = |name: &str| {
        own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let names = parts.next()?;
            let group = parts.next()?;
            names.split(',').any(|one| one == name).then_some(group)
        })
    };
    if controllers.is_empty() {
        let place = second?;
        let path = below(place, group_of("").unwrap_or("/"));
        return Some(Groups { version: "2", controllers, path });
    }
    let version = if second.is_some() { "1 and 2" } else { "1" };
    let memory = first.iter().find(|(_, options)| options.split(',').any(|one| one == "memory"));
    let (place, name) = memory.map_or_else(
        || first.first().map(|(place, options)| (*place, *options)),
        |(place, _)| Some((*place, "memory")),
    )?;
    Some(Groups { version, controllers, path: below(place, group_of(name).unwrap_or("/")) })
}

fn judge(groups: &Groups, open: bool) -> Finding {
    let missing: Vec<&str> =
        NEEDED.into_iter().filter(|needed| !groups.controllers.contains(*needed)).collect();
    let outcome = if !missing.is_empty() {
        &CGROUPS_LACKING
    } else if open {
        &CGROUPS_SOUND
    } else {
        &CGROUPS_CLOSED
    };
    let controllers: Vec<&str> = groups.controllers.iter().map(String::as_str).collect();
    Finding::new(outcome)
        .with("version", groups.version)
        .with("controllers", controllers.join(" "))
        .with("missing", missing.join(" "))
        .with("path", groups.path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIFIED: &str = "30 1 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
    const HYBRID: &str = "30 1 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                          31 1 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                          32 1 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                          33 1 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";

    #[test]
    fn both_versions_are_found_where_the_host_has_them() {
        let second = groups(UNIFIED, "0::/system.slice/sekisho-agent.service\n").unwrap();
        let path = "/sys/fs/cgroup/system.slice/sekisho-agent.service";
        assert_eq!((second.version, second.path.to_str().unwrap()), ("2", path));
        let own = "4:memory:/box\n3:pids:/\n2:cpu,cpuacct:/\n0::/\n";
        let hybrid = groups(HYBRID, own).unwrap();
        assert_eq!(
            (hybrid.version, hybrid.path.to_str().unwrap()),
            ("1 and 2", "/sys/fs/cgroup/memory/box")
        );
        assert_eq!(judge(&hybrid, true).outcome.code, "CGROUPS_SOUND");
        assert_eq!(judge(&hybrid, false).outcome.code, "CGROUPS_CLOSED");
        assert_eq!(groups("1 0 8:1 / / rw - ext4 /dev/sda rw\n", "0::/\n"), None);
        let lacking = HYBRID.replace("rw,pids", "rw,freezer");
        let found = judge(&groups(&lacking, own).unwrap(), true);
        assert_eq!(
            (found.outcome.code, found.values()["missing"].as_str()),
            ("CGROUPS_LACKING", "pids")
        );
    }

    #[test]
    fn this_machine_is_looked_at_without_a_change() {
        assert!(facts().starts_with("user "), "{}", facts());
        assert_ne!(cgroups(None).outcome.code, "ANY_UNREADABLE");
        assert_ne!(seccomp().outcome.code, "ANY_UNREADABLE");
        assert_eq!(cgroups(Some(u32::MAX)).outcome.code, "ANY_UNREADABLE");
    }
}
