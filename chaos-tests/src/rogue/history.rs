//! The log that the rogues invent: a filler, the grant, the desired set, and the heads that they sign over it.

use super::Attempt;
use super::log::{Leaf, Log};
use super::submission::forged;
use anyhow::{Context as _, Result, ensure};
use sekisho_evidence::acknowledgement::{Counted, Renewal, acknowledge};
use sekisho_evidence::bundle::EndorserBundle;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::checkpoint::Checkpoint;
use sekisho_evidence::grant::{BoundRules, Grant, NodeDesired, SessionId, set_hash};
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::record::{Body, Record};
use sekisho_evidence::submission::Submission;
use sekisho_transport::clock::SystemClock;
use sekisho_types::id::{Digest, MemberId, NodeId};
use sekisho_types::job::OnDisconnect;
use sekisho_types::jurisdiction::{Area, table_hash};
use sekisho_types::residency::Rules;
use sekisho_types::revision::{Epoch, PlacementId, Revision};
use sekisho_types::time::{Clock as _, Timestamp};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Payload of the granted job: harmless, should an agent ever start it.
pub(super) const PAYLOAD: &[u8] = b"";
const REVISION: Revision = Revision(1000);

/// What the rogues agree on.
#[derive(Debug)]
pub(super) struct History {
    bundle: EndorserBundle,
    node: NodeId,
    pub(super) attempt: Attempt,
    pub(super) began: Timestamp,
    node_key: Mutex<Digest>,
    session: Mutex<Option<SessionId>>,
}

/// What is sent to the agent.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) grants: Vec<Leaf>,
    pub(super) desired: Leaf,
    pub(super) checkpoint: Checkpoint,
    /// Size of the head from which `consistency` leads.
    pub(super) from_size: u64,
    pub(super) consistency: Vec<Digest>,
}

/// Replaces the first `old`.
pub(super) fn replace_once(bytes: &mut [u8], old: &[u8], new: &[u8]) -> Result<()> {
    ensure!(old.len() == new.len());
    let at = bytes
        .windows(old.len())
        .position(|window| window == old)
        .context("the word is in the bytes")?;
    let slot = bytes.get_mut(at..at.saturating_add(new.len())).context("inside")?;
    slot.copy_from_slice(new);
    Ok(())
}

impl History {
    pub(super) fn new(bundle: EndorserBundle, node: NodeId, attempt: Attempt) -> Self {
        let (node_key, session) = (Mutex::new(Digest([0; 32])), Mutex::default());
        Self { bundle, node, attempt, began: SystemClock.wall(), node_key, session }
    }

    pub(super) fn made_out_to(&self, key: &Digest) {
        *self.node_key.lock().unwrap_or_else(PoisonError::into_inner) = *key;
    }

    pub(super) fn opened(&self, session: SessionId) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }

    /// The leader's word that a renewal of the open session counts.
    pub(super) fn word(&self, by: MemberId, sequence: u64, key: &SigningKey) -> Option<Vec<u8>> {
        let session = (*self.session.lock().unwrap_or_else(PoisonError::into_inner))?;
        let counted = Counted {
            cluster: self.bundle.cluster,
            incarnation: self.bundle.incarnation,
            member: by,
            term: 1000,
            revision: Revision(1000),
        };
        let renewal = Renewal { node: self.node.clone(), session, sequence };
        acknowledge(counted, &[renewal], key).ok()?.first()?.bytes().ok()
    }

    /// A grant to the node at a revision, flawless but for what the attempt bends.
    pub(super) fn grant(&self, revision: Revision) -> Result<Grant> {
        let grant = self.unsubmitted(revision)?;
        Ok(Grant { submission: forged(&grant, self.began)?.digest()?, ..grant })
    }

    fn unsubmitted(&self, revision: Revision) -> Result<Grant> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = Epoch { incarnation: self.bundle.incarnation, revision };
        // `JP` is the one allowed area, so that its two letters can be made another country's.
        let areas = BTreeSet::from([Area::Japan]);
        Ok(Grant {
            cluster: self.bundle.cluster,
            placement: PlacementId { epoch, ordinal: 0 },
            job: "sapporo/stolen".parse()?,
            rank: 0,
            group: 1,
            node: self.node.clone(),
            node_key: *self.node_key.lock().unwrap_or_else(PoisonError::into_inner),
            session: session.context("no session was opened")?,
            class: "sim-h100".parse()?,
            memory_mib: 81_920,
            units: 0,
            island: 1,
            gpus: 1,
            share: None,
            rules: vec![BoundRules {
                policy: None,
                rules: Rules { areas, ..Rules::default() }.into(),
            }],
            table: table_hash(),
            landmarks: Digest([0; 32]),
            submitter: "kanto/user/mallory".parse()?,
            payload: Digest::of(PAYLOAD),
            submission: Digest([0; 32]),
            on_disconnect: OnDisconnect::Stop,
            time_limit_s: 60,
        })
    }

    /// What they give for the submission that they lack.
    pub(super) fn submission(&self) -> Result<Submission> {
        forged(&self.unsubmitted(REVISION)?, self.began)
    }

    /// The whole invented log, the same whenever it is asked for.
    pub(super) fn delivery(&self) -> Result<Delivery> {
        let grant = self.grant(REVISION)?;
        let mut grant_bytes = encode(&grant)?;
        let record = |body| Record { revision: REVISION, time: self.began, body };
        let mut grant_record = record(Body::Grant(Box::new(grant.clone()))).bytes()?;
        if self.attempt == Attempt::ForeignArea {
            // One letter length, then the country: the area's canonical form.
            replace_once(&mut grant_bytes, b"\x02JP", b"\x02KR")?;
            replace_once(&mut grant_record, b"\x02JP", b"\x02KR")?;
        }
        let desired = NodeDesired {
            cluster: grant.cluster,
            node: grant.node.clone(),
            epoch: grant.placement.epoch,
            count: 1,
            hash: set_hash([Digest::of(&grant_bytes)]),
        };
        let desired_record = record(Body::Desired(desired)).bytes()?;
        let filler = record(Body::Entry { entry: Vec::new(), rejected: None }).bytes()?;
        let mut log = Log::default();
        log.append(filler)?;
        let granted = log.append(grant_record)?;
        let wanted = log.append(desired_record)?;
        Ok(Delivery {
            grants: vec![log.leaf(granted)?],
            desired: log.leaf(wanted)?,
            checkpoint: Checkpoint {
                cluster: self.bundle.cluster,
                incarnation: self.bundle.incarnation,
                head: log.head()?,
                revision: REVISION,
                time: self.began,
            },
            from_size: 0,
            consistency: Vec::new(),
        })
    }
}
