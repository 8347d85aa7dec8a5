//! Every error code is raised by something that runs, and every error that leaves a server has one.
//!
//! Must hold: a code that nobody raises is out of the table: its page would promise what never happens. A gRPC status is
//! made of an `ApiError` in one place; whoever makes a bare one has its reason here, and a reason that no file needs is a
//! break as well. Tests and what stands in for the other side in them may do as they like.

use std::collections::{BTreeMap, BTreeSet};

use super::scan::{code, inline_tests, numbered};
use crate::files::TextFile;
use crate::report::Violation;

const RAISED: &str = "error-code-raised";
const STATUS: &str = "bare-status";
const LIST: &str = "deploy/xtask/src/tidy/codes.rs";
/// Where the table is.
const TABLE: &str = "proto/types/src/error_code";
/// What only maps codes and raises none.
const MAPS: [&str; 2] = ["proto/src/status.rs", "controlplane/cli/src/exit.rs"];
/// Constructors of `tonic::Status`.
const MADE: [&str; 19] = [
    "new",
    "with_details",
    "with_error_details",
    "ok",
    "aborted",
    "already_exists",
    "cancelled",
    "data_loss",
    "deadline_exceeded",
    "failed_precondition",
    "internal",
    "invalid_argument",
    "not_found",
    "out_of_range",
    "permission_denied",
    "resource_exhausted",
    "unauthenticated",
    "unavailable",
    "unimplemented",
];
/// Who may make a bare status, and why.
const MAY: [(&str, &str); 2] = [
    ("proto/src/status.rs", "it is the one place"),
    (
        "proto/transport/src/leader.rs",
        "a client's own word for its own deadline: it crosses no wire",
    ),
];

pub(super) fn check(files: &[TextFile]) -> Vec<Violation> {
    let mut found = raised(files);
    found.extend(bare(files));
    found
}

/// Lines of a file that run, with their numbers.
fn running(file: &TextFile) -> impl Iterator<Item = (usize, &str)> {
    let is_test = file.name() == "tests.rs"
        || file.name() == "fixture.rs"
        || file.path.contains("/tests/")
        || file.path.contains("/testing/")
        || file.path.contains("/fake/")
        || file.path.starts_with("chaos-tests/");
    let end = if is_test { 0 } else { inline_tests(&file.text).unwrap_or(usize::MAX) };
    numbered(&file.text).take_while(move |(number, _)| *number < end)
}

/// The variant in a line such as `NodeUnknown = 7, "NODE_UNKNOWN", NotFound,` of the table.
fn variant(line: &str) -> Option<&str> {
    let (name, rest) = line.trim().split_once(" = ")?;
    let (number, rest) = rest.split_once(", \"")?;
    number.parse::<u32>().ok()?;
    rest.contains("\", ").then_some(name)
}

fn raised(files: &[TextFile]) -> Vec<Violation> {
    let mut open: BTreeMap<&str, String> = BTreeMap::new();
    for table in files.iter().filter(|file| file.is_rust() && file.path.starts_with(TABLE)) {
        for (number, line) in numbered(&table.text) {
            open.extend(variant(line).map(|name| (name, format!("{}:{number}", table.path))));
        }
    }
    let sources = files.iter().filter(|file| file.is_rust());
    let sources = sources.filter(|file| !file.path.starts_with(TABLE));
    for file in sources.filter(|file| !MAPS.contains(&file.path.as_str())) {
        for (_, line) in running(file).filter(|(_, line)| line.contains("ErrorCode::")) {
            let line = code(line);
            let mut parts = line.split("ErrorCode::");
            let mut before = parts.next().unwrap_or_default();
            for part in parts {
                let name = part.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
                // Who compares has been told it by somebody else.
                let compares =
                    before.trim_end().ends_with("==") || before.trim_end().ends_with("!=");
                if !compares {
                    open.remove(name);
                }
                before = part;
            }
        }
    }
    let nobody = |(name, place): (&str, String)| {
        let remedy = "raise it where it belongs, or take it out of the table with its page";
        Violation::new(RAISED, place, format!("nothing raises {name}"), remedy)
    };
    open.into_iter().map(nobody).collect()
}

/// Whether a line calls this constructor of a status, of that name alone: an `ExitStatus` is another thing.
fn makes(line: &str, name: &str) -> bool {
    let call = format!("{name}(");
    line.split("Status::").zip(line.split("Status::").skip(1)).any(|(before, after)| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        !before.ends_with(is_part) && after.starts_with(&call)
    })
}

fn bare(files: &[TextFile]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut needed = BTreeSet::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let may = MAY.iter().find(|(path, _why)| file.path == *path);
        for (number, line) in running(file) {
            let line = code(line);
            let Some(name) = MADE.iter().find(|name| makes(&line, name)) else { continue };
            if let Some((path, _why)) = may {
                needed.insert(*path);
                continue;
            }
            found.push(Violation::new(
                STATUS,
                format!("{}:{number}", file.path),
                format!("makes a bare Status::{name}"),
                "answer an ApiError with a code: it becomes a status with one ErrorInfo",
            ));
        }
    }
    // Only where the files are there at all: tests give some.
    for (path, why) in MAY {
        if files.iter().any(|file| file.path == path) && !needed.contains(path) {
            found.push(Violation::new(
                STATUS,
                LIST,
                format!("excuses {path}, which makes none ({why})"),
                "take the entry out",
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: &str = "codes! {\n    NoRoom = 0, \"NO_ROOM\", NotYet,\n        \"a\";\n    Gone = 1, \"GONE\", NotFound,\n}\n";

    fn places(files: &[(&str, &str)]) -> Vec<String> {
        let mut files: Vec<TextFile> =
            files.iter().map(|(path, text)| TextFile::new(*path, *text)).collect();
        files.push(TextFile::new("proto/types/src/error_code.rs", CODES));
        check(&files).into_iter().map(|violation| violation.place).collect()
    }

    #[test]
    fn a_code_that_nothing_raises_is_refused() {
        let raises = ("agent/src/a.rs", "fn a() { Err(ErrorCode::NoRoom, ErrorCode::Gone) }");
        assert_eq!(places(&[raises]), [] as [&str; 0]);
        let both = ["proto/types/src/error_code.rs:4", "proto/types/src/error_code.rs:2"];
        for (path, text) in [
            ("agent/src/a.rs", "if code == ErrorCode::NoRoom || ErrorCode::Gonein {}"),
            ("agent/src/a.rs", "// ErrorCode::NoRoom ErrorCode::Gone"),
            ("agent/src/a.rs", "let a = \"ErrorCode::NoRoom\";"),
            ("agent/src/a/tests.rs", raises.1),
            ("agent/tests/a.rs", raises.1),
            ("proto/src/status.rs", "Status::new( ErrorCode::NoRoom, ErrorCode::Gone"),
            (
                "agent/src/a.rs",
                "#[cfg(test)]\nmod tests {\n    ErrorCode::NoRoom ErrorCode::Gone\n}",
            ),
        ] {
            assert_eq!(places(&[(path, text)]), both, "{path} {text}");
        }
    }

    #[test]
    fn a_bare_status_is_refused_outside_the_one_place() {
        let raises = ("agent/src/a.rs", "ErrorCode::NoRoom ErrorCode::Gone");
        for name in MADE {
            let text = format!("//! A head.\nErr(tonic::Status::{name}(why))");
            assert_eq!(
                places(&[raises, ("agent/src/b.rs", &text)]),
                ["agent/src/b.rs:2"],
                "{name}"
            );
        }
        for text in [
            "ServingStatus::NotServing",
            "Status::from(error)",
            "ExitStatus::new(1)",
            "let a = \"Status::internal(x)\"; // Status::internal(x)",
            "#[cfg(test)]\nmod tests {\n    Status::internal(x)\n}",
        ] {
            assert_eq!(places(&[raises, ("agent/src/b.rs", text)]), [] as [&str; 0], "{text}");
        }
        // A reason that nobody needs is none.
        assert_eq!(places(&[raises, ("proto/src/status.rs", "")]), [LIST]);
    }
}
