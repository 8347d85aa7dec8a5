//! When a waiting job could start at the latest, if nobody comes who gets ahead: on paper.
//!
//! ```text
//! running jobs end ─┐
//! those before it end ─┤
//! a budget's period begins or ends ─┼─> instants in order ─> the first at which nodes, quotas, budgets and offers admit the whole group
//! an offer begins ─┘
//! ```
//! Must hold: an upper bound, never a promise. Every job uses its whole time limit, and what is kept for others stays kept; what
//! is charged is charged by the purse of apply, opened at that instant.
//! Does not know: shared devices, and nodes of jobs that keep apart, of which it matters who ends and not how many; what no clock
//! brings: a host that comes back, an approval, a limit that is raised.

use crate::ahead::Booked;
use crate::books::Overlay;
use crate::fleet::end_of;
use crate::limit::{EVENTS_TRIED_MAX, PLACEMENTS_CONSIDERED_MAX, TRIED_MAX};
use crate::node::matching;
use crate::round::GRACE_MS;
use crate::sides::Sides;
use crate::survey::{Ask, Host, Survey};
use sekisho_fsm::State;
use sekisho_fsm::offer::OfferKey;
use sekisho_fsm::purse::Purse;
use sekisho_fsm::topology::Stand;
use sekisho_types::budget::{Exhausted, Period};
use sekisho_types::id::{JobId, NodeId, SiteId, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What an estimate rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// Running jobs will have ended by their time limits.
    Ends,
    /// So will those whose turn comes first.
    Ahead,
    /// A period of a budget begins.
    Period,
    /// The span of a budget that does not begin anew is over: it counts nothing any more.
    Span,
    /// An offer begins.
    Offer,
}

impl Basis {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::Ends, Self::Ahead, Self::Period, Self::Span, Self::Offer];

    /// Constant token.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ends => "RUNNING_JOBS_END",
            Self::Ahead => "EARLIER_JOBS_END",
            Self::Period => "BUDGET_PERIOD_BEGINS",
            Self::Span => "BUDGET_SPAN_ENDS",
            Self::Offer => "OFFER_BEGINS",
        }
    }
}

/// In words, as part of a sentence.
impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ends => "when running jobs have ended by their time limits",
            Self::Ahead => "when the jobs before it have ended by their time limits",
            Self::Period => "when a budget's next period begins",
            Self::Span => "when the span of a budget is over",
            Self::Offer => "when an offer begins",
        })
    }
}

/// What waiting is for.
#[derive(Debug, Default)]
pub(crate) struct Outlook {
    /// The first job whose end alone would let the group start.
    pub(crate) one: Option<Ending>,
    /// When enough together will have come.
    pub(crate) all: Option<(Timestamp, Basis)>,
}

/// The end of a job.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) job: JobId,
    pub(crate) by: Timestamp,
}

/// What comes back at an instant.
#[derive(Debug)]
struct Release<'s> {
    at: Timestamp,
    job: &'s JobId,
    node: &'s NodeId,
    bucket: u16,
    place: Area,
    gpus: u32,
    watts: u64,
    offer: Option<OfferKey>,
}

/// A host that will have room.
#[derive(Debug)]
struct Ready<'r, 's> {
    from: Timestamp,
    host: &'r Host<'s>,
    ends: Vec<&'r Release<'s>>,
}

/// A time to come, on paper.
#[derive(Debug)]
struct Paper<'p, 's> {
    state: &'s State,
    ask: &'p Ask<'p>,
    path: Vec<TenantId>,
    booked: Booked<'s>,
    /// In order of time.
    releases: Vec<Release<'s>>,
    hosts: Vec<&'p Host<'s>>,
    /// Of them, the job whose end alone counts.
    only: Option<JobId>,
}

/// Looks for the first instant that admits the group.
pub(crate) fn outlook<'s>(survey: &Survey<'s>, ask: &Ask<'_>, booked: Booked<'s>) -> Outlook {
    if ask.wanted().sharing.is_agreed() || ask.facts.topology.minds_others() {
        return Outlook::default();
    }
    let hosts = survey.standing(ask);
    let mut paper = Paper {
        state: survey.state,
        ask,
        path: survey.state.path(&ask.facts.id.tenant),
        booked,
        releases: releases(survey, ask),
        hosts,
        only: None,
    };
    let all = paper.first();
    let one = all.filter(|(_, basis)| *basis == Basis::Ends).and_then(|(at, _)| paper.one(at));
    Outlook { one, all }
}

/// What running jobs give back of the class, in order of time.
fn releases<'s>(survey: &Survey<'s>, ask: &Ask<'_>) -> Vec<Release<'s>> {
    let state: &'s State = survey.state;
    let mut found = Vec::new();
    for host in &survey.hosts {
        let (id, node) = (host.id, host.node);
        let rows = node.placements.iter().filter_map(|id| state.placement(id));
        let of_class = rows.filter(|row| row.grant.class == ask.wanted().class);
        found.extend(of_class.map(|row| Release {
            at: end_of(row),
            job: &row.grant.job,
            node: id,
            bucket: row.bucket,
            place: row.charge.place,
            gpus: row.grant.gpus,
            watts: node.watts(row.bucket, row.grant.gpus),
            offer: row.charge.offer.as_ref().map(|name| (id.site.clone(), name.clone())),
        }));
        if found.len() >= PLACEMENTS_CONSIDERED_MAX {
            break;
        }
    }
    found.sort_by_key(|release| (release.at, release.node, release.bucket));
    found
}

impl<'s> Paper<'_, 's> {
    /// The first instant that admits the group, and what comes then.
    fn first(&self) -> Option<(Timestamp, Basis)> {
        let ready = self.ready();
        let group = usize::try_from(self.ask.facts.group).unwrap_or(usize::MAX);
        let room = ready.get(group.checked_sub(1)?)?.from;
        let now = self.state.clock();
        let later: Vec<(Timestamp, Basis)> =
            self.instants().into_iter().filter(|(at, _)| *at >= room && *at > now).collect();
        let admits = |one: &&(Timestamp, Basis)| self.admits(one.0, &ready);
        if let Some(first) = later.first().filter(admits) {
            return Some(*first);
        }
        if later.last().filter(admits).is_none() {
            // An offer may begin and end between the two.
            let begins = later.iter().filter(|(_, basis)| *basis > Basis::Ahead);
            return begins.take(EVENTS_TRIED_MAX).find(admits).copied();
        }
        let (mut low, mut high) = (0usize, later.len().saturating_sub(1));
        while high.saturating_sub(low) > 1 {
            let middle = low.midpoint(high);
            if later.get(middle).filter(admits).is_some() {
                high = middle;
            } else {
                low = middle;
            }
        }
        later.get(high).copied()
    }

    /// The first job whose end alone would do; until `all` none would.
    fn one(&mut self, all: Timestamp) -> Option<Ending> {
        let mut ends: BTreeMap<&JobId, Timestamp> = BTreeMap::new();
        for release in &self.releases {
            let by = ends.entry(release.job).or_insert(release.at);
            *by = release.at.max(*by);
        }
        let mut ends: Vec<(Timestamp, JobId)> = ends
            .into_iter()
            .filter(|(_, by)| *by >= all)
            .map(|(job, by)| (by, job.clone()))
            .collect();
        ends.sort();
        let found = ends.into_iter().take(TRIED_MAX).find(|(by, job)| {
            self.only = Some(job.clone());
            self.admits(*by, &self.ready())
        });
        self.only = None;
        found.map(|(by, job)| Ending { job, by })
    }

    /// Instants at which something comes back or begins.
    fn instants(&self) -> BTreeMap<Timestamp, Basis> {
        let (now, facts) = (self.state.clock(), &self.ask.facts);
        let mut found = BTreeMap::new();
        let mut note = |at: Timestamp, basis: Basis| {
            let kept = found.entry(at).or_insert(basis);
            *kept = basis.min(*kept);
        };
        for release in &self.releases {
            note(release.at, Basis::Ends);
        }
        let (tenant, class) = (&facts.id.tenant, &facts.resources.class);
        let over = self.hosts.iter().flat_map(|host| {
            let buckets = matching(host.node, &facts.resources);
            buckets.filter_map(move |(bucket, _)| self.booked.claims.over(host.id, bucket))
        });
        let ends = self.booked.ends.iter().map(|(at, ..)| *at);
        for at in over.chain(ends).chain(self.booked.claims.charge_over(tenant, class)) {
            note(at, Basis::Ahead);
        }
        let budgets = self.path.iter().flat_map(|of| self.state.budgets_of(of));
        let hard = budgets.filter(|(_, budget)| budget.spec.exhausted == Exhausted::Stop);
        for (_, budget) in hard {
            if let Period::Once { until, .. } = budget.spec.period {
                note(until, Basis::Span);
                continue;
            }
            // What a job charges that crosses into the next period is free of this one at the one after it.
            let mut at = now;
            for _ in 0..2 {
                let Some((_, end)) = budget.spec.period.span(at) else { break };
                note(end, Basis::Period);
                at = end;
            }
        }
        let sites: BTreeSet<&SiteId> = self.hosts.iter().map(|host| &host.id.site).collect();
        let offers = sites.into_iter().flat_map(|site| self.state.offers_of(site));
        for (_, offer) in offers.filter(|(_, offer)| offer.spec.class == *class) {
            note(offer.spec.from, Basis::Offer);
        }
        found
    }

    /// Whether the end of a job counts.
    fn counts(&self, job: &JobId) -> bool {
        self.only.as_ref().is_none_or(|only| only == job)
    }

    /// Hosts by when they have room first, the soonest first.
    fn ready(&self) -> Vec<Ready<'_, 's>> {
        let mut ends: BTreeMap<&NodeId, Vec<&Release<'s>>> = BTreeMap::new();
        for release in self.releases.iter().filter(|release| self.counts(release.job)) {
            ends.entry(release.node).or_default().push(release);
        }
        let mut ready = Vec::with_capacity(self.hosts.len());
        for host in &self.hosts {
            let ends = ends.remove(host.id).unwrap_or_default();
            if let Some(from) = self.room_from(host, &ends) {
                ready.push(Ready { from, host, ends });
            }
        }
        ready.sort_by_key(|one| (one.from, one.host.id));
        ready
    }

    fn room_from(&self, host: &Host<'s>, ends: &[&Release<'s>]) -> Option<Timestamp> {
        let wanted = self.ask.wanted();
        let mut times = BTreeSet::from([self.state.clock()]);
        times.extend(ends.iter().map(|release| release.at));
        for (bucket, _) in matching(host.node, wanted) {
            times.extend(self.booked.claims.over(host.id, bucket));
            let taken = self.booked.taken.get(&(host.id.clone(), bucket));
            times.extend(taken.into_iter().flatten().map(|(until, _)| *until));
        }
        let now = self.state.clock();
        let mut times = times.into_iter().filter(|at| *at >= now);
        times.find(|at| self.has_room(host, ends, *at))
    }

    fn has_room(&self, host: &Host<'s>, ends: &[&Release<'s>], at: Timestamp) -> bool {
        let facts = &self.ask.facts;
        let lasts_ms = facts.time_limit_s.saturating_mul(1000).saturating_add(GRACE_MS);
        let time = (at, at.plus_ms(lasts_ms));
        matching(host.node, &facts.resources).any(|(bucket, count)| {
            let back = ends.iter().filter(|end| end.bucket == bucket && end.at <= at);
            let free = back.fold(host.node.free(bucket), |sum, end| sum.saturating_add(end.gpus));
            let taken = self.booked.taken.get(&(host.id.clone(), bucket));
            let taken = taken.into_iter().flatten().filter(|(until, _)| *until > at);
            let free = taken.fold(free.min(count), |free, (_, gpus)| free.saturating_sub(*gpus));
            self.booked.claims.leaves((host.id, bucket), free, time) >= facts.resources.gpus
        })
    }

    /// Whether the whole group may be charged at an instant, on hosts with room by then.
    fn admits(&self, at: Timestamp, ready: &[Ready<'_, 's>]) -> bool {
        let facts = &self.ask.facts;
        let (tenant, class) = (&facts.id.tenant, &facts.resources.class);
        let mut books = self.booked.books.clone();
        self.give_back(&mut books, at);
        let mut purse = Purse::open_at(self.state, &books, facts, &self.path, at);
        let time = (at, purse.until().plus_ms(GRACE_MS));
        if purse.covers(facts.gpus()).is_err()
            || !self.booked.claims.leaves_charge((tenant, class), facts.gpus(), time)
        {
            return false;
        }
        let ready = ready.iter().take_while(|one| one.from <= at);
        let mut sides = Sides::of(facts);
        if sides.is_asked() {
            for one in ready.filter(|one| self.has_room(one.host, &one.ends, at)) {
                let watts = one.host.node.least_watts(facts);
                sides.add(Stand::of(one.host.id, one.host.node), watts);
            }
            return sides.most(&books, &purse) >= facts.group;
        }
        let (mut members, mut refused) = (0u32, BTreeSet::new());
        for one in ready {
            let host = one.host;
            let Some(place) = host.node.tag.area.domestic() else { continue };
            let (site, watts) = (&host.id.site, host.node.least_watts(facts));
            // What is free until it is kept for another may be kept by then.
            if refused.contains(&(site, place, watts)) || !self.has_room(host, &one.ends, at) {
                continue;
            }
            if purse.spend(&books, (site, &host.node.operator), (place, watts)).is_err() {
                refused.insert((site, place, watts));
                continue;
            }
            members = members.saturating_add(1);
            if members >= facts.group {
                return true;
            }
        }
        false
    }

    /// Gives back what will have ended by then.
    fn give_back(&self, books: &mut Overlay<'s>, at: Timestamp) {
        let class = &self.ask.facts.resources.class;
        let mut sums: BTreeMap<(&TenantId, Area), u64> = BTreeMap::new();
        let ended = self.releases.iter().take_while(|release| release.at <= at);
        for release in ended.filter(|release| self.counts(release.job)) {
            let gpus = u64::from(release.gpus);
            let sum = sums.entry((&release.job.tenant, release.place)).or_default();
            *sum = sum.saturating_add(gpus);
            books.end_watts(&release.node.site, release.watts);
            if let Some(offer) = &release.offer {
                books.end(offer.clone(), gpus);
            }
        }
        for (_, tenant, place, gpus) in self.booked.ends.iter().filter(|(end, ..)| *end <= at) {
            let sum = sums.entry((tenant, *place)).or_default();
            *sum = sum.saturating_add(*gpus);
        }
        for ((tenant, place), gpus) in sums {
            let path = self.state.path(tenant);
            // Of another tree it is nothing to this job.
            if path.last() == self.path.last() {
                books.give_back(&path, class, place, gpus);
            }
        }
    }
}
