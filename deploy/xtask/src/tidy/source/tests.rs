//! Each rule for `.rs` files goes red on a file with that one thing wrong.

use super::*;

const GOOD_HEAD: &str = "//! A module that says what it is for.\n";

fn rules(path: &str, text: &str) -> Vec<(&'static str, String)> {
    check(&TextFile::new(path, text)).into_iter().map(|v| (v.rule, v.place)).collect()
}

fn body(path: &str, text: &str) -> Vec<(&'static str, String)> {
    rules(path, &format!("{GOOD_HEAD}{text}"))
}

fn one(rule: &'static str, place: &str) -> Vec<(&'static str, String)> {
    vec![(rule, place.to_owned())]
}

#[test]
fn a_sound_file_is_quiet() {
    assert_eq!(body("a/src/job.rs", "pub fn bind() {}\n"), []);
    assert_eq!(rules("a/src/job.rs", &format!("#![deny(x)]\n\n{GOOD_HEAD}")), []);
}

#[test]
fn a_long_file_is_refused_unless_a_tool_wrote_it() {
    let long = "\n".repeat(MAX_LINES);
    assert_eq!(body("a/src/job.rs", &long), one(LENGTH, "a/src/job.rs"));
    assert_eq!(body("a/src/job.rs", &long[1..]), []);
    let written = ["// @gene", "rated by a tool\n"].concat();
    assert_eq!(rules("a/src/job.rs", &format!("{written}{long}\n\n")), []);
}

#[test]
fn a_file_without_a_head_or_with_a_placeholder_is_refused() {
    for text in ["", "pub fn a() {}", "// a comment is not a head of a module", "//! ."] {
        assert_eq!(rules("a/src/job.rs", text), one(HEAD, "a/src/job.rs"), "{text:?}");
    }
    assert_eq!(rules("a/src/main.rs", "fn main() {}"), []);
}

#[test]
fn names_of_places_are_refused() {
    assert_eq!(body("a/src/utils.rs", ""), one(NAME, "a/src/utils.rs:1"));
    assert_eq!(body("a/tests/common/mod.rs", ""), one(NAME, "a/tests/common/mod.rs:1"));
    assert_eq!(body("a/src/job.rs", "pub mod misc {}\n"), one(NAME, "a/src/job.rs:2"));
    assert_eq!(body("a/src/job.rs", "mod common_prefix;\n"), []);
}

#[test]
fn marks_of_unfinished_work_are_refused() {
    for mark in MARKS {
        let line = format!("// {}: later\n", mark.concat());
        assert_eq!(body("a/src/job.rs", &line), one(UNFINISHED, "a/src/job.rs:2"), "{line}");
    }
    assert_eq!(body("a/src/job.rs", "// HACKNEY is a place\n"), []);
}

#[test]
fn a_test_that_is_switched_off_is_refused() {
    for parts in
        [["#[ig", "nore]\n"], ["#[ig", "nore = \"slow\"]\n"], ["#[cfg_attr(x, ig", "nore)]\n"]]
    {
        assert_eq!(body("a/src/job.rs", &parts.concat()), one(UNFINISHED, "a/src/job.rs:2"));
    }
}

#[test]
fn a_sleep_in_a_test_needs_its_reason() {
    let inline = "#[cfg(test)]\nmod tests {\n    fn a() { thread::sleep(ms); }\n}\n";
    assert_eq!(body("a/src/job.rs", inline), one(WAIT, "a/src/job.rs:4"));
    let call = "tokio::time::sleep(ms).await;\n";
    assert_eq!(body("a/tests/job.rs", call), one(WAIT, "a/tests/job.rs:2"));
    assert_eq!(body("a/src/job/tests.rs", call), one(WAIT, "a/src/job/tests.rs:2"));
    // Outside tests a timer is ordinary code.
    assert_eq!(body("a/src/job.rs", call), []);
    let reason = ["// wai", "ts: the lease itself has to run out\n"].concat();
    assert_eq!(body("a/tests/job.rs", &format!("{reason}{call}")), []);
}
