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
//! Nodes on which nothing ends and of which nothing is kept or taken have room now or never: they are counted by what they are like,
//! as in the funnel. All others are looked at one by one (`room`).
//! Does not know: shared devices, and nodes of jobs that keep apart, of which it matters who ends and not how many; what no clock
//! brings: a host that comes back, an approval, a limit that is raised.

mod back;
mod room;

use crate::ahead::Booked;
use crate::alike::Corner;
use crate::limit::{EVENTS_TRIED_MAX, TRIED_MAX};
use crate::round::GRACE_MS;
use crate::sides::Sides;
use crate::survey::{Ask, Standing, Survey};
use back::Back;
use room::{Ready, Rooms};
use sekisho_fsm::State;
use sekisho_fsm::purse::Purse;
use sekisho_types::budget::{Exhausted, Period};
use sekisho_types::id::{JobId, SiteId, TenantId};
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

/// A time to come, on paper.
#[derive(Debug)]
struct Paper<'p, 's> {
    state: &'s State,
    ask: &'p Ask<'p>,
    path: Vec<TenantId>,
    booked: Booked<'s>,
    back: Back<'s>,
    rooms: Rooms<'s>,
    /// With nodes on which it may stand.
    sites: BTreeSet<&'s SiteId>,
}

/// Looks for the first instant that admits the group.
pub(crate) fn outlook<'s>(survey: &Survey<'s>, ask: &Ask<'_>, booked: Booked<'s>) -> Outlook {
    if ask.wanted().sharing.is_agreed() || ask.facts.topology.minds_others() {
        return Outlook::default();
    }
    let standing = survey.standing(ask);
    let path = survey.state.path(&ask.facts.id.tenant);
    let back = Back::of(survey, ask, (&path, &booked.ends));
    let rooms = Rooms::of(survey, ask, (&standing, &back, &booked));
    let site = |standing: &Standing<'_, 's>| &standing.herd.like.site;
    let sites = standing.iter().map(site).collect();
    let paper = Paper { state: survey.state, ask, path, booked, back, rooms, sites };
    let all = paper.first();
    let one = all.filter(|(_, basis)| *basis == Basis::Ends).and_then(|(at, _)| paper.one(at));
    Outlook { one, all }
}

impl<'s> Paper<'_, 's> {
    /// The first instant that admits the group, and what comes then.
    fn first(&self) -> Option<(Timestamp, Basis)> {
        let ready = self.ready(None);
        let mut nodes = 0u32;
        let room = ready.iter().find(|one| {
            nodes = nodes.saturating_add(one.nodes);
            nodes >= self.ask.facts.group
        });
        let (room, now) = (room?.from, self.state.clock());
        let later: Vec<(Timestamp, Basis)> =
            self.instants().into_iter().filter(|(at, _)| *at >= room && *at > now).collect();
        let admits = |one: &&(Timestamp, Basis)| self.admits(one.0, &ready, None);
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
    fn one(&self, all: Timestamp) -> Option<Ending> {
        let mut ends: Vec<(Timestamp, &JobId, usize)> =
            self.back.jobs().filter(|(by, ..)| *by >= all).collect();
        ends.sort_unstable();
        let found = ends.into_iter().take(TRIED_MAX).find(|(by, _, number)| {
            let only = Some(*number);
            self.admits(*by, &self.ready(only), only)
        });
        found.map(|(by, job, _)| Ending { job: job.clone(), by })
    }

    /// Nodes that will have room, the soonest first; of the jobs that run `only` this one ends.
    fn ready(&self, only: Option<usize>) -> Vec<Ready<'_, 's>> {
        self.rooms.ready(&self.back, &self.booked.claims, self.lasts(), only)
    }

    /// From now on, and how long it takes until nothing of the job is left.
    fn lasts(&self) -> (Timestamp, u64) {
        let ms = self.ask.facts.time_limit_s.saturating_mul(1000);
        (self.state.clock(), ms.saturating_add(GRACE_MS))
    }

    /// Instants at which something comes back or begins.
    fn instants(&self) -> BTreeMap<Timestamp, Basis> {
        let (now, facts) = (self.state.clock(), &self.ask.facts);
        let mut found = BTreeMap::new();
        let mut note = |at: Timestamp, basis: Basis| {
            let kept = found.entry(at).or_insert(basis);
            *kept = basis.min(*kept);
        };
        for at in self.back.instants() {
            note(at, Basis::Ends);
        }
        let (tenant, class) = (&facts.id.tenant, &facts.resources.class);
        let ends = self.booked.ends.iter().map(|(at, ..)| *at);
        let over = self.booked.claims.charge_over(tenant, class);
        for at in self.rooms.over().chain(ends).chain(over) {
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
        let offers = self.sites.iter().flat_map(|site| self.state.offers_of(site));
        for (_, offer) in offers.filter(|(_, offer)| offer.spec.class == *class) {
            note(offer.spec.from, Basis::Offer);
        }
        found
    }

    /// Whether the whole group may be charged at an instant, on nodes with room by then.
    fn admits(&self, at: Timestamp, ready: &[Ready<'_, 's>], only: Option<usize>) -> bool {
        let facts = &self.ask.facts;
        let (tenant, class) = (&facts.id.tenant, &facts.resources.class);
        let mut books = self.booked.books.clone();
        self.back.give(&mut books, class, at, only);
        let mut purse = Purse::open_at(self.state, &books, facts, &self.path, at);
        let time = (at, purse.until().plus_ms(GRACE_MS));
        if purse.covers(facts.gpus()).is_err()
            || !self.booked.claims.leaves_charge((tenant, class), facts.gpus(), time)
        {
            return false;
        }
        let (_, lasts_ms) = self.lasts();
        // What is free until it is kept for another may be kept by then.
        let has_room = |one: &&Ready<'_, 's>| {
            one.has_room(&self.back, &self.booked.claims, (at, lasts_ms), only)
        };
        let ready = ready.iter().take_while(|one| one.from <= at);
        let mut sides = Sides::of(facts);
        if sides.is_asked() {
            for one in ready.filter(has_room) {
                sides.add(one.like.stand(one.rack), one.corner.watts, one.nodes);
            }
            return sides.most(&books, &purse) >= facts.group;
        }
        let (mut members, mut refused) = (0u32, BTreeSet::new());
        for one in ready {
            let Corner { site, operator, place: Some(place), watts } = one.corner else { continue };
            if refused.contains(&one.corner) || !has_room(&one) {
                continue;
            }
            let most = one.nodes.min(facts.group.saturating_sub(members));
            let (charged, code) = purse.spend_most(&books, (site, operator), (place, watts), most);
            if code.is_some() {
                refused.insert(one.corner);
            }
            members = members.saturating_add(charged);
            if members >= facts.group {
                return true;
            }
        }
        false
    }
}
