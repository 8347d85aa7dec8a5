//! How long it takes from a grant to the process that it allows, on an idle federation of real processes.
//!
//! Must hold: nothing of the way is left out: records, checkpoint signatures of two operators, the agent's check list, its
//! ledger and the shim. Three clocks are compared that are one on this machine: the wall clock as the drill, the leader (it
//! stamps the entry that grants) and the job itself read it.

use crate::agents::quantile;
use crate::bench::sekisho::{ADMIN, ADMIN_DIR, Caller};
use crate::federation::Federation;
use crate::work::{spec, submit};
use anyhow::{Context as _, Result, ensure};
use sekisho_evidence::record::{Body, Record};
use sekisho_proto::v1::ListRecordsRequest;
use sekisho_proto::v1::audit_service_client::AuditServiceClient;
use sekisho_transport::clock::SystemClock;
use sekisho_types::time::Clock as _;
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Jobs, one after the other
    #[arg(long, default_value_t = 31)]
    count: u32,
    /// First of ten ports
    #[arg(long, default_value_t = 27_980)]
    port_base: u16,
}

/// One job, milliseconds of the wall clock.
#[derive(Debug, Clone, Copy)]
struct Start {
    submitted: u64,
    granted: u64,
    begun: u64,
}

/// Runs jobs that print the time, and prints how long each part of their way took.
///
/// # Errors
/// A job that did not run.
pub fn measure(options: &Options, dir: &Path) -> Result<()> {
    let federation = Federation::start(dir, options.port_base)?;
    federation.whole()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let starts = (0..options.count).map(|number| start(&federation, &runtime, options, number));
    let starts = starts.collect::<Result<Vec<_>>>()?;
    let of = |what: &str, part: fn(&Start) -> u64| {
        let times: Vec<u64> = starts.iter().map(part).collect();
        let at = |percent| quantile(&times, percent);
        writeln!(
            std::io::stdout().lock(),
            "{what:<32} median {} ms, from {} to {} ms, p90 {} ms",
            at(50),
            at(0),
            at(100),
            at(90)
        )
    };
    of("submitted (program) to granted", |s| s.granted.saturating_sub(s.submitted))?;
    of("granted to the job's process", |s| s.begun.saturating_sub(s.granted))?;
    of("submitted to the job's process", |s| s.begun.saturating_sub(s.submitted))?;
    Ok(())
}

fn start(
    federation: &Federation,
    runtime: &tokio::runtime::Runtime,
    options: &Options,
    number: u32,
) -> Result<Start> {
    let name = format!("start-{number}");
    let submitted = SystemClock.wall().0;
    let job = submit(federation, &name, &spec(&name, 1, 1, "", "date +%s%3N"))?;
    let done = federation.await_job(&job, &["succeeded"])?;
    let index = done.pointer("/placements/0/audit_index").and_then(Value::as_u64);
    let granted = runtime.block_on(granted(federation, options, index.context("an index")?))?;
    let begun = federation.until("the time that it printed", || {
        let logs = federation.run("sapporo", &["job", "logs", &job])?.ok()?;
        logs.stdout.trim().parse().context("a number")
    })?;
    ensure!(submitted <= granted && granted <= begun, "{submitted}, {granted}, {begun}");
    Ok(Start { submitted, granted, begun })
}

/// When the entry that granted was stamped, by its record in the audit log.
async fn granted(federation: &Federation, options: &Options, index: u64) -> Result<u64> {
    let channel = Caller::open(federation.dir(), ADMIN, ADMIN_DIR)?.channel(options.port_base)?;
    let ask = ListRecordsRequest { start: index, page_size: 1 };
    let page = AuditServiceClient::new(channel).list_records(ask).await?.into_inner();
    let record = Record::parse(&page.records.first().context("a record")?.record)?;
    ensure!(matches!(record.body, Body::Grant(_)), "record {index} grants nothing");
    Ok(record.time.0)
}
