//! Which nodes a job could be charged on, one by one and together.
//!
//! Must hold: what admits a member is the purse of apply. By itself a node is asked with a purse of its own, so that people see
//! every node that would do; together they are asked with one, which tells how many members would be charged.

use crate::alike::Corner;
use crate::filter::Filter;
use sekisho_fsm::State;
use sekisho_fsm::purse::{Own, Purse};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::TenantId;
use sekisho_types::job::JobFacts;
use std::collections::BTreeMap;

/// What one member would hear where.
type Answers<'s> = BTreeMap<Corner<'s>, Result<(), ErrorCode>>;

/// Charges a job's members on paper.
#[derive(Debug)]
pub(crate) struct Till<'s> {
    state: &'s State,
    purse: Purse<'s>,
    /// As it was opened: what a node by itself is asked with.
    full: Purse<'s>,
    alone: Answers<'s>,
    charged: u32,
    kept_off: Option<ErrorCode>,
    /// What a first look at the whole group said.
    never: Option<ErrorCode>,
}

impl<'s> Till<'s> {
    pub(crate) fn of(state: &'s State, facts: &'s JobFacts, path: &[TenantId]) -> Self {
        let purse = Purse::open(state, &Own(state), facts, path);
        let (alone, charged, kept_off) = (BTreeMap::new(), 0, None);
        let never = purse.covers(facts.gpus()).err();
        Self { state, full: purse.clone(), purse, alone, charged, kept_off, never }
    }

    /// What a first member would hear.
    fn answer(&mut self, corner: Corner<'s>) -> Result<(), ErrorCode> {
        let (state, full) = (self.state, &self.full);
        *self.alone.entry(corner).or_insert_with(|| {
            let Corner { site, operator, place, watts } = corner;
            let place = (place.ok_or(ErrorCode::ResidencyOutsideJp)?, watts);
            full.clone().spend(&Own(state), (site, operator), place).map(|_spend| ())
        })
    }

    /// Whether the operator offers what is there to the job at all, and lets it draw so much.
    pub(crate) fn offered(&mut self, corner: Corner<'s>) -> Result<(), Filter> {
        let answer = self.answer(corner).map_err(Filter::of_purse);
        match answer {
            Err(Filter::Vetoed | Filter::Rated | Filter::Offered) => answer,
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Charges a member on each of so many nodes with room, one at least, if the group goes on to need them.
    pub(crate) fn take(&mut self, corner: Corner<'s>, nodes: u32) -> Result<(), Filter> {
        self.answer(corner).map_err(|code| {
            self.kept_off = self.kept_off.or(Some(code));
            Filter::of_purse(code)
        })?;
        let Corner { site, operator, place: Some(place), watts } = corner else { return Ok(()) };
        let (own, whose) = (Own(self.state), (site, operator));
        let (charged, refused) = self.purse.spend_most(&own, whose, (place, watts), nodes);
        self.charged = self.charged.saturating_add(charged);
        self.kept_off = self.kept_off.or(refused);
        Ok(())
    }

    /// Members that were charged together, and what kept the first off that was not; before all, what no waiting changes.
    pub(crate) fn charged(&self) -> (u32, Option<ErrorCode>) {
        let told = [ErrorCode::BudgetTooSmall, ErrorCode::ReservationNone];
        let never = self.never.filter(|code| told.contains(code));
        (self.charged, never.or(self.kept_off))
    }
}
