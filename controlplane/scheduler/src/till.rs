//! Which nodes a job could be charged on, one by one and together.
//!
//! Must hold: what admits a member is the purse of apply. By itself a node is asked with a purse of its own, so that people see
//! every node that would do; together they are asked with one, which tells how many members would be charged.

use crate::filter::Filter;
use crate::survey::Host;
use sekisho_fsm::State;
use sekisho_fsm::purse::{Own, Purse};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{SiteId, TenantId};
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::Area;
use std::collections::BTreeMap;

/// What one member would hear at a site and place, that may draw so much.
type Answers<'s> = BTreeMap<(&'s SiteId, Option<Area>, u64), Result<(), ErrorCode>>;

/// Charges a job's members on paper.
#[derive(Debug)]
pub(crate) struct Till<'s> {
    state: &'s State,
    facts: &'s JobFacts,
    path: &'s [TenantId],
    purse: Purse<'s>,
    alone: Answers<'s>,
    charged: u32,
    kept_off: Option<ErrorCode>,
    /// What a first look at the whole group said.
    never: Option<ErrorCode>,
}

impl<'s> Till<'s> {
    pub(crate) fn of(state: &'s State, facts: &'s JobFacts, path: &'s [TenantId]) -> Self {
        let purse = Purse::open(state, &Own(state), facts, path);
        let (alone, charged, kept_off) = (BTreeMap::new(), 0, None);
        let never = purse.covers(facts.gpus()).err();
        Self { state, facts, path, purse, alone, charged, kept_off, never }
    }

    /// What a node's first member would hear.
    fn answer(&mut self, host: &Host<'s>) -> Result<(), ErrorCode> {
        let place = host.node.tag.area.domestic();
        let (state, facts, path) = (self.state, self.facts, self.path);
        let watts = host.node.least_watts(facts);
        *self.alone.entry((&host.id.site, place, watts)).or_insert_with(|| {
            let place = place.ok_or(ErrorCode::ResidencyOutsideJp)?;
            let mut purse = Purse::open(state, &Own(state), facts, path);
            let whose = (&host.id.site, &host.node.operator);
            purse.spend(&Own(state), whose, (place, watts)).map(|_spend| ())
        })
    }

    /// Whether the node's operator offers it to the job at all, and lets it draw so much.
    pub(crate) fn offered(&mut self, host: &Host<'s>) -> Result<(), Filter> {
        let answer = self.answer(host).map_err(Filter::of_purse);
        match answer {
            Err(Filter::Vetoed | Filter::Rated | Filter::Offered) => answer,
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Charges a member on a node with room, if the group goes on to need one.
    pub(crate) fn take(&mut self, host: &Host<'s>) -> Result<(), Filter> {
        self.answer(host).map_err(|code| {
            self.kept_off = self.kept_off.or(Some(code));
            Filter::of_purse(code)
        })?;
        let Some(place) = host.node.tag.area.domestic() else { return Ok(()) };
        let own = Own(self.state);
        let place = (place, host.node.least_watts(self.facts));
        match self.purse.spend(&own, (&host.id.site, &host.node.operator), place) {
            Ok(_spend) => self.charged = self.charged.saturating_add(1),
            Err(code) => self.kept_off = self.kept_off.or(Some(code)),
        }
        Ok(())
    }

    /// Members that were charged together, and what kept the first off that was not; before all, what no waiting changes.
    pub(crate) fn charged(&self) -> (u32, Option<ErrorCode>) {
        let told = [ErrorCode::BudgetTooSmall, ErrorCode::ReservationNone];
        let never = self.never.filter(|code| told.contains(code));
        (self.charged, never.or(self.kept_off))
    }
}
