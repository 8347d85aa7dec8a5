//! `sekisho support-bundle`: what an engineer needs to see, and nothing else.
//!
//! Must hold: nothing is taken over that is not named here: each file is built field by field, and no field holds free text, a
//! payload, an environment, a log, a key or a token. Without `--names` every name and address is a pseudonym that is the same
//! throughout one bundle and says nothing outside of it. Everything from the federation is an answer of its API to this
//! authenticated principal, asked over connections whose far end stands under the context's roots (D3); the file is this user's
//! alone, and where it goes from here is this user's to decide.

mod facts;
mod pseudonym;
mod tar;

use crate::app::App;
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use facts::Facts;
use pseudonym::Pseudonyms;
use sekisho_types::error_code::ErrorCode;
use serde::Serialize;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// What goes into a bundle.
#[derive(Debug, clap::Args)]
pub struct SupportArgs {
    /// File to write; must not exist
    file: PathBuf,
    /// Keep the names of tenants, jobs, sites and people, and addresses, instead of replacing them
    #[arg(long)]
    names: bool,
    /// Denials and errors of this many last records of the audit log; for those who may read it
    #[arg(long, value_name = "COUNT", default_value_t = 500)]
    records: u32,
}

/// Says what is in a bundle.
#[derive(Debug, Serialize)]
struct Manifest {
    format: &'static str,
    program: &'static str,
    version: &'static str,
    /// Whether names are pseudonyms.
    redacted: bool,
    files: Vec<Entry>,
    left_out: Vec<Missing>,
}

#[derive(Debug, Serialize)]
struct Entry {
    file: &'static str,
    bytes: usize,
    what: &'static str,
}

/// What is not there, and why.
#[derive(Debug, Serialize)]
pub(super) struct Missing {
    what: &'static str,
    why: String,
}

/// What no bundle has, whoever asks.
const NEVER: &[(&str, &str)] = &[
    ("payloads", "what jobs run, with their environment, is never in a bundle"),
    ("logs", "the output of jobs and programs is never in a bundle"),
    ("keys and tokens", "never in a bundle; contexts name their files and no more"),
    ("sentences", "free text may name anything: codes and numbers stand in its place"),
    (
        "metrics",
        "served to the role monitor at each member's own listener, which no context names; `status` has their findings",
    ),
];

pub(super) async fn run(app: &mut App<'_>, args: SupportArgs) -> Result<Exit, Failure> {
    super::agreement::not_there(&args.file)?;
    let mut names = Pseudonyms::new(!args.names);
    let facts = Facts::gather(app, args.records, &mut names).await;
    let Facts { files, missing } = facts;
    let mut left_out: Vec<Missing> =
        NEVER.iter().map(|(what, why)| Missing { what, why: (*why).to_owned() }).collect();
    left_out.extend(missing);
    let entry = |(file, what, bytes): &(&'static str, &'static str, Vec<u8>)| Entry {
        file,
        bytes: bytes.len(),
        what,
    };
    let manifest = Manifest {
        format: "sekisho-support-1",
        program: "sekisho",
        version: env!("CARGO_PKG_VERSION"),
        redacted: !args.names,
        files: files.iter().map(entry).collect(),
        left_out,
    };
    let mut bundle = tar::Tar::default();
    bundle.add("manifest.json", &json(&manifest)?)?;
    for (name, _, bytes) in &files {
        bundle.add(name, bytes)?;
    }
    write(&args.file, &bundle.end())?;
    tell(app, &args, &manifest)?;
    Ok(Exit::Ok)
}

fn tell(app: &mut App<'_>, args: &SupportArgs, manifest: &Manifest) -> Result<(), Failure> {
    if !app.output.format.is_for_people() {
        return app.output.data(manifest);
    }
    let (file, count) = (args.file.display(), manifest.files.len());
    let line = app.output.pick(
        format!("{file}: {count} files and a manifest of what is in it and what is not"),
        format!("{file}: {count} ファイルと、内容および除外項目の一覧(manifest.json)"),
    );
    app.output.line(&line)?;
    let line = if manifest.redacted {
        app.output.pick(
            "names and addresses are replaced; look through it before you hand it on",
            "名前とアドレスは置き換え済みです。渡す前に内容を確認してください",
        )
    } else {
        app.output.pick(
            "names and addresses are in it: hand it on only to those who may know them",
            "名前とアドレスを含みます。知ってよい相手にのみ渡してください",
        )
    };
    app.output.note(line)?;
    app.output.next(&format!("tar -xOf {file} manifest.json"))
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, Failure> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// For this user alone; never over a file that is there.
fn write(path: &std::path::Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut open = std::fs::OpenOptions::new();
    let mut file =
        open.write(true).create_new(true).mode(0o600).open(path).map_err(|e| of_file(path, &e))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| of_file(path, &error))
}

#[cfg(test)]
mod tests;
