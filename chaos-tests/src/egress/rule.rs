//! What a process of a federation on one machine may do with sockets, and a trace judged by it.

use super::trace::{Call, Target, parse};
use anyhow::{Context as _, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;

/// From which the kernel takes the ports of those who dial.
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Names of this host that may be dialled, and why. Nothing of ours listens at any.
const LOCAL: [(&str, &str); 2] = [
    ("/var/run/nscd/socket", "the C library asks whether this host keeps a cache of names"),
    ("/run/systemd/userdb/", "the C library asks this host's own list of users"),
];

/// Families of sockets and what they reach.
const FAMILIES: [&str; 4] = ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"];

/// What may be.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Every address that a settings file names.
    named: BTreeSet<SocketAddr>,
    /// Ports of those who dial, to which an answer goes.
    ephemeral: RangeInclusive<u16>,
}

/// What was, and what may not be.
#[derive(Debug, Default)]
pub struct Seen {
    /// Dials by address.
    pub dials: BTreeMap<SocketAddr, u64>,
    /// Datagrams to named addresses.
    pub datagrams: u64,
    /// Datagrams that answer one.
    pub replies: u64,
    /// The lines that break the rule.
    pub violations: Vec<String>,
}

impl Rule {
    /// The rule of the federation in `dir`: from the settings of its programs, which `sekisho dev` wrote.
    ///
    /// # Errors
    /// A file cannot be read, none names an address, or one names an address that is not this host's.
    pub fn of(dir: &Path) -> Result<Self> {
        let mut named = BTreeSet::new();
        settings(dir, &mut named)?;
        ensure!(!named.is_empty(), "no settings in {}", dir.display());
        let abroad: Vec<_> = named.iter().filter(|addr| !addr.ip().is_loopback()).collect();
        ensure!(abroad.is_empty(), "settings name addresses that are not loopback: {abroad:?}");
        let text = fs::read_to_string(EPHEMERAL).context(EPHEMERAL)?;
        let mut ports = text.split_whitespace().map(str::parse::<u16>);
        let mut port = || ports.next().context("a port")?.context(EPHEMERAL);
        let (first, last) = (port()?, port()?);
        Ok(Self { named, ephemeral: first..=last })
    }

    /// The named addresses.
    #[must_use]
    pub fn named(&self) -> &BTreeSet<SocketAddr> {
        &self.named
    }

    /// Judges one more trace.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn judge(&self, trace: &Path, seen: &mut Seen) -> Result<()> {
        let text = fs::read_to_string(trace).with_context(|| trace.display().to_string())?;
        for line in text.lines().filter(|line| !line.is_empty()) {
            for call in parse(line)? {
                if let Err(why) = self.one(&call, seen) {
                    seen.violations.push(format!("{why}: {line}"));
                }
            }
        }
        Ok(())
    }

    fn one(&self, call: &Call, seen: &mut Seen) -> Result<(), &'static str> {
        match call {
            Call::Socket(family, kind) => {
                let known = FAMILIES.contains(&family.as_str());
                let raw = kind.contains("SOCK_RAW") && family != "AF_NETLINK";
                if known && !raw { Ok(()) } else { Err("a socket that nothing here needs") }
            }
            Call::Ring => Err("what goes through a ring is not seen"),
            Call::Bind(Target::Inet(addr)) => {
                // Port 0: a socket that will dial.
                let own =
                    addr.port() == 0 && (addr.ip().is_loopback() || addr.ip().is_unspecified());
                if own || self.named.contains(addr) {
                    Ok(())
                } else {
                    Err("an address that no settings name")
                }
            }
            Call::Connect(Target::Inet(addr)) => {
                if !self.named.contains(addr) {
                    return Err("a dial to an address that no settings name");
                }
                add(seen.dials.entry(*addr).or_default());
                Ok(())
            }
            Call::Send(Target::Inet(addr)) => {
                if self.named.contains(addr) {
                    add(&mut seen.datagrams);
                } else if addr.ip().is_loopback() && self.ephemeral.contains(&addr.port()) {
                    add(&mut seen.replies);
                } else {
                    return Err("a datagram to an address that no settings name");
                }
                Ok(())
            }
            Call::Bind(target) | Call::Connect(target) | Call::Send(target) => local(target),
        }
    }
}

fn add(count: &mut u64) {
    *count = count.saturating_add(1);
}

fn local(target: &Target) -> Result<(), &'static str> {
    match target {
        Target::Kernel => Ok(()),
        Target::Unix(name) => {
            let listed = LOCAL.iter().any(|(known, _why)| name.starts_with(known));
            if listed { Ok(()) } else { Err("a name of this host that is on no list") }
        }
        Target::Inet(_) | Target::Unknown(_) => Err("not understood"),
    }
}

/// Addresses in quotes in every settings file below `dir`.
fn settings(dir: &Path, named: &mut BTreeSet<SocketAddr>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            // What a program keeps for itself says nothing of what it was told.
            if !["data", "devices", "logs"].iter().any(|kept| entry.file_name() == *kept) {
                settings(&path, named)?;
            }
        } else if path.extension().is_some_and(|ext| ext == "toml") {
            let text = fs::read_to_string(&path)?;
            named
                .extend(text.split(['"', '\'']).filter_map(|word| word.parse::<SocketAddr>().ok()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn federation() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let controller = dir.path().join("controllers/1");
        fs::create_dir_all(controller.join("data")).unwrap();
        let text = "listen = \"127.0.0.1:27600\"\n[metrics]\nlisten = '127.0.0.1:27607'\n[[landmark]]\nname = \"a\"\n\
                    datagrams = \"127.0.0.16:27600\"\n";
        fs::write(controller.join("controller.toml"), text).unwrap();
        fs::write(controller.join("data/x.toml"), "a = \"127.0.0.1:9\"").unwrap();
        dir
    }

    fn violations(rule: &Rule, line: &str) -> usize {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("1 {line}\n")).unwrap();
        let mut seen = Seen::default();
        rule.judge(file.path(), &mut seen).unwrap();
        seen.violations.len()
    }

    #[test]
    fn the_rule_is_what_the_settings_name() {
        let dir = federation();
        let rule = Rule::of(dir.path()).unwrap();
        let named: Vec<_> = rule.named().iter().map(ToString::to_string).collect();
        assert_eq!(named, ["127.0.0.1:27600", "127.0.0.1:27607", "127.0.0.16:27600"]);
        fs::write(dir.path().join("b.toml"), "a = \"198.51.100.1:1\"").unwrap();
        assert!(Rule::of(dir.path()).unwrap_err().to_string().contains("198.51.100.1:1"));
        let empty = tempfile::tempdir().unwrap();
        Rule::of(empty.path()).unwrap_err();
    }

    #[test]
    fn only_named_addresses_are_dialled_and_only_dialled_ones_answered() {
        let rule = Rule::of(federation().path()).unwrap();
        let to = |ip: &str, port: u16| {
            format!(
                "{{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr(\"{ip}\")}}, 16) = 0"
            )
        };
        let reply = *rule.ephemeral.start();
        for (call, ip, port, broken) in [
            ("connect(3, ", "127.0.0.1", 27_600, 0),
            ("connect(3, ", "127.0.0.1", 9, 1),
            ("connect(3, ", "127.0.0.1", reply, 1),
            ("connect(3, ", "192.0.2.1", 27_600, 1),
            ("bind(3, ", "127.0.0.16", 27_600, 0),
            ("bind(3, ", "0.0.0.0", 0, 0),
            ("bind(3, ", "0.0.0.0", 27_600, 1),
            ("bind(3, ", "127.0.0.1", 9, 1),
            ("sendto(3, \"\"..., 1, 0, ", "127.0.0.16", 27_600, 0),
            ("sendto(3, \"\"..., 1, 0, ", "127.0.0.1", reply, 0),
            ("sendto(3, \"\"..., 1, 0, ", "127.0.0.1", 53, 1),
            ("sendto(3, \"\"..., 1, 0, ", "192.0.2.1", reply, 1),
        ] {
            assert_eq!(
                violations(&rule, &format!("{call}{}", to(ip, port))),
                broken,
                "{call}{ip}:{port}"
            );
        }
    }

    #[test]
    fn other_ways_out_are_refused() {
        let rule = Rule::of(federation().path()).unwrap();
        for (line, broken) in [
            ("socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 3", 0),
            ("socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_ROUTE) = 3", 0),
            ("socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) = 3", 1),
            ("socket(AF_PACKET, SOCK_DGRAM, 0) = 3", 1),
            ("socket(AF_VSOCK, SOCK_STREAM, 0) = 3", 1),
            (
                "connect(3, {sa_family=AF_UNIX, sun_path=\"/var/run/nscd/socket\"}, 110) = -1 ENOENT (No)",
                0,
            ),
            ("connect(3, {sa_family=AF_UNIX, sun_path=\"/run/docker.sock\"}, 110) = 0", 1),
            ("connect(3, {sa_family=AF_UNIX, sun_path=@\"bus\"}, 110) = 0", 1),
            ("connect(3, 0x7ffd0000, 16) = -1 EFAULT (Bad address)", 1),
            ("io_uring_setup(8, {flags=0}) = 3", 1),
            ("sendto(3, \"\"..., 33, MSG_NOSIGNAL, NULL, 0) = 33", 0),
        ] {
            assert_eq!(violations(&rule, line), broken, "{line}");
        }
        assert!(LOCAL.iter().all(|(name, why)| name.starts_with('/') && why.len() > 10));
    }
}
