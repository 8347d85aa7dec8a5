//! What an auditor's bundle knows that the backup does not.

use crate::failure::{Failure, of_file};
use crate::verify;
use crate::verify::log;
use crate::verify::lost::{Lost, commands};
use crate::verify::snapshot::Good;
use sekisho_evidence::audit_bundle::AuditBundle;
use sekisho_evidence::canonical::decode;
use sekisho_evidence::genesis::SignedGenesis;
use sekisho_evidence::opening::Withdrawn;
use sekisho_evidence::record::{Body, Record};
use sekisho_evidence::terms::Agreement;
use sekisho_fsm::command::Command;
use sekisho_fsm::entry::Entry;
use sekisho_types::error_code::ErrorCode;
use std::path::Path;

/// What followed a backup.
#[derive(Debug, Default)]
pub(super) struct Later {
    /// The signed head.
    pub(super) note: Option<Vec<u8>>,
    /// Steps of the endorser bundle.
    pub(super) base: Vec<Agreement>,
    /// What was taken away.
    pub(super) withdrawn: Withdrawn,
    /// Every accepted command.
    pub(super) lost: Vec<Lost>,
}

impl Later {
    /// Reads an audit bundle, verifies it, and takes what follows the records of the backup.
    pub(super) fn read(path: &Path, good: &Good, genesis: &SignedGenesis) -> Result<Self, Failure> {
        let bytes = std::fs::read(path).map_err(|error| of_file(path, &error))?;
        let refused = |why: &str| {
            let why = format!("{}: {why}", path.display());
            Failure::new(ErrorCode::SnapshotMismatch, why)
        };
        if !verify::verify(&bytes, Some(genesis)).is_good() {
            return Err(refused("does not verify: `sekisho audit verify`"));
        }
        let bundle = AuditBundle::open(&bytes).map_err(|error| of_file(path, &error))?;
        if bundle.head.incarnation != good.head.incarnation {
            return Err(refused("is of another incarnation than the backup"));
        }
        let own = good.records.len();
        let same = bundle.records.iter().zip(&good.records).all(|(a, b)| *a == b.as_slice());
        if !same || bundle.records.len() < own {
            return Err(refused("does not go on from the backup's records"));
        }
        if bundle.records.len() == own {
            return Ok(Self::default());
        }
        let after = bundle.records.get(own..).unwrap_or_default();
        let records = log::records(after).map_err(|why| refused(&why))?;
        let first = u64::try_from(own).unwrap_or(u64::MAX);
        let lost = commands(&records, first);
        let mut later = Self { note: Some(bundle.head.note), lost, ..Self::default() };
        records.iter().for_each(|record| later.take(record));
        Ok(later)
    }

    fn take(&mut self, record: &Record) {
        let Body::Entry { entry, rejected: None } = &record.body else { return };
        let Ok(entry) = decode::<Entry>(entry) else { return };
        if let Command::ChangeBundle(agreement) = entry.command {
            self.base.push(*agreement);
        } else if let Command::RevokeSite { site } = entry.command {
            self.withdrawn.sites.insert(site);
        } else if let Command::RevokeNode { node } | Command::DecommissionNode { node } =
            entry.command
        {
            self.withdrawn.nodes.insert(node);
        } else if let Command::RevokeKey { key, .. } = entry.command {
            self.withdrawn.keys.insert(key);
        }
    }
}
