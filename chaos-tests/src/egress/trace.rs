//! Lines of `strace`: the calls by which something could leave a process for the first time.
//!
//! Only what a call was given is read, which stands on the line where it was entered; how it ended is not asked for. What was
//! tried and did not come through was tried all the same.

use anyhow::{Result, bail, ensure};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// What is traced. What a connected socket sends needs no look: its `connect` has had one. A ring could do all of it
/// unseen.
const CALLS: &str = "trace=socket,connect,bind,sendto,sendmsg,sendmmsg,io_uring_setup";
/// How long the last words of a tracer are waited for.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An address and a port.
    Inet(SocketAddr),
    /// A file of this host, or a name in it (`@NAME`).
    Unix(String),
    /// This host's kernel.
    Kernel,
    /// Something else, as it stands there.
    Unknown(String),
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A socket is made: its family and kind.
    Socket(String, String),
    /// It takes an address of this host.
    Bind(Target),
    /// It gets a peer.
    Connect(Target),
    /// Something is sent to somebody who is named with it.
    Send(Target),
    /// A way to make such calls without making them.
    Ring,
}

/// The calls of one line; none for the rest of a call that was interrupted, for ends and for sends over a connection.
///
/// # Errors
/// The line is none of `strace -f -o FILE`.
pub fn parse(line: &str) -> Result<Vec<Call>> {
    let (pid, rest) =
        line.trim().split_once(char::is_whitespace).unwrap_or_else(|| (line.trim(), ""));
    ensure!(!pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()), "no process: {line}");
    let rest = rest.trim_start();
    if ["<...", "---", "+++"].iter().any(|mark| rest.starts_with(mark)) {
        return Ok(Vec::new());
    }
    let Some((name, given)) = rest.split_once('(') else { bail!("no call: {line}") };
    Ok(match name {
        "socket" => {
            let mut words = given.split([',', ')']).map(str::trim);
            let mut word = || words.next().unwrap_or_default().to_owned();
            vec![Call::Socket(word(), word())]
        }
        "connect" => vec![Call::Connect(one(given))],
        "bind" => vec![Call::Bind(one(given))],
        "sendto" | "sendmsg" | "sendmmsg" => sent(name, given),
        "io_uring_setup" => vec![Call::Ring],
        _ => bail!("a call that was not asked for: {line}"),
    })
}

/// The address among what a call was given.
fn one(given: &str) -> Target {
    let mut all = addresses(given);
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => only,
        _ => Target::Unknown(given.to_owned()),
    }
}

/// To whom; to nobody new where no name was given.
fn sent(name: &str, given: &str) -> Vec<Call> {
    let named = addresses(given);
    let unnamed = if name == "sendto" { ", NULL, 0" } else { "msg_name=NULL" };
    if named.is_empty() && !given.contains(unnamed) {
        return vec![Call::Send(Target::Unknown(given.to_owned()))];
    }
    named.into_iter().map(Call::Send).collect()
}

/// Every `sa_family=` with what follows. Contents of messages are not printed (`-s 0`), so that none is in one.
fn addresses(given: &str) -> Vec<Target> {
    given.split("{sa_family=").skip(1).map(address).collect()
}

fn address(text: &str) -> Target {
    let family = text.split([',', '}']).next().unwrap_or_default();
    let known = match family {
        "AF_INET" => inet(text, "sin_port=htons(", "inet_addr(\""),
        "AF_INET6" => inet(text, "sin6_port=htons(", "inet_pton(AF_INET6, \""),
        "AF_UNIX" => unix(text),
        "AF_NETLINK" => Some(Target::Kernel),
        _ => None,
    };
    known.unwrap_or_else(|| Target::Unknown(text.to_owned()))
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(found, _)| found)
}

fn inet(text: &str, port: &str, ip: &str) -> Option<Target> {
    let port: u16 = between(text, port, ")")?.parse().ok()?;
    let ip: IpAddr = between(text, ip, "\"")?.parse().ok()?;
    Some(Target::Inet(SocketAddr::new(ip, port)))
}

fn unix(text: &str) -> Option<Target> {
    let (_, rest) = text.split_once("sun_path=")?;
    let (mark, rest) = rest.strip_prefix('@').map_or(("", rest), |rest| ("@", rest));
    // A quote in a name is printed with a backslash: such a name is cut short, and then on no list.
    let name = rest.strip_prefix('"')?.split('"').next()?;
    Some(Target::Unix(format!("{mark}{name}")))
}

/// `strace` with what it needs to add to `file`, up to the command. Detached, it goes on with what that leaves behind.
#[must_use]
pub fn tracer(file: &Path, detached: bool) -> Vec<String> {
    let mut words = vec!["strace"];
    if detached {
        words.push("-D");
    }
    // By a filter in the kernel, so that nothing else is slowed down.
    words.extend([
        "-f",
        "-qq",
        "--seccomp-bpf",
        "-s",
        "0",
        "-e",
        "signal=none",
        "-e",
        CALLS,
        "-A",
        "-o",
    ]);
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    words.push(file.to_string_lossy().into_owned());
    words
}

/// Why nothing can be traced on this machine, if so.
#[must_use]
pub fn missing() -> Option<String> {
    let words = tracer(Path::new("/dev/null"), false);
    let mut command = Command::new("strace");
    command.args(words.iter().skip(1)).arg("true").stdin(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Some(format!("strace cannot trace: {}", said.lines().next().unwrap_or_default()))
        }
        Err(error) => Some(format!("strace: {error}")),
    }
}

/// Waits until the detached tracer that writes to `file` has ended, which it does with the last that it traces.
///
/// # Errors
/// It goes on.
pub fn await_end(file: &Path) -> Result<()> {
    let marker = file.to_string_lossy();
    let begun = Instant::now();
    while !crate::work::running(&marker)?.is_empty() {
        ensure!(begun.elapsed() < ENDS_WITHIN, "something that {marker} traces does not end");
        // waits: for another process's end, which is not a child of this one
        std::thread::sleep(LOOK);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inet(text: &str) -> Target {
        Target::Inet(text.parse().unwrap())
    }

    /// As strace 6.1 wrote it.
    #[test]
    fn lines_of_a_real_trace_are_understood() {
        for (line, calls) in [
            (
                "14179 socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 3",
                vec![Call::Socket("AF_INET".into(), "SOCK_STREAM|SOCK_CLOEXEC".into())],
            ),
            (
                "14179 connect(3, {sa_family=AF_INET, sin_port=htons(22), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = -1 \
                 ECONNREFUSED (Connection refused)",
                vec![Call::Connect(inet("127.0.0.1:22"))],
            ),
            (
                "7 connect(3, {sa_family=AF_INET, sin_port=htons(22), sin_addr=inet_addr(\"127.0.0.1\")}, 16 \
                 <unfinished ...>",
                vec![Call::Connect(inet("127.0.0.1:22"))],
            ),
            ("7     <... connect resumed>)           = 0", vec![]),
            ("7     +++ exited with 0 +++", vec![]),
            (
                "8 connect(4, {sa_family=AF_INET6, sin6_port=htons(9), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, \
                 \"::1\", &sin6_addr), sin6_scope_id=0}, 28) = 0",
                vec![Call::Connect(inet("[::1]:9"))],
            ),
            (
                "8 connect(3, {sa_family=AF_UNIX, sun_path=\"/tmp/a}b\"}, 110) = -1 ENOENT (No such file or directory)",
                vec![Call::Connect(Target::Unix("/tmp/a}b".into()))],
            ),
            (
                "8 connect(5, {sa_family=AF_UNIX, sun_path=@\"abstract\"}, 11) = -1 ECONNREFUSED (Connection refused)",
                vec![Call::Connect(Target::Unix("@abstract".into()))],
            ),
            (
                "8 bind(6, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 0",
                vec![Call::Bind(Target::Kernel)],
            ),
            ("8 sendto(3, \"\"..., 33, MSG_NOSIGNAL, NULL, 0) = 33", vec![]),
            (
                "8 sendto(3, \"\"..., 19, 0, {sa_family=AF_INET, sin_port=htons(50000), \
                 sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 19",
                vec![Call::Send(inet("127.0.0.1:50000"))],
            ),
            (
                "8 sendmsg(3, {msg_name={sa_family=AF_INET, sin_port=htons(50001), \
                 sin_addr=inet_addr(\"127.0.0.1\")}, msg_namelen=16, msg_iov=[...], msg_iovlen=1, msg_controllen=0, \
                 msg_flags=0}, 0) = 1",
                vec![Call::Send(inet("127.0.0.1:50001"))],
            ),
            (
                "8 sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=[...], msg_iovlen=1, msg_flags=0}, 0) = 1",
                vec![],
            ),
            ("8 io_uring_setup(8, {flags=0}) = 3", vec![Call::Ring]),
        ] {
            assert_eq!(parse(line).unwrap(), calls, "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_is_unknown_and_never_nothing() {
        for line in [
            "8 connect(3, 0x7ffd0000, 16) = -1 EFAULT (Bad address)",
            "8 connect(3, {sa_family=AF_VSOCK, svm_cid=VMADDR_CID_HOST, svm_port=0x1}, 16) = 0",
            "8 connect(3, {sa_family=AF_UNSPEC, sa_data=\"\"}, 16) = 0",
            "8 connect(3, {sa_family=AF_INET, sin_port=htons(x), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0",
        ] {
            let calls = parse(line).unwrap();
            assert!(matches!(calls[..], [Call::Connect(Target::Unknown(_))]), "{line}: {calls:?}");
        }
        let sent = parse("8 sendto(3, \"\"..., 33, 0, 0x7ffd0000, 16) = 33").unwrap();
        assert!(matches!(sent[..], [Call::Send(Target::Unknown(_))]), "{sent:?}");
        for line in ["", "8", "strace: attach failed", "8 execve(\"/bin/true\", [], 0x1) = 0"] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }

    /// The tool itself: what a small program does is seen, also of one that outlives who started it.
    #[test]
    fn a_program_that_dials_is_seen() {
        if missing().is_some() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("trace");
        let words = tracer(&file, true);
        let script = "(exec 3<>/dev/udp/192.0.2.1/9) & exit 3";
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["bash", "-c", script]).stdin(Stdio::null());
        assert_eq!(command.status().unwrap().code(), Some(3));
        await_end(&file).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let calls: Vec<_> = text.lines().flat_map(|line| parse(line).unwrap()).collect();
        assert!(calls.contains(&Call::Connect(inet("192.0.2.1:9"))), "{text}");
    }
}
