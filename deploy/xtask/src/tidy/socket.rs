//! Sockets are made in one crate (D3): nobody else names what opens one, or asks a resolver.
//!
//! Must hold: whoever may has its reason here; a reason that no file needs any more is a break as well, so that the list
//! never says more than is so. Clippy bans the same by path; this also sees code that the present build leaves out.

use super::scan::{code, has_word, numbered};
use crate::files::TextFile;
use crate::report::Violation;

const SOCKET: &str = "socket";
const LIST: &str = "deploy/xtask/src/tidy/socket.rs";

/// What makes or takes a connection, sends a datagram or resolves a name. The halves of a path stand together.
const NAMES: [&str; 27] = [
    "HttpConnector",
    "TcpIncoming",
    "TcpListener",
    "TcpSocket",
    "TcpStream",
    "ToSocketAddrs",
    "UdpSocket",
    "UnixDatagram",
    "UnixListener",
    "UnixSocket",
    "UnixStream",
    "connect_lazy",
    "connect_with_connector",
    "connect_with_connector_lazy",
    "getaddrinfo",
    "hickory_resolver",
    "lookup_host",
    "socket2",
    "to_socket_addrs",
    "Endpoint::from_shared",
    "Endpoint::from_static",
    "transport::Endpoint",
    "sys::socket",
    "libc::connect",
    "libc::sendmsg",
    "libc::sendto",
    "libc::socket",
];

/// Who may, and why.
const MAY: [(&str, &str); 2] = [
    ("proto/transport/", "it makes them, each for a peer that it can name"),
    ("chaos-tests/", "drills stand between the ends, and speak other products' protocols"),
];

pub(super) fn check(files: &[TextFile]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut needed = [false; MAY.len()];
    for file in files.iter().filter(|file| file.is_rust()) {
        let may = MAY.iter().position(|(dir, _why)| file.path.starts_with(dir));
        if let Some(needed) = may.and_then(|at| needed.get_mut(at)) {
            *needed = *needed || uses(file).next().is_some();
            continue;
        }
        found.extend(uses(file).map(|(number, name)| {
            Violation::new(
                SOCKET,
                format!("{}:{number}", file.path),
                format!("uses {name}"),
                "sockets are made in proto/transport only (D3): use it, or extend it there",
            )
        }));
    }
    for ((dir, why), _needed) in MAY.iter().zip(needed).filter(|(_entry, needed)| !needed) {
        found.push(Violation::new(
            SOCKET,
            LIST,
            format!("excuses {dir}, which makes none ({why})"),
            "take the entry out",
        ));
    }
    found
}

/// Every use, with its line.
fn uses(file: &TextFile) -> impl Iterator<Item = (usize, &'static str)> + '_ {
    numbered(&file.text).flat_map(|(number, line)| {
        let code = code(line);
        let here: Vec<_> =
            NAMES.iter().filter(|name| has_word(&code, name)).map(|name| (number, *name)).collect();
        here
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those who may, each with a need, and one file more.
    fn with(path: &str, text: &str) -> Vec<(String, String)> {
        let mut files: Vec<_> =
            MAY.iter().map(|(dir, _)| TextFile::new(format!("{dir}a.rs"), "UdpSocket")).collect();
        files.push(TextFile::new(path, text));
        check(&files).into_iter().map(|v| (v.place, v.what)).collect()
    }

    #[test]
    fn each_way_to_a_socket_is_refused_outside_transport() {
        for name in NAMES {
            let found = with("agent/src/session.rs", &format!("//! A head.\nuse a::{name};\n"));
            assert!(found.contains(&("agent/src/session.rs:2".to_owned(), format!("uses {name}"))));
        }
        for line in [
            "let s = nix::sys::socket::socket(family)?;",
            "let fd = unsafe { libc::socket(2, 1, 0) };",
            "use tonic::transport::Endpoint;",
            "let c = Endpoint::from_static(\"http://a\").connect().await;",
            "use std::net::{SocketAddr, UdpSocket as U};",
            "use hickory_resolver::TokioResolver;",
        ] {
            assert_eq!(with("controlplane/src/a.rs", line).len(), 1, "{line}");
        }
    }

    #[test]
    fn words_that_open_nothing_are_let_through() {
        for line in [
            "let why = \"no TcpStream here\"; // a TcpStream",
            "use crate::context::{Context, Endpoint, Root};",
            "let endpoint = Endpoint { address, operator, site };",
            "use std::net::SocketAddr;",
            "struct MyTcpStreamCounter;",
        ] {
            assert_eq!(with("agent/src/session.rs", line), [], "{line}");
        }
        assert_eq!(with("proto/transport/src/dial.rs", "use tokio::net::TcpStream;"), []);
        assert_eq!(with("docs/a.md", "TcpStream"), []);
    }

    #[test]
    fn an_excuse_that_nobody_needs_is_refused() {
        let files = [TextFile::new("proto/transport/src/a.rs", "UdpSocket")];
        let found = check(&files);
        assert_eq!(found.len(), 1);
        assert!(found[0].place == LIST && found[0].what.starts_with("excuses chaos-tests/"));
        assert!(MAY.iter().all(|(_, why)| why.len() > 10));
    }
}
