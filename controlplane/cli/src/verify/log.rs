//! The log itself: who may sign it, whether records follow each other, and whether the head is theirs.

use super::census::Census;
use super::heard::Heard;
use super::lost::{Begun, begun};
use super::pipeline::{Chunk, Read, Taker};
use super::report::Subject;
use sekisho_evidence::audit_bundle::AuditBundle;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::canonical::decode;
use sekisho_evidence::checkpoint::{Checkpoint, VerifiedCheckpoint, verify_note};
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::merkle::{Head, Tree, leaf};
use sekisho_evidence::record::{Body, Record};
use sekisho_evidence::terms::Agreement;
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::Entry;
use sekisho_types::jurisdiction::table_hash;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::thread::{Builder, available_parallelism, scope};

/// Fewer records are hashed sooner than a thread begins.
const HASHED_ALONE: usize = 4096;

/// Whom to believe: the genesis stands, is the trusted one if there is one, and this program knows its areas.
///
/// # Errors
/// What does not fit.
pub fn genesis(first: &SignedGenesis, trusted: Option<&SignedGenesis>) -> Result<(), String> {
    first.check().map_err(|error| error.to_string())?;
    if trusted.is_some_and(|trusted| trusted.genesis != first.genesis) {
        return Err("the file begins with another genesis than the trusted one".to_owned());
    }
    let table = first.genesis.table;
    if table != table_hash() {
        let own = table_hash();
        return Err(format!("made under jurisdiction table {table}, this program has {own}"));
    }
    Ok(())
}

/// Whom to believe, and that the rest of a bundle's head fits it. Returns the number of operators that signed it.
///
/// # Errors
/// What does not fit.
pub fn trust(bundle: &AuditBundle<'_>, trusted: Option<&SignedGenesis>) -> Result<usize, String> {
    let head = &bundle.head;
    genesis(&head.genesis, trusted)?;
    let genesis = &head.genesis.genesis;
    if head.cluster != genesis.bundle.cluster {
        return Err("head and genesis name different federations".to_owned());
    }
    if head.table != genesis.table {
        return Err("head and genesis name different jurisdiction tables".to_owned());
    }
    Ok(genesis.bundle.operators.len())
}

/// What is wrong with the log as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// A record does not follow from the one before it.
    Order(u64, String),
    /// A change of the endorser bundle does not follow.
    Endorsers(u64, String),
}

/// The log, record by record.
#[derive(Debug)]
pub struct Log {
    /// Endorser bundles so far, oldest first; the last one is in force.
    pub bundles: Vec<EndorserBundle>,
    /// Every hash, of all records.
    pub tree: Tree,
    /// Every new beginning.
    pub openings: Vec<Begun>,
    /// What happened, counted.
    pub census: Census,
    /// What agents and members had recorded of what they saw.
    pub heard: Heard,
    /// State clock of the first record.
    pub first: Option<Timestamp>,
    last: Option<(Revision, Timestamp)>,
    wrong: Option<Wrong>,
}

impl Taker for Log {
    fn take(&mut self, chunk: &Chunk<'_>) -> ControlFlow<()> {
        for (index, _, read) in chunk.iter() {
            if let Err(wrong) = self.record(index, read) {
                self.wrong = Some(wrong);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

impl Log {
    /// Of the federation that begins so, with the tree of its records.
    #[must_use]
    pub fn new(genesis: &SignedGenesis, tree: Tree) -> Self {
        Self {
            bundles: vec![genesis.genesis.bundle.clone()],
            tree,
            openings: Vec::new(),
            census: Census::new(&genesis.genesis),
            heard: Heard::default(),
            first: None,
            last: None,
            wrong: None,
        }
    }

    fn record(&mut self, index: u64, read: &Read) -> Result<(), Wrong> {
        let record = &read.record;
        in_order(self.last, record).map_err(|why| Wrong::Order(index, why))?;
        self.first.get_or_insert(record.time);
        self.last = Some((record.revision, record.time));
        let entry = read.entry.as_ref().map(|(entry, _)| entry);
        self.census.record(record, entry);
        let accepted = matches!(record.body, Body::Entry { rejected: None, .. });
        let Some(entry) = entry.filter(|_| accepted) else { return Ok(()) };
        self.heard.entry(index, entry, (&self.tree, self.bundles.last()));
        for step in steps(&entry.command) {
            let held = self.bundles.last().filter(|held| step.follows(held).is_ok());
            let Some(_held) = held else {
                let why = "a change of the operators' keys that they have not agreed on";
                return Err(Wrong::Endorsers(index, why.to_owned()));
            };
            self.bundles.push(step.signed.bundle.clone());
        }
        if let Command::OpenIncarnation { agreement, .. } = &entry.command {
            self.openings.extend(begun(index, agreement));
        }
        Ok(())
    }

    /// What is wrong, if anything; the records before it were taken.
    #[must_use]
    pub fn wrong(&self) -> Option<&Wrong> {
        self.wrong.as_ref()
    }

    /// The endorser bundle in force at the end.
    fn in_force(&self) -> Result<&EndorserBundle, String> {
        self.bundles.last().ok_or_else(|| "no endorser bundle".to_owned())
    }

    /// The note is signed by k operators of the bundle in force and covers exactly these records.
    ///
    /// # Errors
    /// Why it does not.
    pub fn head(&self, bundle: &AuditBundle<'_>) -> Result<VerifiedCheckpoint, String> {
        let endorsers = self.in_force()?;
        if bundle.head.incarnation != endorsers.incarnation {
            return Err("the head names another incarnation than the records".to_owned());
        }
        let signed =
            verify_note(endorsers, &bundle.head.note).map_err(|error| error.to_string())?;
        let own = self.tree.head().map_err(|error| error.to_string())?;
        covers(&signed.checkpoint, own)?;
        let checkpoint = &signed.checkpoint;
        let late = |(revision, time): &(Revision, Timestamp)| {
            *revision > checkpoint.revision || *time > checkpoint.time
        };
        if self.last.as_ref().is_some_and(late) {
            return Err("the checkpoint is older than the last record".to_owned());
        }
        Ok(signed)
    }

    /// A head that somebody kept is one of this log's own. `note` was signed by k operators of some time.
    ///
    /// # Errors
    /// Why it is not.
    pub fn seen(&self, note: &[u8]) -> Result<Checkpoint, String> {
        let signed = self.bundles.iter().rev().map(|bundle| verify_note(bundle, note));
        let signed = signed.reduce(|best, next| if best.is_ok() { best } else { next.or(best) });
        let signed = signed.ok_or("no endorser bundle")?.map_err(|error| error.to_string())?;
        let seen = signed.checkpoint.head;
        if seen.size > self.tree.size() {
            return Err(format!(
                "the head that was seen has {} records, this log only {}: records were taken out",
                seen.size,
                self.tree.size()
            ));
        }
        let own = self.tree.head_at(seen.size).map_err(|error| error.to_string())?;
        if own == seen {
            return Ok(signed.checkpoint);
        }
        // What an opening left behind may differ; what it kept may not.
        let life = signed.checkpoint.incarnation.0;
        let lost = |begun: &Begun| begun.incarnation > life && begun.restored < seen.size;
        if self.openings.iter().any(lost) {
            return Err(format!(
                "of the {} records seen, some were lost when a new incarnation began: compare the bundle of then (--earlier)",
                seen.size
            ));
        }
        Err(format!(
            "the first {} records have root {}, the head that was seen has {}: two histories",
            seen.size, own.root, seen.root
        ))
    }

    /// What the whole is about.
    pub fn describe(&self, subject: &mut Subject) {
        subject.openings.clone_from(&self.openings);
        subject.from = self.first.map(|time| time.to_string()).unwrap_or_default();
        subject.to = self.last.map(|(_, time)| time.to_string()).unwrap_or_default();
        let in_force = self.bundles.last();
        subject.operators = in_force
            .map(|bundle| bundle.operators().map(|operator| operator.to_string()).collect())
            .unwrap_or_default();
        subject.k = in_force.map_or(0, |bundle| bundle.k);
    }
}

fn covers(checkpoint: &Checkpoint, own: Head) -> Result<(), String> {
    if checkpoint.head == own {
        return Ok(());
    }
    Err(format!(
        "the signed head has {} records with root {}, the file {} with root {}",
        checkpoint.head.size, checkpoint.head.root, own.size, own.root
    ))
}

fn in_order(last: Option<(Revision, Timestamp)>, record: &Record) -> Result<(), String> {
    let back = |(revision, time)| record.revision < revision || record.time < time;
    if last.is_some_and(back) {
        return Err("revision or time runs back".to_owned());
    }
    Ok(())
}

/// Steps of the endorser bundle that an accepted command makes.
fn steps(command: &Command) -> Vec<&Agreement> {
    if let Command::ChangeBundle(agreement) = command {
        return vec![agreement.as_ref()];
    }
    if let Command::OpenIncarnation { base, agreement } = command {
        return base.iter().chain([agreement.as_ref()]).collect();
    }
    Vec::new()
}

/// Every record, read strictly, in an order that a log can have.
///
/// # Errors
/// The first record that is malformed or out of order.
pub fn records(raw: &[&[u8]]) -> Result<Vec<Record>, String> {
    let mut records: Vec<Record> = Vec::with_capacity(raw.len());
    for (index, bytes) in raw.iter().enumerate() {
        let record = Record::parse(bytes).map_err(|error| format!("record {index}: {error}"))?;
        let last = records.last().map(|last| (last.revision, last.time));
        in_order(last, &record).map_err(|why| format!("record {index}: {why}"))?;
        records.push(record);
    }
    Ok(records)
}

/// The endorser bundle in force at the end of these records: that of the genesis, and each one that the log accepted and
/// that the operators of the one before it agreed on. The latter is checked here, whatever the log says.
///
/// # Errors
/// The first record that cannot be read, or whose change does not follow.
pub fn endorsers(first: &EndorserBundle, records: &[Record]) -> Result<EndorserBundle, String> {
    let mut held = first.clone();
    for (index, record) in records.iter().enumerate() {
        let Body::Entry { entry, rejected: None } = &record.body else { continue };
        let entry: Entry = decode(entry).map_err(|error| format!("record {index}: {error}"))?;
        for step in steps(&entry.command) {
            step.follows(&held).map_err(|error| format!("record {index}: {error}"))?;
            held = step.signed.bundle.clone();
        }
    }
    Ok(held)
}

/// The head of the tree of these records.
///
/// # Errors
/// Never for records that fit into memory.
pub fn tree(raw: &[&[u8]]) -> Result<Head, String> {
    hashed(raw)?.head().map_err(|error| error.to_string())
}

/// The tree of these records, hashed on all cores.
///
/// # Errors
/// Without threads.
pub fn hashed(raw: &[&[u8]]) -> Result<Tree, String> {
    let cores = available_parallelism().map_or(1, NonZero::get);
    if cores == 1 || raw.len() < HASHED_ALONE {
        return Tree::of(raw).map_err(|error| error.to_string());
    }
    let leaves = scope(|scope| {
        let mut begun = Vec::new();
        for part in raw.chunks(raw.len().div_ceil(cores).max(1)) {
            let work = move || part.iter().map(|record| leaf(record)).collect::<Vec<_>>();
            let thread = Builder::new().name("hash".to_owned()).spawn_scoped(scope, work);
            begun.push(thread.map_err(|error| error.to_string())?);
        }
        let broken = |_panic| "a thread broke off".to_owned();
        begun.into_iter().map(|part| part.join().map_err(broken)).collect::<Result<Vec<_>, _>>()
    })?;
    let mut tree = Tree::default();
    let pushed = leaves.into_iter().flatten().try_for_each(|leaf| tree.push(leaf));
    pushed.map_err(|error| error.to_string())?;
    Ok(tree)
}

/// The note is of exactly the records of this tree, whoever signed it: what is not, is not looked at any further.
///
/// # Errors
/// Why it is not.
pub fn claimed(bundle: &AuditBundle<'_>, tree: &Tree) -> Result<(), String> {
    let claimed = Checkpoint::read(&bundle.head.note).map_err(|error| error.to_string())?;
    covers(&claimed, tree.head().map_err(|error| error.to_string())?)
}
