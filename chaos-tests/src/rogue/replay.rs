//! Attempts that misuse a log which k operators did sign: a record altered on its way, an old grant put forward again,
//! a log that has become shorter.
//!
//! Must hold: each head is signed as it should be, and so is every set but the one thing that the attempt bends; else
//! the agent would refuse for another reason.

use super::Attempt;
use super::history::{Delivery, History, replace_once};
use super::log::Log;
use anyhow::{Context as _, Result};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_evidence::grant::{NodeDesired, set_hash};
use sekisho_evidence::record::{Body, Record};
use sekisho_types::id::Digest;
use sekisho_types::revision::Revision;

/// Of the first set that the agent accepts.
const FIRST: Revision = Revision(1000);
/// Of one before it, which the agent has not seen.
const EARLIER: Revision = Revision(999);
/// Of one after it.
const LATER: Revision = Revision(1001);

/// What is delivered, in order.
pub(super) fn deliveries(history: &History, attempt: Attempt) -> Result<Vec<Delivery>> {
    match attempt {
        Attempt::AlteredRecord => altered(history),
        Attempt::OldGrant => old_grant(history),
        Attempt::ShorterLog => shorter_log(history),
        Attempt::ForeignArea | Attempt::TaggedAbroad | Attempt::Unsubmitted => {
            Ok(vec![history.delivery()?])
        }
    }
}

/// The record of the grant says something else than the signed one.
fn altered(history: &History) -> Result<Vec<Delivery>> {
    let mut log = Log::default();
    filler(history, &mut log)?;
    let grant = grant(history, &mut log, FIRST)?;
    let mut delivery = set(history, &mut log, FIRST, &[grant])?;
    let leaf = delivery.grants.first_mut().context("one grant")?;
    replace_once(&mut leaf.record, b"stolen", b"swayed")?;
    Ok(vec![delivery])
}

/// An empty set is accepted; then comes a set from before it, as it was signed then; then one from after it that names
/// the grant of before.
fn old_grant(history: &History) -> Result<Vec<Delivery>> {
    let mut log = Log::default();
    filler(history, &mut log)?;
    let grant = grant(history, &mut log, EARLIER)?;
    let earlier = set(history, &mut log, EARLIER, std::slice::from_ref(&grant))?;
    let first = set(history, &mut log, FIRST, &[])?;
    let mut later = set(history, &mut log, LATER, &[grant])?;
    later.from_size = first.checkpoint.head.size;
    later.consistency = log.since(later.from_size)?;
    Ok(vec![first, earlier, later])
}

/// An empty set is accepted under a head of three records, then comes a newer one under a head of two.
fn shorter_log(history: &History) -> Result<Vec<Delivery>> {
    let mut log = Log::default();
    filler(history, &mut log)?;
    filler(history, &mut log)?;
    let first = set(history, &mut log, FIRST, &[])?;
    let mut other = Log::default();
    let grant = grant(history, &mut other, LATER)?;
    let later = set(history, &mut other, LATER, &[grant])?;
    Ok(vec![first, later])
}

/// A grant in a log: its index, and the hash by which sets name it.
#[derive(Debug, Clone, Copy)]
struct Granted {
    index: u64,
    digest: Digest,
}

fn append(history: &History, log: &mut Log, revision: Revision, body: Body) -> Result<u64> {
    log.append(Record { revision, time: history.began, body }.bytes()?)
}

fn filler(history: &History, log: &mut Log) -> Result<u64> {
    append(history, log, EARLIER, Body::Entry { entry: Vec::new(), rejected: None })
}

fn grant(history: &History, log: &mut Log, revision: Revision) -> Result<Granted> {
    let grant = history.grant(revision)?;
    let digest = Digest::of(&encode(&grant)?);
    let index = append(history, log, revision, Body::Grant(Box::new(grant)))?;
    Ok(Granted { index, digest })
}

/// Appends the node's set at a revision and delivers it under the head of that moment.
fn set(
    history: &History,
    log: &mut Log,
    revision: Revision,
    grants: &[Granted],
) -> Result<Delivery> {
    let like = history.grant(revision)?;
    let desired = NodeDesired {
        cluster: like.cluster,
        node: like.node,
        epoch: like.placement.epoch,
        count: u32::try_from(grants.len())?,
        hash: set_hash(grants.iter().map(|grant| grant.digest)),
    };
    let index = append(history, log, revision, Body::Desired(desired))?;
    Ok(Delivery {
        grants: grants.iter().map(|grant| log.leaf(grant.index)).collect::<Result<_>>()?,
        desired: log.leaf(index)?,
        checkpoint: Checkpoint {
            cluster: like.cluster,
            incarnation: like.placement.epoch.incarnation,
            head: log.head()?,
            revision,
            time: history.began,
        },
        from_size: 0,
        consistency: Vec::new(),
    })
}
