//! Members inside a job's area: through whom what it writes may pass, and who may keep what it runs if that stays there.
//!
//! Must hold: a payload that stays in its area may lie with a member only at a site that its submitter sealed it to, so one
//! that could read it anyway, and that stands wholly inside what every rule in force allows. No rule that comes later takes
//! in a site that the submitter did not name; one that narrows takes it from those that are outside now.
//! Does not know who really keeps it: that is no fact, but [`AreaOnly::missing`](crate::state::AreaOnly::missing) is.

use crate::apply::residency::named;
use crate::state::{AreaOnly, State};
use sekisho_evidence::genesis::GenesisMember;
use sekisho_types::id::Digest;
use sekisho_types::job::JobFacts;
use sekisho_types::residency::{Rules, may_pass};

impl State {
    /// Whether what belongs to a job may pass through a member: it stands inside the area, and is of an operator, that every
    /// rule in force allows.
    #[must_use]
    pub fn is_inside(&self, facts: &JobFacts, member: &GenesisMember) -> bool {
        let Ok(bound) = named(self, facts) else { return false };
        let rules: Vec<&Rules> = bound.iter().map(|(_, rules)| &***rules).collect();
        let site = self.site(&member.site).filter(|site| !site.revoked);
        site.is_some_and(|site| {
            site.operator == member.operator
                && may_pass(&member.operator, site.area, &rules, self.clock)
        })
    }

    /// Whether a member may keep the payload of a job that lets it lie inside its area alone.
    #[must_use]
    pub fn may_keep(&self, facts: &JobFacts, member: &GenesisMember) -> bool {
        facts.area_only
            && facts.sealed_to.contains_key(&member.site)
            && self.is_inside(facts, member)
    }

    /// Every member that may.
    #[must_use]
    pub fn keepers(&self, facts: &JobFacts) -> Vec<&GenesisMember> {
        let members = self.federation().into_iter().flat_map(|f| f.members.values());
        members.filter(|member| self.may_keep(facts, member)).collect()
    }

    /// The open job whose payload this is, if it stays in its area.
    #[must_use]
    pub fn area_only(&self, payload: &Digest) -> Option<&JobFacts> {
        self.bound_with(payload, self.area_only.get(payload)?)
    }

    /// Payloads of open jobs that stay in their areas.
    pub fn area_only_payloads(&self) -> impl Iterator<Item = (&Digest, &JobFacts)> {
        let rows = self.area_only.iter();
        rows.filter_map(move |(digest, row)| Some((digest, self.bound_with(digest, row)?)))
    }

    /// With whose facts a payload is kept: those of its job; of a whole that runs something else by now, those of the first task
    /// that still runs this. Where that may lie is a matter of what it was sealed to.
    fn bound_with(&self, payload: &Digest, row: &AreaOnly) -> Option<&JobFacts> {
        let job = self.job(&row.job)?;
        if job.facts.payload == *payload {
            return Some(&job.facts);
        }
        let open = self.tasks(&job.facts.id).map(|(_, task)| task);
        open.filter(|task| !task.phase.is_final())
            .map(|task| &task.facts)
            .find(|facts| facts.payload == *payload)
    }

    /// Whether a host has found no member that keeps this payload, and none has said since that it does.
    #[must_use]
    pub fn is_missing(&self, payload: &Digest) -> bool {
        self.area_only.get(payload).is_some_and(|row| row.missing)
    }
}
