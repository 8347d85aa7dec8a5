//! How long an auditor's own machine takes over a log of some length.
//!
//! Must hold: the records are those of the real state machine, signed by test keys; what is measured is what `audit verify` does,
//! from the bytes of the file to the report.

use anyhow::{Context as _, Result, ensure};
use sekisho_cli::verify::verify;
use sekisho_evidence::audit_bundle::{AuditBundleHead, BundleWriter, FORMAT};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::checkpoint::{Checkpoint, assemble};
use sekisho_evidence::merkle::{Frontier, Head};
use sekisho_evidence::record::Record;
use sekisho_fsm::testing::history::History;
use sekisho_fsm::testing::{checkpoint_key, cluster, genesis};
use sekisho_types::error_code::Language;
use sekisho_types::jurisdiction::table_hash;
use sekisho_types::revision::Incarnation;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tokio::time::Instant;

/// Records of the shortest log: the attacks take some out.
const LEAST: usize = 1_000;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Records of the log, at least
    #[arg(long, default_value_t = 100_000)]
    records: usize,
    /// Leave the bundle here, and its genesis beside it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Leave here what could be handed over in its place, and the head of the true one
    #[arg(long, value_name = "DIR")]
    attacks: Option<PathBuf>,
    /// Times to verify it
    #[arg(long, default_value_t = 3)]
    times: u32,
}

/// Makes the bundle, verifies it, and prints how long each took.
///
/// # Errors
/// A bundle that does not verify.
pub fn measure(options: &Options, dir: &Path) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let begun = Instant::now();
    let all = records(options.records.max(LEAST));
    let bytes = bundle(&all, &[1, 2])?;
    let (made, mib) = (begun.elapsed(), bytes.len() / (1024 * 1024));
    writeln!(out, "made {mib} MiB in {:.1} s", made.as_secs_f64())?;
    let file = options.file.clone().unwrap_or_else(|| dir.join("audit.bin"));
    std::fs::write(&file, &bytes).with_context(|| file.display().to_string())?;
    if options.file.is_some() {
        std::fs::write(file.with_extension("genesis"), encode(&genesis())?)?;
    }
    if let Some(dir) = &options.attacks {
        attacks(&all, dir)?;
    }
    drop((bytes, all));
    for _ in 0..options.times {
        let begun = Instant::now();
        let bytes = std::fs::read(&file)?;
        let report = verify(&bytes, Some(&genesis()));
        let took = begun.elapsed();
        let records = report.subject.records;
        ensure!(report.is_good(), "{}", report.lines(Language::En, 100).join("\n"));
        writeln!(out, "verified {records} records in {:.2} s", took.as_secs_f64())?;
    }
    Ok(())
}

/// A history of at least so many records.
fn records(least: usize) -> Vec<Vec<u8>> {
    let mut history = History::new();
    let mut all = history.records();
    while all.len() < least {
        history.round();
        all.extend(history.records());
    }
    all
}

/// The signed note over these records by these of the first members.
fn note(records: &[Vec<u8>], members: &[u64]) -> Result<Vec<u8>> {
    let mut frontier = Frontier::default();
    for record in records {
        frontier.append(record)?;
    }
    let last = Record::parse(records.last().context("no record")?)?;
    let head = Head { size: frontier.size(), root: frontier.root()? };
    let (cluster, incarnation) = (cluster(), Incarnation(1));
    let (revision, time) = (last.revision, last.time);
    let checkpoint = Checkpoint { cluster, incarnation, head, revision, time };
    let genesis = genesis();
    let known = genesis.genesis.members.iter();
    let lines = known
        .filter(|known| members.contains(&known.member.0))
        .map(|by| checkpoint.sign(&by.operator, by.member, &checkpoint_key(by.member)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(assemble(&checkpoint.text()?, &lines))
}

fn bundle(records: &[Vec<u8>], members: &[u64]) -> Result<Vec<u8>> {
    let head = AuditBundleHead {
        format: FORMAT,
        cluster: cluster(),
        incarnation: Incarnation(1),
        genesis: genesis(),
        table: table_hash(),
        note: note(records, members)?,
        count: u64::try_from(records.len())?,
    };
    let (mut writer, mut bytes) = BundleWriter::start(&head)?;
    for record in records {
        bytes.extend(writer.record(record)?);
    }
    bytes.extend(writer.finish()?);
    Ok(bytes)
}

/// What somebody could hand an auditor in place of these records, each in a file of `dir`, and the head that the auditor kept.
fn attacks(all: &[Vec<u8>], dir: &Path) -> Result<()> {
    let good = bundle(all, &[1, 2])?;
    let middle = good.len() / 2;
    let mut flipped = good.clone();
    *flipped.get_mut(middle).context("no byte")? ^= 1;
    let mut forked = all.to_vec();
    forked.remove(all.len() / 2);
    for (name, bytes) in [
        ("head.note", note(all, &[1, 2])?),
        ("flipped.bin", flipped),
        ("cut.bin", good.get(..middle).unwrap_or_default().to_vec()),
        ("one-operator.bin", bundle(all, &[2])?),
        // Signed by as many as have to, and each good by itself.
        ("smaller.bin", bundle(all.get(..all.len() - 100).unwrap_or_default(), &[1, 2])?),
        ("forked.bin", bundle(&forked, &[1, 2])?),
    ] {
        let path = dir.join(name);
        std::fs::write(&path, bytes).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
