//! The protobuf files keep their rules and what was released, and a change that would break a partner's client is seen.
#![expect(
    clippy::expect_used,
    reason = "what these tests stand on; without it there is nothing to test"
)]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

// A test runs in the folder of its package.
const SCRIPT: &str = "../scripts/proto.sh";
const PROTO: &str = "../../proto";

fn not_run(reason: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    drop(writeln!(std::io::stderr(), "NOT RUN: {reason}"));
    if let Some(path) = std::env::var_os("SEKISHO_NOT_RUN") {
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        let mut file = file.expect("the list of what did not run");
        writeln!(file, "{test}: {reason}").expect("the list of what did not run");
    }
}

/// What `proto.sh check` says of these files, and whether it is content; `None` where buf cannot be had.
fn check(proto: &Path) -> Option<(bool, String)> {
    let proto = proto.canonicalize().expect("the protobuf files");
    let mut command = Command::new("bash");
    command.arg(SCRIPT).arg("check").env("SEKISHO_PROTO", proto);
    let output = command.output().expect("bash");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    (!said.contains("NOT RUN")).then_some((output.status.success(), said))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("a file");
        }
    }
}

#[test]
fn the_protobuf_files_keep_their_rules_and_what_was_released() {
    let Some((is_good, said)) = check(Path::new(PROTO)) else {
        return not_run("buf is missing; deploy/scripts/bootstrap.sh test installs it");
    };
    assert!(is_good, "{said}");
}

/// Otherwise the check above would be content with anything.
#[test]
fn a_field_that_is_gone_and_one_that_nobody_describes_are_seen() {
    let dir = tempfile::tempdir().expect("a folder");
    copy(Path::new(PROTO), dir.path());
    let tenant = dir.path().join("sekisho/v1/tenant.proto");
    let text = fs::read_to_string(&tenant).expect("the file");
    let change = |text: &str| {
        fs::write(&tenant, text).expect("the file");
        check(dir.path())
    };
    let gone = text.replacen("  string display_name = 2;\n", "", 1);
    assert_ne!(gone, text);
    let Some((is_good, said)) = change(&gone) else {
        return not_run("buf is missing; deploy/scripts/bootstrap.sh test installs it");
    };
    assert!(!is_good && said.contains("display_name"), "{said}");
    let nameless = text.replacen("service TenantService", "service Tenants", 1);
    let (is_good, said) = change(&nameless).expect("it was there a moment ago");
    assert!(!is_good && said.contains("Tenants"), "{said}");
}
