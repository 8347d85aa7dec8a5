//! Landmarks and fixes: the auditor verifies every transcript again, and keeps only what proves something.

use super::At;
use super::model::Model;
use crate::verify::fixes::JudgedFix;
use crate::verify::report::{Report, Step};
use sekisho_evidence::location::fix::{Fix, Host, judge};
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_evidence::location::range::{self, Pair, Question, convicted};
use sekisho_evidence::location::transcript::{FixId, SignedTranscript};
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::residency::PlaceProof;
use sekisho_types::time::Timestamp;

impl Model {
    pub(super) fn landmark(&mut self, at: At<'_>, new: &Landmark, report: &mut Report) {
        match self.landmarks.with(new.clone()) {
            Ok(table) => {
                self.forget_ranges(|id| *id == new.id);
                self.landmarks = table;
                self.landmarks_known = true;
            }
            Err(error) => report.found(Step::Residency, Some(at.index), error),
        }
    }

    /// Every fix that rests on it is over, and nothing that was measured of it counts.
    pub(super) fn remove_landmarks(&mut self, gone: impl Fn(&LandmarkId) -> bool) {
        self.forget_ranges(&gone);
        self.silence(gone);
    }

    fn forget_ranges(&mut self, gone: impl Fn(&LandmarkId) -> bool) {
        self.contradictions.retain(|(a, b)| !gone(a) && !gone(b));
        self.ranged.retain(|(a, b), _| !gone(a) && !gone(b));
    }

    /// What landmarks measured of one another, and whom it takes out.
    pub(super) fn ranges(
        &mut self,
        at: At<'_>,
        transcripts: &[SignedTranscript],
        report: &mut Report,
    ) {
        let mut taken = 0_usize;
        for signed in transcripts {
            let question = Question {
                cluster: &self.bundle.cluster,
                incarnation: self.bundle.incarnation,
                landmarks: &self.landmarks,
                now: at.record.time,
            };
            let Ok((pair, range)) = range::judge(question, signed) else { continue };
            taken = taken.saturating_add(1);
            let newer = self.ranged.get(&pair).is_none_or(|before| *before < range.ended);
            if newer {
                self.ranged.insert(pair.clone(), range.ended);
                if range.conviction.is_some() {
                    self.contradictions.insert(pair);
                }
            }
        }
        if taken == 0 {
            report.found(Step::Residency, Some(at.index), "none of its ranges counts");
        }
        let stands = |id: &LandmarkId| self.landmarks.get(id).is_some();
        let among: Vec<&Pair> =
            self.contradictions.iter().filter(|(a, b)| stands(a) && stands(b)).collect();
        let guilty = convicted(among);
        if !guilty.is_empty() {
            self.silence(|id| guilty.contains(id));
        }
    }

    fn silence(&mut self, gone: impl Fn(&LandmarkId) -> bool) {
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
        let index = usize::try_from(at.index).unwrap_or(usize::MAX);
        let place = (index, at.record.time);
        report.fixes.push(JudgedFix::new(place, id, transcripts.len(), &judged));
        match judged {
            Ok(fix) => drop(self.fixes.insert(id.clone(), fix)),
            Err(error) => {
                report.found(Step::Residency, Some(at.index), format!("the fix of {id}: {error}"));
            }
        }
    }

    /// What proves the node at this moment.
    pub(super) fn proof(&self, id: &NodeId, now: Timestamp) -> Option<PlaceProof> {
        Some(PlaceProof::from(self.fixes.get(id)?.proof(now)?))
    }

    /// What grants have to say that proofs were judged by.
    pub(super) fn basis(&self) -> Result<Digest, String> {
        if !self.landmarks_known {
            return Ok(Digest([0; 32]));
        }
        self.landmarks.basis().map_err(|error| error.to_string())
    }
}
