//! The age of this host's proof, for what runs (D4, ADR 14): the last line behind the control plane, which moves such jobs
//! long before.
//!
//! Must hold: a job whose rules say `drain` is stopped once this host's own verdict has been against it for
//! [`STALE_LAST_MS`] by `CLOCK_BOOTTIME`, whatever anybody says; what cannot be judged counts as not proven. One whose rules
//! say `keep` is not looked at. A younger table of landmarks serves as well as the one that a grant names, if another
//! grant of the ledger names it: k operators stand behind both.
//! Does not know of a policy that was changed since a grant: that comes as a set without it.

use super::{Action, Moment, Reconciler};
use crate::ledger::{Entry, EntryPhase};
use crate::limit::{MEASURE_AFTER, NS_PER_MS, PROOF_LOOK_MS, STALE_LAST_MS};
use crate::reason::Reason;
use crate::verify::own_proof;
use sekisho_evidence::grant::Grant;
use sekisho_types::id::Digest;
use sekisho_types::residency::{OnStaleProof, PlaceProof, Rules};
use sekisho_types::revision::PlacementId;
use std::collections::BTreeMap;

/// What this run knows of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Watched {
    looked_ns: Option<u64>,
    /// Since when the verdict is against a placement, boottime.
    since_ns: BTreeMap<PlacementId, u64>,
    /// Landmarks that were asked for; once for each name.
    asked: Option<Digest>,
    /// When this host was last to be measured anew, boottime.
    measured_ns: Option<u64>,
}

/// The rule sets of a grant that want a proof as long as it runs.
fn draining(grant: &Grant) -> Vec<&Rules> {
    let rules = grant.rules.iter().map(|bound| &*bound.rules);
    rules.filter(|rules| rules.on_stale_proof == OnStaleProof::Drain).collect()
}

/// Whether `ms` have passed since then; never counts as long ago.
fn passed(since_ns: Option<u64>, ms: u64, now: Moment) -> bool {
    since_ns.is_none_or(|since| now.boot_ns.saturating_sub(since) >= ms.saturating_mul(NS_PER_MS))
}

impl Reconciler {
    /// Looks at what runs, and stops what has been unproven for too long.
    pub(super) fn watch_proofs(&mut self, now: Moment) {
        if !passed(self.watched.looked_ns, PROOF_LOOK_MS, now) {
            return;
        }
        self.watched.looked_ns = Some(now.boot_ns);
        self.measure_in_time(now);
        let judged = self.judge_running(now);
        self.watched.since_ns.retain(|id, _| judged.contains_key(id));
        for (placement, verdict) in judged {
            let Err(reason) = verdict else {
                self.watched.since_ns.remove(&placement);
                continue;
            };
            let since = *self.watched.since_ns.entry(placement).or_insert(now.boot_ns);
            if passed(Some(since), STALE_LAST_MS, now) {
                self.watched.since_ns.remove(&placement);
                self.out.push(Action::Note(reason));
                self.stop_within_grace(&placement, now);
            }
        }
    }

    /// The verdict on everything that runs and is to be proven meanwhile.
    fn judge_running(&mut self, now: Moment) -> BTreeMap<PlacementId, Result<(), Reason>> {
        let mut proofs: BTreeMap<Digest, Result<PlaceProof, Reason>> = BTreeMap::new();
        let (mut judged, mut unknown) = (BTreeMap::new(), None);
        for (id, entry) in self.ledger.entries() {
            let rules = draining(&entry.grant);
            if entry.phase != EntryPhase::Live || rules.is_empty() {
                continue;
            }
            let host = self.host(now);
            let landmarks = self.vouched_for(&entry.grant);
            let proof = proofs
                .entry(landmarks)
                .or_insert_with(|| own_proof(host, self.ledger.bundle(), &landmarks));
            if !host.location.knows(&landmarks) {
                unknown = Some(landmarks);
            }
            let verdict = proof
                .clone()
                .and_then(|proof| host.standing.judge_proven(&rules, Some(proof), host.now));
            judged.insert(*id, verdict);
        }
        if let Some(landmarks) = unknown.filter(|landmarks| self.watched.asked != Some(*landmarks))
        {
            self.watched.asked = Some(landmarks);
            self.out.push(Action::FetchLandmarks(landmarks));
        }
        judged
    }

    /// The landmarks by which a running placement is judged: those of its grant, or known ones of another grant.
    fn vouched_for(&self, grant: &Grant) -> Digest {
        let knows = |landmarks: &Digest| self.locating.location.knows(landmarks);
        let others = self.ledger.entries().values().map(|entry| entry.grant.landmarks);
        let mut vouched = [grant.landmarks].into_iter().chain(others);
        vouched.find(knows).unwrap_or(grant.landmarks)
    }

    /// Has this host measured before its proof is older than what runs here allows.
    fn measure_in_time(&mut self, now: Moment) {
        let runs = self.ledger.entries().values().filter(|entry| entry.may_run());
        let rules = runs.flat_map(|entry: &Entry| &entry.grant.rules);
        let Some(age_s) = rules.filter_map(|bound| bound.rules.max_proof_age_s).min() else {
            return;
        };
        let after_ms = age_s.saturating_mul(1000).div_ceil(MEASURE_AFTER);
        let own = self.locating.location.fix().map(|own| own.transcripts.iter());
        let oldest = own.into_iter().flatten().map(|signed| signed.transcript.started).min();
        let old = oldest.is_none_or(|oldest| now.wall.since_ms(oldest) >= after_ms);
        if old && passed(self.watched.measured_ns, after_ms, now) {
            self.watched.measured_ns = Some(now.boot_ns);
            self.out.push(Action::Measure);
        }
    }
}
