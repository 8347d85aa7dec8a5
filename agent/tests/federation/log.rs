//! The log that both members share: records, their tree, and the newest desired set.

use crate::controller::{CLUSTER, key, operator};
use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_evidence::merkle::{Frontier, Head, prove_consistency, prove_inclusion};
use sekisho_evidence::receipt::Refusal;
use sekisho_evidence::record::{Body, Record};
use sekisho_proto::convert::agent::{Desired, OpenSession, Proved};
use sekisho_proto::internal::v1::controller_message::Message;
use sekisho_transport::clock::SystemClock;
use sekisho_types::id::{Digest, MemberId, PublicKey};
use sekisho_types::placement::Phase;
use sekisho_types::revision::{Incarnation, PlacementId, Revision};
use sekisho_types::time::{Clock as _, Timestamp};
use std::collections::BTreeMap;

/// What agents told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) sessions: Vec<OpenSession>,
    pub(crate) phases: Vec<(PlacementId, Phase)>,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) output: Option<Vec<u8>>,
    pub(crate) renewals: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    frontier: Frontier,
    hashes: BTreeMap<u64, Digest>,
    records: Vec<Vec<u8>>,
    /// Index of the set's record, of its grants' records, and the entry that made it.
    pub(crate) desired: Option<(u64, Vec<u64>, Revision)>,
    pub(crate) revision: u64,
    /// Payload and submission.
    pub(crate) fetched: BTreeMap<PlacementId, (Vec<u8>, Vec<u8>)>,
    pub(crate) node_key: Option<Digest>,
    pub(crate) receipt_key: Option<PublicKey>,
    pub(crate) read: Option<PlacementId>,
    /// The first head that an agent tells on a stream gets lost.
    pub(crate) loses_heads: bool,
    pub(crate) told: Told,
}

impl Log {
    pub(crate) fn append(&mut self, body: Body) -> u64 {
        let record = Record { revision: Revision(self.revision), time: SystemClock.wall(), body };
        let bytes = record.bytes().unwrap();
        let appended = self.frontier.append(&bytes).unwrap();
        self.hashes.extend((appended.first_hash..).zip(appended.hashes));
        self.records.push(bytes);
        appended.record
    }

    fn prove(&self, index: u64) -> Proved {
        let path = prove_inclusion(self.frontier.size(), index, &self.hashes).unwrap();
        let record = self.records[usize::try_from(index).unwrap()].clone().into();
        Proved { record, index, path }
    }

    /// The newest set as a member delivers it to an agent whose head is of `from_size`, and its revision.
    pub(crate) fn message(&self, member: usize, from_size: u64) -> Option<(u64, Message)> {
        let (desired, grants, revision) = self.desired.clone()?;
        let head = Head { size: self.frontier.size(), root: self.frontier.root().unwrap() };
        let checkpoint = Checkpoint {
            cluster: CLUSTER,
            incarnation: Incarnation(1),
            head,
            revision,
            time: Timestamp(revision.0),
        };
        let id = MemberId(u64::try_from(member).unwrap() + 1);
        let signer = key(u8::try_from(member).unwrap() + 1);
        let desired = Desired {
            desired: self.prove(desired),
            grants: grants.iter().map(|index| self.prove(*index)).collect(),
            checkpoint: checkpoint.text().unwrap(),
            line: checkpoint.sign(&operator(member), id, &signer).unwrap(),
            from_size,
            consistency: prove_consistency(head.size, from_size, &self.hashes).unwrap(),
            revision,
        };
        Some((revision.0, Message::Desired((&desired).into())))
    }
}
