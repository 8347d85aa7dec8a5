//! What is offered, and that nothing but offers is ever said.

use super::*;
use crate::help;
use std::path::PathBuf;

/// Ids of things that are not listed: made by a command, printed by another, or words of hardware.
const NOT_LISTED: &[&str] = &["RequestId", "DeviceClass", "ClusterId", "Digest", "PublicKey"];

fn said(line: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    let words = ["sekisho", "--"].iter().chain(line).map(OsString::from);
    let arguments: Vec<OsString> = words.collect();
    let variable = |name: &str| {
        let own = variables.iter().find(|(known, _)| *known == name);
        own.map(|(_, value)| (*value).to_owned())
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let around = Surroundings {
        out: &mut out,
        err: &mut err,
        variable: &variable,
        width: None,
        messages_seen: true,
    };
    // Fish hands over the words up to the cursor and nothing by its environment.
    answer("fish", &arguments, around, Language::En);
    assert!(err.is_empty());
    let text = String::from_utf8(out).unwrap();
    text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn verbs_and_options_are_offered_and_a_strange_line_is_answered_with_silence() {
    assert!(said(&["sekisho", "job", "su"], &[]).contains(&"submit".to_owned()));
    assert!(said(&["sekisho", "job", "list", "--ten"], &[]).contains(&"--tenant".to_owned()));
    assert_eq!(said(&["sekisho", "-o", "ya"], &[]), ["yaml"]);
    assert!(said(&["sekisho", "nonsense", "deeper", "x"], &[]).is_empty());
    assert!(said(&[], &[]).is_empty());
    for shell in ["bash", "zsh", "fish"] {
        let shell = <Shell as clap::ValueEnum>::from_str(shell, false).unwrap();
        let script = String::from_utf8(shell.script().unwrap()).unwrap();
        assert!(script.contains(VARIABLE) && script.contains("sekisho"), "{script}");
    }
}

#[test]
fn contexts_are_offered_from_their_file_and_a_dead_federation_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let contexts = crate::dev::test_federation(dir.path());
    let config = contexts.display().to_string();
    let runtime = dir.path().join("run").display().to_string();
    let around = [("SEKISHO_CONFIG", config.as_str()), ("XDG_RUNTIME_DIR", runtime.as_str())];
    assert_eq!(said(&["sekisho", "job", "list", "--context", "ka"], &around), ["kanto"]);
    assert_eq!(
        said(&["sekisho", "context", "use", ""], &around)[..3],
        ["hokuto", "kanto", "naniwa"]
    );
    // No controller runs: the answer comes all the same, and the next one at once.
    assert!(said(&["sekisho", "job", "list", "--tenant", ""], &around).is_empty());
    let kept: Vec<PathBuf> = std::fs::read_dir(dir.path().join("run/sekisho"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(kept.iter().any(|file| file.display().to_string().ends_with("-tenants")), "{kept:?}");
}

/// A new type of id must be offered, or be known not to be listed.
#[test]
fn every_id_that_an_argument_takes_is_offered() {
    fn walk(command: &Command, unknown: &mut Vec<String>) {
        for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
            let of = format!("{:?}", arg.get_value_parser().type_id());
            let name = of.rsplit("::").next().unwrap();
            let is_id = of.starts_with("sekisho_types::id::") && !NOT_LISTED.contains(&name);
            if is_id && of_type(arg).is_none() {
                unknown.push(format!("{} {}: {name}", command.get_name(), arg.get_id()));
            }
        }
        command.get_subcommands().for_each(|inner| walk(inner, unknown));
    }
    let mut unknown = Vec::new();
    walk(&help::parser(), &mut unknown);
    assert!(
        unknown.is_empty(),
        "offer these in complete.rs (`of_type`, `Names`) or name them in complete/tests.rs (`NOT_LISTED`):\n{}",
        unknown.join("\n")
    );
    let site = help::parser();
    let site = site.find_subcommand("site").unwrap().find_subcommand("get").unwrap();
    assert_eq!(of_type(site.get_arguments().next().unwrap()), Some(Names::Sites));
}
