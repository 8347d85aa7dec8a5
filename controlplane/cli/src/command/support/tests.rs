//! Nothing that was put into the federation comes out under its name.

use crate::exit::Exit;
use crate::golden::Fixed;
use sekisho_types::error_code::Language;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Names and sentences of the fixed federation and of its people's machine.
const NAMES: &[&str] = &[
    "sapporo",
    "minato",
    "train",
    "somebody",
    "ishikari",
    "tokyo",
    "sakai",
    "hokuto",
    "kanto",
    "naniwa",
    "hokkaido",
    "user/admin",
    "example",
    "127.0.0.1",
    "独立行政法人",
    "Otemachi",
    "千代田",
    "0123456789abcdef",
    "controller.",
    "/tmp",
    "waits for",
    "does not answer",
    "\"what\": null",
    "012351",
];

fn bundle(federation: &Fixed, file: &str, more: &str) -> String {
    let path = federation.dir().join(file);
    let line = format!("support-bundle {}{more}", path.display());
    let said = federation.run(&line, Language::Ja, 80);
    assert_eq!(said.exit, Exit::Ok, "{}", said.err);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    String::from_utf8(std::fs::read(&path).unwrap()).unwrap()
}

fn keys(dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            keys(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "key" || kind == "pem") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.extend(text.lines().filter(|line| line.len() > 20).map(str::to_owned));
        }
    }
}

#[test]
fn a_bundle_names_nobody_and_holds_no_secret() {
    let federation = Fixed::full();
    let text = bundle(&federation, "one.tar", "");
    let told: Vec<_> = NAMES.iter().filter(|name| text.contains(**name)).collect();
    assert!(told.is_empty(), "{told:?}");
    let mut secrets = Vec::new();
    keys(federation.dir(), &mut secrets);
    assert!(secrets.len() > 20);
    assert!(!secrets.iter().any(|secret| text.contains(secret.as_str())));
    // It still says what an engineer needs, and what is left out.
    for word in [
        "tenants/tenant-1/quotas/nvidia-h200",
        "\"QUEUED\": 1",
        "nodes/node-1",
        "\"redacted\": true",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(text.contains("\"what\": \"payloads\"") && text.contains("ustar"));
    assert_eq!(text, bundle(&federation, "two.tar", ""), "the same facts give the same bytes");
}

#[test]
fn names_stay_when_asked_for_and_a_file_that_is_there_is_not_written_over() {
    let federation = Fixed::full();
    let text = bundle(&federation, "named.tar", " --names");
    assert!(
        text.contains("tenants/sapporo/quotas/nvidia-h200") && text.contains("\"redacted\": false")
    );
    // Sentences, of jobs as of findings, and payloads are in neither: the manifest says so.
    let words = ["waits for", "does not answer", "\"what\": null"];
    let told: Vec<_> = words.iter().filter(|words| text.contains(**words)).collect();
    assert!(told.is_empty(), "{told:?}: {text}");
    let line = format!("support-bundle {}", federation.dir().join("named.tar").display());
    assert_eq!(federation.run(&line, Language::En, 80).exit, Exit::Conflict);
}

#[test]
fn without_a_federation_the_bundle_says_so_and_is_written_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let contexts = crate::dev::test_federation(dir.path());
    let path = dir.path().join("alone.tar");
    let line = format!("support-bundle {} --timeout 1s", path.display());
    let said = crate::golden::said(Some(&contexts), &line, Language::En, 80);
    assert_eq!(said.exit, Exit::Ok, "{}", said.err);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(
        text.contains("contexts.json") && text.contains("everything of the federation"),
        "{text}"
    );
}

/// Whoever opens it needs no program of ours.
#[test]
fn the_file_is_a_tar() {
    let mut tar = super::tar::Tar::default();
    tar.add("a.json", b"{}\n").unwrap();
    tar.add("b.json", &[b'x'; 513]).unwrap();
    let bytes = tar.end();
    assert_eq!(bytes.len(), 512 * (2 + 3 + 2));
    let sum: u32 = bytes[..512].iter().map(|b| u32::from(*b)).sum();
    let own: u32 = bytes[148..156].iter().map(|b| u32::from(*b)).sum();
    let told = std::str::from_utf8(&bytes[148..154]).unwrap();
    assert_eq!(u32::from_str_radix(told, 8).unwrap(), sum - own + 8 * 32);
    assert_eq!((&bytes[..6], &bytes[124..135]), (&b"a.json"[..], &b"00000000003"[..]));
    assert!(tar_refuses_long_names());
}

fn tar_refuses_long_names() -> bool {
    super::tar::Tar::default().add(&"n".repeat(100), b"").is_err()
}
