//! Landmarks and fixes: the auditor verifies every transcript again, and keeps only what proves something.

use super::At;
use super::model::Model;
use crate::verify::fixes::JudgedFix;
use crate::verify::report::{Report, Step};
use sekisho_evidence::location::fix::{Fix, Host, judge};
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_evidence::location::transcript::{FixId, SignedTranscript};
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::residency::PlaceProof;
use sekisho_types::time::Timestamp;

impl Model {
    pub(super) fn landmark(&mut self, at: At<'_>, new: &Landmark, report: &mut Report) {
        match self.landmarks.with(new.clone()) {
            Ok(table) => {
                self.landmarks = table;
                self.landmarks_known = true;
            }
            Err(error) => report.failed(Step::Residency, format!("{at}: {error}")),
        }
    }

    /// Every fix that rests on it is over.
    pub(super) fn remove_landmarks(&mut self, gone: impl Fn(&LandmarkId) -> bool) {
        let rests =
            |fix: &Fix| fix.transcripts.iter().any(|signed| gone(&signed.transcript.landmark));
        self.fixes.retain(|_, fix| !rests(fix));
        self.landmarks = self.landmarks.without(gone);
    }

    pub(super) fn fixed(
        &mut self,
        at: At<'_>,
        id: &NodeId,
        fix: FixId,
        transcripts: &[SignedTranscript],
        report: &mut Report,
    ) {
        if self.fixes.get(id).is_some_and(|kept| kept.fix == fix) {
            return;
        }
        let Some(node) = self.nodes.get(id) else { return };
        let host = Host {
            cluster: &self.bundle.cluster,
            incarnation: self.bundle.incarnation,
            landmarks: &self.landmarks,
            node: id,
            node_key: &node.key,
            receipt_key: &node.receipt_key,
            area: node.tag.as_ref().and_then(|tag| tag.area.domestic()),
        };
        let judged = judge(host, fix, transcripts, at.record.time);
        let place = (at.index, at.record.time);
        report.fixes.push(JudgedFix::new(place, id, transcripts.len(), &judged));
        match judged {
            Ok(fix) => drop(self.fixes.insert(id.clone(), fix)),
            Err(error) => {
                report.failed(Step::Residency, format!("{at}: the fix of {id}: {error}"));
            }
        }
    }

    /// What proves the node at this moment.
    pub(super) fn proof(&self, id: &NodeId, now: Timestamp) -> Option<PlaceProof> {
        let proof = self.fixes.get(id)?.proof(now)?;
        Some(PlaceProof { f: proof.f, oldest: proof.oldest })
    }

    /// What grants have to say that proofs were judged by.
    pub(super) fn basis(&self) -> Result<Digest, String> {
        if !self.landmarks_known {
            return Ok(Digest([0; 32]));
        }
        self.landmarks.basis().map_err(|error| error.to_string())
    }
}
