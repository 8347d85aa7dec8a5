//! What is wrong, worst first.
//!
//! Must hold: the same trouble of many nodes is one line, so that one screen shows all kinds of trouble.

use super::{Health, majority, ms, small};
use crate::contact::Contact;
use crate::core::Core;
use crate::duty::Silence;
use crate::limit::{
    CERTIFICATE_ENDS_NOW, CERTIFICATE_ENDS_SOON, CHECKPOINT_LATE, DISK_ENOUGH, DISK_LOW,
    DRAIN_LATE, FINDINGS_MAX, LOAD_HIGH, MEMBER_LAGS, NAMED_PER_SITE, SIGNER_LATE, TAG_ENDS_SOON,
};
use crate::service::landmark::{contradicting, contradictions};
use crate::vitals::Vitals;
use sekisho_evidence::location::landmark::LandmarkId;
use sekisho_evidence::location::verdict::Verdict;
use sekisho_proto::convert::finding::{Condition, Finding};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1::node::State as Phase;
use sekisho_proto::v1::status::Severity;
use sekisho_types::id::{MemberId, NodeId, SiteId};
use sekisho_types::limit::{CLOCK_AHEAD_MAX, CLOCK_BEHIND_MAX};
use sekisho_types::time::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Nodes with one kind of trouble, by site, with what there is to say of each.
type Troubled = BTreeMap<SiteId, Vec<(NodeId, Trouble)>>;

/// What there is to say of a node.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    tag_ends: Timestamp,
    silence: Option<Silence>,
}

impl Trouble {
    /// Seconds until its lease is over; up, because it is a bound.
    fn left(&self) -> u64 {
        self.silence.map_or(0, |silence| ms(silence.left).div_ceil(1000))
    }
}

impl Core {
    /// What this member finds wrong with itself; told to the others with each exchange.
    pub(crate) fn own_findings(&self) -> Vec<Finding> {
        let now = self.clock.wall();
        let vitals = self.vitals.vitals();
        let Vitals { certificate_ends, disk, ordinary, internal, unproven_bytes } = vitals;
        // A hundred would say no more than one.
        let accused = self.accused().into_iter().take(1);
        let fork = |other: MemberId| {
            Finding::new(Severity::Bad, Condition::AuditFork).with("other", other)
        };
        let mut own: Vec<Finding> = accused.map(fork).collect();
        if unproven_bytes > 0 {
            let found = Finding::new(Severity::Bad, Condition::UnprovenBytes);
            own.push(found.with("bytes", unproven_bytes));
        }
        if let Some(ends) = certificate_ends {
            let left = ends.since_ms(now);
            let severity = grade(left, ms(CERTIFICATE_ENDS_SOON), ms(CERTIFICATE_ENDS_NOW));
            own.extend(
                severity.map(|s| Finding::new(s, Condition::CertificateEnds).with("at", ends)),
            );
        }
        if let Some(disk) = disk.filter(|disk| disk.free < DISK_ENOUGH) {
            let percent = disk.free.saturating_mul(100).checked_div(disk.size).unwrap_or(0);
            let [low, bad] = DISK_LOW;
            own.extend(grade(percent, low, bad).map(|severity| {
                let found = Finding::new(severity, Condition::DiskLow);
                found.with("free", disk.free >> 20).with("percent", percent)
            }));
        }
        let load = ordinary.percent().max(internal.percent());
        let shed = ordinary.shed_lately || internal.shed_lately;
        if shed || load >= LOAD_HIGH {
            let severity = if internal.shed_lately { Severity::Bad } else { Severity::Warn };
            own.push(Finding::new(severity, Condition::Overloaded).with("load", load));
        }
        own
    }
}

/// How bad it is that only this much is left.
fn grade(left: u64, warn: u64, bad: u64) -> Option<Severity> {
    match left {
        left if left < bad => Some(Severity::Bad),
        left if left < warn => Some(Severity::Warn),
        _ => None,
    }
}

impl Health<'_> {
    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut all = Vec::new();
        self.quorum(&mut all);
        self.access(&mut all);
        self.sites(&mut all);
        self.nodes(&mut all);
        self.standing(&mut all);
        self.countersignatures(&mut all);
        self.evictions(&mut all);
        self.drains(&mut all);
        self.services(&mut all);
        self.clocks(&mut all);
        self.checkpoints(&mut all);
        self.signers(&mut all);
        self.landmarks(&mut all);
        self.vitals(&mut all);
        all.sort_by_key(|finding| Reverse(finding.severity));
        all.truncate(FINDINGS_MAX);
        if all.iter().all(|finding| finding.severity == Severity::Ok) {
            all.insert(0, Finding::new(Severity::Ok, Condition::Well));
        }
        all
    }

    fn quorum(&self, all: &mut Vec<Finding>) {
        if self.membership.leader.is_none() {
            all.push(Finding::new(Severity::Bad, Condition::NoLeader));
        }
        let voters = &self.membership.voters;
        let silent: Vec<MemberId> =
            voters.iter().copied().filter(|id| !self.core.hears(*id, self.now_ns)).collect();
        let left = voters.len().saturating_sub(silent.len());
        for id in &silent {
            let spare = left > majority(voters.len());
            let severity = if spare { Severity::Warn } else { Severity::Bad };
            let found = Finding::new(severity, Condition::MemberSilent).with("member", id.name());
            all.push(found.with("left", left).with("voters", voters.len()));
        }
        for (id, member) in &self.federation.members {
            // It goes on to vote and to sign until the others have taken it out together.
            if self.state.site(&member.site).is_some_and(|site| site.revoked) {
                let found = Finding::new(Severity::Bad, Condition::MemberSiteRevoked);
                all.push(found.with("member", id.name()).with("site", &member.site));
            }
        }
        for who in self.can_stop_quorum().iter().filter(|who| who.starts_with("operators/")) {
            all.push(Finding::new(Severity::Bad, Condition::QuorumStopper).with("operator", who));
        }
        for (id, entries) in self.lags().into_iter().filter(|(_, entries)| *entries > MEMBER_LAGS) {
            let found = Finding::new(Severity::Warn, Condition::MemberLags);
            all.push(found.with("member", id.name()).with("entries", entries));
        }
    }

    /// Emergency rights that are open, and changes that wait for signatures.
    fn access(&self, all: &mut Vec<Finding>) {
        for (opened, row) in self.state.open_break_glasses() {
            let found = Finding::new(Severity::Bad, Condition::BreakGlassOpen);
            let found = found.with("by", &row.by).with("until", row.until).with("uses", row.uses);
            all.push(found.with("reason", &row.reason).with("revision", opened));
        }
        let count = self.state.pending_approvals().count();
        if count > 0 {
            let found = Finding::new(Severity::Ok, Condition::ApprovalsWait);
            all.push(found.with("count", count));
        }
    }

    /// How far members are behind: as the leader knows, else as they last told each other.
    pub(super) fn lags(&self) -> BTreeMap<MemberId, u64> {
        if !self.membership.lag.is_empty() {
            return self.membership.lag.clone();
        }
        let own = (self.core.identity.member, self.core.replica.applied().0);
        let others = self.federation.members.keys().filter_map(|id| {
            let (heard, lately) = self.core.peers.of(*id, self.now_ns)?;
            // What a silent member has, nobody knows; that it is silent is shown.
            lately.then_some((*id, heard.applied.0))
        });
        let applied: BTreeMap<MemberId, u64> = others.chain([own]).collect();
        let highest = applied.values().copied().max().unwrap_or_default();
        applied.into_iter().map(|(id, applied)| (id, highest.saturating_sub(applied))).collect()
    }

    fn sites(&self, all: &mut Vec<Finding>) {
        for site in self.core.unreachable_sites(self.state) {
            let site = site.strip_prefix("sites/").unwrap_or(&site);
            all.push(Finding::new(Severity::Warn, Condition::SiteSilent).with("site", site));
        }
    }

    fn nodes(&self, all: &mut Vec<Finding>) {
        let now = self.state.clock();
        let (mut unreachable, mut lost, mut ends) =
            (Troubled::new(), Troubled::new(), Troubled::new());
        let mut twins = Troubled::new();
        for (id, node) in self.state.nodes() {
            let phase = self.core.node_phase(self.state, id, node);
            let silence = match (phase, self.core.contact(id)) {
                (Phase::Unreachable, Contact::Silent(silence)) => Some(silence),
                (_, Contact::Live | Contact::Silent(_) | Contact::Unknown) => None,
            };
            let troubled = match phase {
                Phase::Unreachable => &mut unreachable,
                Phase::Lost => &mut lost,
                Phase::Quarantined => &mut twins,
                Phase::Ready if node.tag.expires.since_ms(now) < ms(TAG_ENDS_SOON) => &mut ends,
                Phase::Ready | Phase::Enrolled | Phase::Revoked | Phase::Unspecified => continue,
            };
            let trouble = Trouble { tag_ends: node.tag.expires, silence };
            troubled.entry(id.site.clone()).or_default().push((id.clone(), trouble));
        }
        let bad = |one| one == Condition::NodeQuarantined;
        let severity = |one| if bad(one) { Severity::Bad } else { Severity::Warn };
        let mut tell = |troubled: Troubled, one, many| {
            for (site, nodes) in troubled {
                if nodes.len() > NAMED_PER_SITE {
                    let found = Finding::new(severity(one), many).with("site", site);
                    let left = nodes.iter().map(|(_, trouble)| trouble.left()).max();
                    let found = found.with("count", nodes.len());
                    all.push(found.with("left", left.unwrap_or_default()));
                    continue;
                }
                for (node, trouble) in nodes {
                    let found = Finding::new(severity(one), one).with("node", node);
                    let found = found.with("at", trouble.tag_ends).with("left", trouble.left());
                    let seconds = trouble.silence.map_or(0, |silence| ms(silence.silent) / 1000);
                    all.push(found.with("seconds", seconds));
                }
            }
        };
        tell(twins, Condition::NodeQuarantined, Condition::NodesQuarantined);
        tell(unreachable, Condition::NodeUnreachable, Condition::NodesUnreachable);
        tell(lost, Condition::NodeLost, Condition::NodesLost);
        tell(ends, Condition::TagEnds, Condition::TagsEnd);
    }

    /// Nodes that wait for people: for their approval, for a repair, or for somebody to find out who is wrong about them.
    fn standing(&self, all: &mut Vec<Finding>) {
        let mut waits: BTreeMap<(&SiteId, Condition), Vec<Finding>> = BTreeMap::new();
        for (id, node) in self.state.nodes().filter(|(_, node)| !node.revoked) {
            let mut note = |many, found: Finding| {
                waits.entry((&id.site, many)).or_default().push(found.with("node", id));
            };
            if !node.approved {
                let found = Finding::new(Severity::Warn, Condition::NodePending);
                note(Condition::NodesPending, found);
            }
            if !node.findings.is_empty() && node.live_session().is_some() {
                let checks: Vec<&str> = node.findings.iter().map(|f| f.check.as_str()).collect();
                let found = Finding::new(Severity::Warn, Condition::NodeUnfit);
                note(Condition::NodesUnfit, found.with("checks", checks.join(", ")));
            }
            let verdict = self.state.fix(id).map(|kept| &kept.fix.verdict);
            if let Some(Verdict::Inconsistent(why)) = verdict {
                let found = Finding::new(Severity::Bad, Condition::LocationInconsistent);
                let landmarks = contradicting(why).into_iter().map(LandmarkId::to_string);
                let landmarks = landmarks.collect::<Vec<_>>().join(", ");
                note(Condition::LocationsInconsistent, found.with("landmarks", landmarks));
            }
        }
        for ((site, many), found) in waits {
            if found.len() <= NAMED_PER_SITE {
                all.extend(found);
                continue;
            }
            let count = found.len();
            let severity = found.first().map_or(Severity::Warn, |found| found.severity);
            all.push(Finding::new(severity, many).with("site", site).with("count", count));
        }
    }

    /// Agents that say that they were shown another history.
    fn countersignatures(&self, all: &mut Vec<Finding>) {
        let mut said: BTreeMap<&SiteId, Vec<&NodeId>> = BTreeMap::new();
        for (id, _) in self.state.contradictions_seen() {
            said.entry(&id.site).or_default().push(id);
        }
        for (site, nodes) in said {
            if nodes.len() > NAMED_PER_SITE {
                let many = Finding::new(Severity::Bad, Condition::CountersignsContradict);
                all.push(many.with("site", site).with("count", nodes.len()));
                continue;
            }
            let one = |node| {
                Finding::new(Severity::Bad, Condition::CountersignContradicts).with("node", node)
            };
            all.extend(nodes.into_iter().map(one));
        }
    }

    /// Landmarks that cannot all be right.
    fn landmarks(&self, all: &mut Vec<Finding>) {
        let wrong = contradictions(self.state);
        for (id, _) in self.state.convictions() {
            let others = wrong.get(id).into_iter().flatten().map(ToString::to_string);
            let found = Finding::new(Severity::Bad, Condition::LandmarkConvicted);
            let found = found.with("landmark", id).with("operator", &id.operator);
            all.push(found.with("landmarks", others.collect::<Vec<_>>().join(", ")));
        }
        for (id, other) in self.pairs() {
            let found = Finding::new(Severity::Bad, Condition::LandmarksContradict);
            all.push(found.with("landmark", id).with("other", other));
        }
    }

    /// Pairs of landmarks that count and contradict each other, each pair once.
    pub(super) fn pairs(&self) -> BTreeSet<(&LandmarkId, &LandmarkId)> {
        self.state.contradictions().map(|(a, b)| (a.min(b), a.max(b))).collect()
    }

    /// What the rules in force refuse and what should have stopped by now.
    fn evictions(&self, all: &mut Vec<Finding>) {
        let now = self.state.clock();
        let mut late: BTreeMap<&SiteId, BTreeMap<&NodeId, (usize, u64)>> = BTreeMap::new();
        for (residence, by) in self.state.overdue() {
            let node = &residence.row.grant.node;
            let (count, seconds) = late.entry(&node.site).or_default().entry(node).or_default();
            *count = count.saturating_add(1);
            *seconds = (*seconds).max(now.since_ms(by) / 1000);
        }
        for (site, nodes) in late {
            if nodes.len() > NAMED_PER_SITE {
                let many = Finding::new(Severity::Bad, Condition::EvictionsOverdue);
                all.push(many.with("site", site).with("count", nodes.len()));
                continue;
            }
            all.extend(nodes.into_iter().map(|(node, (count, seconds))| {
                let found = Finding::new(Severity::Bad, Condition::EvictionOverdue);
                found.with("node", node).with("count", count).with("seconds", seconds)
            }));
        }
    }

    /// What people ordered is no trouble; a drain that does not end is.
    fn drains(&self, all: &mut Vec<Finding>) {
        let now = self.state.clock();
        let mut ordered: BTreeMap<&SiteId, Vec<Finding>> = BTreeMap::new();
        for (id, node) in self.state.nodes().filter(|(_, node)| !node.revoked) {
            let (Some(drain), count) = (&node.drain, node.placements.len()) else { continue };
            let late = drain.deadline.filter(|at| now.since_ms(*at) > ms(DRAIN_LATE));
            let (severity, condition) = match (count, late) {
                (0, _) => (Severity::Ok, Condition::NodeDrained),
                (_, None) => (Severity::Ok, Condition::NodeDrains),
                (_, Some(_)) => (Severity::Warn, Condition::DrainOverdue),
            };
            let found = Finding::new(severity, condition).with("node", id).with("count", count);
            match late.filter(|_| count > 0) {
                Some(at) => all.push(found.with("at", at)),
                None => ordered.entry(&id.site).or_default().push(found),
            }
        }
        for (site, found) in ordered {
            if found.len() <= NAMED_PER_SITE {
                all.extend(found);
                continue;
            }
            let many = Finding::new(Severity::Ok, Condition::NodesDrain).with("site", site);
            all.push(many.with("count", found.len()));
        }
    }

    /// Services that lack replicas. Whoever reads this may not know their tenants, so none is named.
    fn services(&self, all: &mut Vec<Finding>) {
        let count = self.state.job_counts().services_short;
        if count > 0 {
            let found = Finding::new(Severity::Warn, Condition::ServiceShort);
            all.push(found.with("count", count));
        }
    }

    fn clocks(&self, all: &mut Vec<Finding>) {
        let (state, wall) = (self.state.clock(), self.core.clock.wall());
        let own = self.core.identity.member.name();
        for (off, max, condition) in [
            (state.since_ms(wall), CLOCK_AHEAD_MAX, Condition::ClockAhead),
            (wall.since_ms(state), CLOCK_BEHIND_MAX, Condition::ClockBehind),
        ] {
            if off > ms(max) {
                let found = Finding::new(Severity::Bad, condition).with("member", &own);
                all.push(found.with("seconds", off / 1000));
            }
        }
    }

    fn checkpoints(&self, all: &mut Vec<Finding>) {
        let (records, k) = (self.uncovered(), self.federation.bundle.k);
        if records == 0 {
            return;
        }
        let Some(note) = self.core.notes.newest() else {
            // After a start the first one comes with the next tick.
            let found = Finding::new(Severity::Warn, Condition::CheckpointNone);
            all.push(found.with("records", records).with("k", k));
            return;
        };
        let age = self.state.clock().since_ms(note.checkpoint.time);
        if age <= ms(SIGNER_LATE) {
            return;
        }
        let late = age > ms(CHECKPOINT_LATE);
        let severity = if late { Severity::Bad } else { Severity::Warn };
        let found = Finding::new(severity, Condition::CheckpointLags).with("records", records);
        all.push(found.with("k", k).with("seconds", age / 1000));
    }

    fn signers(&self, all: &mut Vec<Finding>) {
        let k = self.federation.bundle.k;
        let missing = self.missing_signers();
        let operators = self.federation.bundle.operators().count();
        let left = operators.saturating_sub(missing.len());
        for operator in &missing {
            let short = small(left) < k;
            let severity = if short { Severity::Bad } else { Severity::Warn };
            let found = Finding::new(severity, Condition::SignerMissing).with("operator", operator);
            all.push(found.with("left", left).with("operators", operators).with("k", k));
        }
        for member in self.members().into_iter().filter(|m| !m.signer_problem.is_empty()) {
            let found = Finding::new(Severity::Warn, Condition::SignerProblem);
            let found = found.with("member", member.name);
            all.push(found.with("problem", member.signer_problem.escape_debug()));
        }
        if k < 2 {
            all.push(Finding::new(Severity::Warn, Condition::SingleSigner));
        } else if operators == 2 {
            all.push(Finding::new(Severity::Warn, Condition::TwoOperators));
        }
    }

    /// Certificates, disks and load: this member's own, and what the others told of theirs.
    fn vitals(&self, all: &mut Vec<Finding>) {
        let own = self.core.identity.member.name();
        all.extend(self.core.own_findings().into_iter().map(|found| found.with("member", &own)));
        for id in self.federation.members.keys() {
            if let Some((heard, true)) = self.core.peers.of(*id, self.now_ns) {
                all.extend(heard.findings);
            }
        }
    }
}
