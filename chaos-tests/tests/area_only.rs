//! What stays in its area, with real members: the ciphertext lies with controllers inside it and nowhere else, also after a
//! snapshot; a member that was away fetches it; that nobody has it is told. Driven from the shell.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a broken set-up should fail loudly"
)]

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use sekisho_chaos::ceremony::office;
use sekisho_chaos::federation::{Answer, Federation, rows};
use sekisho_chaos::work::{nodes, spec};
use sekisho_cli::ask;
use sekisho_cli::client::Client;
use sekisho_cli::context::Contexts;
use sekisho_evidence::package::TrustPackage;
use sekisho_evidence::sealed::{Context, SignedSiteKey, seal};
use sekisho_fsm::testing::job;
use sekisho_proto::convert::job::NewJob;
use sekisho_proto::v1;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, MemberId};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PORT_BASE: u16 = 27_640;
/// Bytes that are looked for: far more than could be there by chance.
const SLICE: usize = 32;

/// A job of `areas` whose payload stays there.
fn stays(name: &str, areas: &str, gpus: u32, script: &str) -> String {
    format!("payload: area-only\n{}", spec(name, 1, gpus, areas, script))
}

/// Submits as the person of the tenant that the spec names.
fn try_submit(federation: &Federation, name: &str, spec: &str) -> Answer {
    let file = federation.file(&format!("{name}.yaml"), spec).unwrap();
    let tenant = if spec.contains("tenant: minato") { "minato" } else { "sapporo" };
    federation.run(tenant, &["job", "submit", &file]).unwrap()
}

fn status(federation: &Federation, job: &str) -> Value {
    let (tenant, _) = job.split_once('/').unwrap();
    federation.read(tenant, &["job", "status", job]).unwrap()
}

fn kept_by(job: &Value) -> Vec<&str> {
    job["kept_by"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn at(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
    bytes.windows(wanted.len()).enumerate().filter(|(_, w)| *w == wanted).map(|(n, _)| n).collect()
}

/// The ciphertext of a job as it lies in a member's files: behind the name of its tenant. A block of the engine's log may end
/// within it, and then the head of the next one stands between.
fn ciphertext(dir: &Path, job: &Value) -> Option<Vec<u8>> {
    let digest = job["payload_sha256"].as_str().unwrap();
    let len = usize::try_from(job["payload_len"].as_u64().unwrap()).unwrap();
    let tenant = job["name"].as_str().unwrap().split('/').find(|part| *part == "minato").unwrap();
    let owner =
        [&u16::try_from(tenant.len()).unwrap().to_le_bytes()[..], tenant.as_bytes()].concat();
    for file in files(dir) {
        let Ok(bytes) = std::fs::read(&file) else { continue };
        for begin in at(&bytes, &owner) {
            let from = begin + owner.len();
            let block = from.next_multiple_of(32 << 10);
            for head in [0, 7, 11] {
                let cut = if head == 0 { from } else { block.min(from + len) };
                let rest = len - (cut - from);
                let Some(behind) = bytes.get(cut + head..cut + head + rest) else { continue };
                let whole = [&bytes[from..cut], behind].concat();
                if Digest::of(&whole).to_string() == digest {
                    return Some(whole);
                }
            }
        }
    }
    None
}

/// Files under `dir` that hold any part of it.
fn holding(dir: &Path, ciphertext: &[u8]) -> Vec<PathBuf> {
    let parts = [1, 2, 3].map(|n| &ciphertext[ciphertext.len() * n / 4 - SLICE / 2..]);
    let has = |file: &PathBuf| {
        let bytes = std::fs::read(file).unwrap_or_default();
        parts.iter().any(|part| !at(&bytes, &part[..SLICE]).is_empty())
    };
    files(dir).into_iter().filter(has).collect()
}

fn controller(federation: &Federation, member: u64) -> PathBuf {
    federation.dir().join("controllers").join(member.to_string())
}

/// It lies with these members, and with the rest of the federation nowhere, apart from hosts of Ishikari.
fn lies_only_with(federation: &Federation, members: &[u64], ciphertext: &[u8]) {
    for member in 1..=3 {
        let found = holding(&controller(federation, member), ciphertext);
        assert_eq!(found.is_empty(), !members.contains(&member), "member {member}: {found:?}");
    }
    for elsewhere in ["agents/tokyo-1", "agents/sakai-1", "operators", "logs"] {
        let found = holding(&federation.dir().join(elsewhere), ciphertext);
        assert!(found.is_empty(), "{found:?}");
    }
}

/// Has the member that kanto asks build and keep a snapshot, which a backup begins with.
fn snapshot(federation: &Federation) -> PathBuf {
    let issuer = office(federation, "kanto").join("issuer-ed25519.key");
    let issuer = issuer.to_string_lossy().into_owned();
    let key = "b2".repeat(32);
    let archivist = ["key", "register", "kanto/user/admin", "--role", "archivist:tokyo-1"];
    let with = ["--public-key", &key, "--issuer-key", &issuer];
    federation.run("kanto", &[&archivist[..], &with].concat()).unwrap().ok().unwrap();
    let path = federation.dir().join("backup.age");
    let to = path.to_string_lossy().into_owned();
    federation.run("kanto", &["snapshot", "save", &to]).unwrap().ok().unwrap();
    path
}

/// Sends a payload that is for Hokkaido to a member, as the tenant's person.
async fn upload(federation: &Federation, to: u64) -> Result<(), ErrorCode> {
    let contexts = Contexts::load(&federation.dir().join("contexts.toml")).unwrap();
    let context = contexts.context["sapporo"].clone();
    let (client, _) = Client::open(&context, Duration::from_secs(5)).unwrap();
    let ask = v1::ListSitesRequest::default();
    let sites = ask!(client, site_service_client::SiteServiceClient, list_sites, ask).unwrap();
    let keys = sites.sites.iter().filter_map(|s| SignedSiteKey::parse(&s.sealing_key).ok());
    let north = keys.map(|k| k.record).find(|r| r.key.site.as_str() == "ishikari-1").unwrap();
    let mut facts = job("by-hand", 1, 1, &["JP-01"]);
    facts.area_only = true;
    let bound = Context::of_job(context.cluster, &facts.id).unwrap();
    let (sealed, _) = seal(b"true", &[north.key], &bound, &[7; 32]).unwrap();
    let payload = sealed.bytes().unwrap();
    facts.sealed_to = sealed.sites().map(|(site, epoch)| (site.clone(), epoch)).collect();
    facts.payload = Digest::of(&payload);
    facts.payload_len = payload.len().try_into().unwrap();
    let ask = v1::GetTrustPackageRequest { read: None };
    let told = ask!(client, trust_service_client::TrustServiceClient, get_trust_package, ask);
    let members = TrustPackage::open(&told.unwrap().package).unwrap().members;
    let member = members.into_iter().find(|member| member.member == MemberId(to)).unwrap();
    let one = client.of_member(&member, Duration::from_secs(5)).unwrap();
    let request = NewJob { facts, payload: payload.into() }.upload_request();
    let taken: Result<v1::UploadPayloadResponse, _> =
        ask!(one, job_service_client::JobServiceClient, upload_payload, request);
    taken.map(drop).map_err(|failure| failure.code)
}

#[test]
fn what_stays_in_its_area_lies_runs_and_is_lost_there_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut federation = Federation::start(dir.path(), PORT_BASE).unwrap();

    // It runs in Hokkaido, whoever leads and wherever the submission went in.
    let spec = stays("north", "JP-01", 1, "echo kita");
    federation
        .until("sites to have their keys", || {
            let said = try_submit(&federation, "north", &spec);
            let one = said.stderr.contains("kept by 1 of 1") && said.stderr.contains("is lost");
            ensure!(said.code == 0 && one, "{said:?}");
            Ok(())
        })
        .unwrap();
    let ran = federation.await_job("sapporo/north", &["succeeded"]).unwrap();
    assert!(nodes(&ran).iter().all(|node| node.contains("ishikari-1")), "{ran}");

    // What waits lies with the members of its two areas; one that was away fetches it.
    federation.signal("controller-3", Signal::SIGKILL).unwrap();
    federation.await_end(3).unwrap();
    let spec = stays("both", "JP-01, JP-27", 16, "true").replace("sapporo", "minato");
    let said = federation
        .until("the others to go on", || {
            let said = try_submit(&federation, "both", &spec);
            ensure!(said.code == 0, "{said:?}");
            Ok(said)
        })
        .unwrap();
    assert!(said.stderr.contains("kept by 1 of 2"), "{said:?}");
    let job = status(&federation, "minato/both");
    assert_eq!((kept_by(&job), job["payload"].as_str()), (vec!["2"], Some("area-only")));
    let secret = ciphertext(&controller(&federation, 2), &job).context("on its disk").unwrap();
    lies_only_with(&federation, &[2], &secret);
    federation.revive(3).unwrap();
    federation
        .until("the member that was away to have it", || {
            let job = status(&federation, "minato/both");
            ensure!(kept_by(&job) == ["2", "3"], "{job}");
            Ok(())
        })
        .unwrap();
    let backup = snapshot(&federation);
    lies_only_with(&federation, &[2, 3], &secret);
    assert!(holding(&backup, &secret).is_empty());

    // A member outside takes nothing, whoever asks.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(runtime.block_on(upload(&federation, 1)), Err(ErrorCode::PayloadOutside));
    assert_eq!(runtime.block_on(upload(&federation, 3)), Ok(()));

    // Nobody has it who answers: that is said, and nothing new is taken in for that area.
    let spec = stays("last", "JP-01", 16, "true");
    try_submit(&federation, "last", &spec).ok().unwrap();
    federation.signal("controller-3", Signal::SIGKILL).unwrap();
    federation.await_end(3).unwrap();
    federation
        .until("the others to say so", || {
            let shown = federation.run("sapporo", &["job", "status", "sapporo/last"])?.ok()?;
            ensure!(shown.stdout.contains("PAYLOAD_NOT_HERE"), "{shown:?}");
            Ok(())
        })
        .unwrap();
    let refused = try_submit(&federation, "more", &stays("more", "JP-01", 1, "true"));
    assert!(refused.code != 0 && refused.stderr.contains("PAYLOAD_NOT_HERE"), "{refused:?}");
    let jobs = federation.read("sapporo", &["job", "list"]).unwrap();
    assert_eq!(rows(&jobs, "items").len(), 2, "{jobs}");
}
