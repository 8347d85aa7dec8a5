//! What may be linked: licences, banned crates, sources, and crates that must exist once.
//!
//! Why not a ready-made tool: its advisory database lies outside every registry that a build machine
//! of a site may reach, and the rest is a page of code. Advisories are watched where releases are cut.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::Violation;
use crate::spdx::Expression;
use crate::workspace::Workspace;

const LICENCE: &str = "licence";
const BANNED: &str = "banned";
const SOURCE: &str = "source";
const SINGLE: &str = "single";

/// Permissive licences, and MPL-2.0, whose copyleft ends at its own files (docs/NOTICE.md lists them).
const ALLOWED: [&str; 17] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "CDLA-Permissive-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// Crates that must not be in the graph, with what to use.
const BANS: [(&str, &str); 22] = [
    ("openssl", "TLS is rustls with ring"),
    ("openssl-sys", "TLS is rustls with ring"),
    ("native-tls", "TLS is rustls with ring"),
    ("aws-lc-rs", "one crypto provider: ring; switch off the default features that ask for it"),
    ("aws-lc-sys", "one crypto provider: ring; switch off the default features that ask for it"),
    ("bincode", "its maintenance has ended; persisted and signed bytes are postcard (ADR 0006)"),
    ("cgroups-rs", "it brings a message bus; write the files of cgroups directly"),
    ("serde_yaml", "unmaintained; use serde-saphyr"),
    ("rustls-pemfile", "retired; rustls-pki-types reads PEM"),
    ("async-std", "one runtime: tokio"),
    ("atty", "unmaintained; std::io::IsTerminal"),
    ("reqwest", DIALS),
    ("ureq", DIALS),
    ("curl", DIALS),
    ("isahc", DIALS),
    ("attohttpc", DIALS),
    ("minreq", DIALS),
    (
        "resolv-conf",
        "it reads which resolvers a host is set up with; those of the settings are asked (D3)",
    ),
    ("opentelemetry", EXPORTS),
    ("opentelemetry-otlp", EXPORTS),
    ("tracing-opentelemetry", EXPORTS),
    ("sentry", EXPORTS),
];

/// Why no client of another protocol.
const DIALS: &str =
    "it dials past proto/transport, which knows to whom federation state may go (D3)";
/// Why no exporter.
const EXPORTS: &str =
    "logs and traces go to standard output, metrics to who may read them here (D3)";

/// Two versions of one of these make types that look alike and do not fit, or two sets of global state.
const ONCE: [&str; 10] =
    ["h2", "http", "hyper", "metrics", "openraft", "prost", "ring", "rustls", "tokio", "tonic"];

/// The one registry, as `Cargo.lock` writes it whatever mirror a machine is set up for.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Every break of the four rules, in a stable order.
#[must_use]
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    for package in &workspace.packages {
        let place = format!("{} {}", package.name, package.version);
        if let Some(source) = package.source.as_deref().filter(|s| *s != REGISTRY) {
            found.push(Violation::new(
                SOURCE,
                &place,
                format!("comes from {source}"),
                "only the public crate registry and this repository: a build must not need a git host",
            ));
        }
        if let Some((_, instead)) = BANS.iter().find(|(name, _)| *name == package.name) {
            found.push(Violation::new(BANNED, &place, "is in the graph", *instead));
        }
        if let Some(what) = licence(package.licence.as_deref()) {
            found.push(Violation::new(
                LICENCE,
                &place,
                what,
                "take another crate, or add the licence to ALLOWED in deploy/xtask/src/deny.rs with a reason",
            ));
        }
    }
    for (name, versions) in duplicates(workspace) {
        if ONCE.contains(&name.as_str()) {
            found.push(Violation::new(
                SINGLE,
                &name,
                format!("is in the graph as {}", versions.join(" and ")),
                format!(
                    "run `cargo tree -i {name}@VERSION` and align the one who asks for the other"
                ),
            ));
        }
    }
    found.sort();
    found
}

/// Names with more than one version, for information; only a few of them have to exist once.
#[must_use]
pub fn duplicates(workspace: &Workspace) -> Vec<(String, Vec<String>)> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &workspace.packages {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    versions
        .into_iter()
        .filter(|(_, v)| v.len() > 1)
        .map(|(name, v)| (name.to_owned(), v.into_iter().map(str::to_owned).collect()))
        .collect()
}

/// What is wrong with a licence field, if anything is.
fn licence(field: Option<&str>) -> Option<String> {
    let Some(text) = field else { return Some("names no licence".to_owned()) };
    match Expression::parse(text) {
        None => Some(format!("has a licence that cannot be read: {text}")),
        Some(e) if e.is_met(&|id| ALLOWED.contains(&id)) => None,
        Some(_) => Some(format!("is under {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: Some("MIT OR Apache-2.0".to_owned()),
            source: Some(REGISTRY.to_owned()),
        }
    }

    fn rules(packages: Vec<Package>) -> Vec<&'static str> {
        check(&Workspace { packages, ..Workspace::default() }).iter().map(|v| v.rule).collect()
    }

    #[test]
    fn a_sound_graph_is_quiet() {
        let ours = Package { source: None, ..package("sekisho-types", "0.1.0") };
        assert!(rules(vec![ours, package("tokio", "1.0.0"), package("serde", "1.0.0")]).is_empty());
    }

    #[test]
    fn a_git_source_and_another_registry_are_refused() {
        for source in ["git+https://example.com/x?rev=1", "registry+https://example.com/index"] {
            let stray = Package { source: Some(source.to_owned()), ..package("x", "1.0.0") };
            assert_eq!(rules(vec![stray]), [SOURCE], "{source}");
        }
    }

    #[test]
    fn a_copyleft_or_missing_or_unreadable_licence_is_refused() {
        for text in [Some("GPL-3.0-only"), Some("MIT AND AGPL-3.0"), Some("SEE FILE"), None] {
            let stray = Package { licence: text.map(str::to_owned), ..package("x", "1.0.0") };
            assert_eq!(rules(vec![stray]), [LICENCE], "{text:?}");
        }
    }

    #[test]
    fn a_banned_crate_is_refused() {
        assert_eq!(rules(vec![package("aws-lc-sys", "0.30.0")]), [BANNED]);
    }

    #[test]
    fn two_versions_break_the_rule_only_where_one_must_be() {
        let twice = |name| vec![package(name, "1.0.0"), package(name, "2.0.0")];
        assert_eq!(rules(twice("rustls")), [SINGLE]);
        assert!(rules(twice("syn")).is_empty());
        let shown = duplicates(&Workspace { packages: twice("syn"), ..Workspace::default() });
        assert_eq!(shown, [("syn".to_owned(), vec!["1.0.0".to_owned(), "2.0.0".to_owned()])]);
    }
}
