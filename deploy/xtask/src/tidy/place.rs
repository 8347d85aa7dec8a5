//! Where files lie, and what of a machine must not get into them.

use super::scan::numbered;
use crate::files::TextFile;
use crate::report::Violation;

const HOUSE: &str = "house";
const MACHINE: &str = "machine";

/// The top level is the first page of the product; dot-files besides.
const TOP: [&str; 14] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "agent",
    "chaos-tests",
    "clippy.toml",
    "controlplane",
    "deny.toml",
    "deploy",
    "docs",
    "proto",
    "rust-toolchain.toml",
];
/// Besides those above: formatter settings, and a build made without `deploy/scripts/env.sh`.
const TOP_TOO: [&str; 2] = ["rustfmt.toml", "target"];

/// Folders that exist on one machine only, without their slashes so that this file is clean.
const MACHINE_DIRS: [&str; 3] = ["work", "root", "home"];
/// Hosts of registries, in two parts. Which mirror a build uses is its machine's business.
const HOSTS: [[&str; 2]; 9] = [
    ["//crates", ".io"],
    ["index.crates", ".io"],
    ["static.crates", ".io"],
    ["deb.debian", ".org"],
    ["security.debian", ".org"],
    ["snapshot.debian", ".org"],
    ["pypi", ".org"],
    ["registry.npmjs", ".org"],
    ["proxy.golang", ".org"],
];

pub(super) fn top_level(names: &[String]) -> Vec<Violation> {
    let is_known =
        |name: &str| name.starts_with('.') || TOP.contains(&name) || TOP_TOO.contains(&name);
    names
        .iter()
        .filter(|name| !is_known(name))
        .map(|name| {
            Violation::new(
                HOUSE,
                name,
                "lies at the top level",
                "move it below controlplane, agent, proto, deploy, chaos-tests or docs",
            )
        })
        .collect()
}

pub(super) fn check(file: &TextFile) -> Vec<Violation> {
    let mut found = Vec::new();
    // Cargo writes its lock file itself.
    if file.path == "Cargo.lock" {
        return found;
    }
    for (number, line) in numbered(&file.text) {
        let place = format!("{}:{number}", file.path);
        for dir in MACHINE_DIRS.iter().filter(|dir| names_dir(line, dir)) {
            found.push(Violation::new(
                MACHINE,
                &place,
                format!("names a path below /{dir}"),
                "write it relative to the repository, or to $HOME or the state directory",
            ));
        }
        for host in HOSTS.iter().map(|h| h.concat()).filter(|h| line.contains(h)) {
            found.push(Violation::new(
                MACHINE,
                &place,
                format!("names the registry host {host}"),
                "name the package; the machine's own configuration knows where to get it",
            ));
        }
    }
    found
}

/// Whether an absolute path into `dir` begins in this line; `x/root/` and `$X/root/` are other paths.
fn names_dir(line: &str, dir: &str) -> bool {
    let path = ["/", dir, "/"].concat();
    let is_inside = |c: char| c.is_alphanumeric() || "_-.*/}])~>".contains(c);
    line.match_indices(&path)
        .any(|(at, _)| !line.get(..at).and_then(|s| s.chars().next_back()).is_some_and(is_inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        check(&TextFile::new("deploy/a.sh", text)).into_iter().map(|v| v.place).collect()
    }

    #[test]
    fn a_stray_top_level_name_is_refused() {
        let names = ["docs", "LICENSE", ".ci", "notes.txt"].map(str::to_owned);
        let found = top_level(&names);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].rule, found[0].place.as_str()), (HOUSE, "notes.txt"));
    }

    #[test]
    fn an_absolute_path_of_a_machine_is_refused() {
        for dir in MACHINE_DIRS {
            let path = ["/", dir, "/x"].concat();
            assert_eq!(lines(&format!("a\ncp {path} .")), ["deploy/a.sh:2"]);
            assert!(
                lines(&format!("$base{path} {{base}}{path} rel{path} ${{x}}{path}")).is_empty()
            );
        }
    }

    #[test]
    fn a_registry_host_is_refused_but_not_in_the_lock_file() {
        let url = format!("https:{}/crates/x", HOSTS[0].concat());
        assert_eq!(lines(&url), ["deploy/a.sh:1"]);
        assert!(check(&TextFile::new("Cargo.lock", url)).is_empty());
    }
}
