//! The log itself: who may sign it, whether every record is in its one form, and whether the head is theirs.

use sekisho_evidence::audit_bundle::AuditBundle;
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::canonical::decode;
use sekisho_evidence::checkpoint::{VerifiedCheckpoint, verify_note};
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::merkle::{Frontier, Head};
use sekisho_evidence::record::{Body, Record};
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::Entry;
use sekisho_types::jurisdiction::table_hash;

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

/// Every record, read strictly, in an order that a log can have.
///
/// # Errors
/// The first record that is malformed or out of order.
pub fn records(raw: &[&[u8]]) -> Result<Vec<Record>, String> {
    let mut records: Vec<Record> = Vec::with_capacity(raw.len());
    for (index, bytes) in raw.iter().enumerate() {
        let record = Record::parse(bytes).map_err(|error| format!("record {index}: {error}"))?;
        if let Some(last) = records.last()
            && (record.revision < last.revision || record.time < last.time)
        {
            return Err(format!("record {index}: revision or time runs back"));
        }
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
        let steps = if let Command::ChangeBundle(agreement) = entry.command {
            vec![*agreement]
        } else if let Command::OpenIncarnation { mut base, agreement } = entry.command {
            base.push(*agreement);
            base
        } else {
            continue;
        };
        for step in steps {
            step.follows(&held).map_err(|error| format!("record {index}: {error}"))?;
            held = step.signed.bundle;
        }
    }
    Ok(held)
}

/// The head of the tree of these records.
///
/// # Errors
/// Never for records that fit into memory.
pub fn tree(raw: &[&[u8]]) -> Result<Head, String> {
    let mut frontier = Frontier::default();
    for bytes in raw {
        frontier.append(bytes).map_err(|error| error.to_string())?;
    }
    let root = frontier.root().map_err(|error| error.to_string())?;
    Ok(Head { size: frontier.size(), root })
}

/// The note is signed by k operators of the bundle in force and covers exactly these records.
///
/// # Errors
/// Why it does not.
pub fn head(bundle: &AuditBundle<'_>, records: &[Record]) -> Result<VerifiedCheckpoint, String> {
    let endorsers = endorsers(&bundle.head.genesis.genesis.bundle, records)?;
    if bundle.head.incarnation != endorsers.incarnation {
        return Err("the head names another incarnation than the records".to_owned());
    }
    let signed = verify_note(&endorsers, &bundle.head.note).map_err(|error| error.to_string())?;
    let own = tree(&bundle.records)?;
    let checkpoint = &signed.checkpoint;
    if checkpoint.head != own {
        return Err(format!(
            "the signed head has {} records with root {}, the file {} with root {}",
            checkpoint.head.size, checkpoint.head.root, own.size, own.root
        ));
    }
    let late =
        |record: &Record| record.revision > checkpoint.revision || record.time > checkpoint.time;
    if records.last().is_some_and(late) {
        return Err("the checkpoint is older than the last record".to_owned());
    }
    Ok(signed)
}
