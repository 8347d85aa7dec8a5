//! Where and how a group fits at an instant, on the books of then.
//!
//! Must hold: the purse of apply, opened on those books, admits every member; so do the books of each promise that begins before
//! the group ends.

use super::Claimant;
use super::promise::{Later, Promises};
use super::ready::{Places, Ready, candidate};
use crate::books::Overlay;
use crate::choose;
use crate::fleet::Fleet;
use crate::pick::Allowed;
use crate::shelf::Spot;
use sekisho_fsm::purse::{Purse, Spend};
use sekisho_types::quota::Amount;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A group that fits.
#[derive(Debug)]
pub(super) struct Fit<'f, 's> {
    pub(super) places: Vec<&'f Spot>,
    pub(super) spends: Vec<Spend<'s>>,
    pub(super) books: Overlay<'s>,
    /// What its tenant has left of its quota.
    pub(super) spare: u64,
}

/// What members of a group are charged to, one after the other.
#[derive(Debug, Clone)]
struct Tab<'c, 's> {
    books: &'c Overlay<'s>,
    purse: Purse<'s>,
    later: Vec<Later<'c, 's>>,
    gpus: u32,
}

impl<'s> Tab<'_, 's> {
    /// Charges one more member on a shelf. One that some promise refuses may stay on the books of others: they admit less then,
    /// never more.
    fn spend(&mut self, (key, shelf): Allowed<'_>) -> Option<Spend<'s>> {
        let whose = (&key.site, &shelf.example.operator);
        let place = (shelf.example.tag.area.domestic()?, key.member_watts(self.gpus));
        self.later.iter_mut().try_for_each(|later| later.spend(whose, place)).ok()?;
        self.purse.spend(self.books, whose, place).ok()
    }

    /// The first places of nodes of their own that it admits together.
    fn first<'f>(
        &mut self,
        shelves: &[Allowed<'f>],
        ready: impl Iterator<Item = Ready<'f>>,
        group: usize,
    ) -> Option<Vec<(Ready<'f>, Spend<'s>)>> {
        let (mut taken, mut nodes, mut refused) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for one in ready {
            if refused.contains(&one.2) || !nodes.insert(&one.1.1) {
                continue;
            }
            match self.spend(*shelves.get(one.2)?) {
                Some(spend) => taken.push((one, spend)),
                None => {
                    refused.insert(one.2);
                }
            }
            if taken.len() >= group {
                return Some(taken);
            }
        }
        None
    }

    /// Places that stand to one another as the group's topology asks. Each shelf is asked by itself, and then those that were chosen
    /// together.
    fn standing<'f>(
        &mut self,
        shelves: &[Allowed<'f>],
        ready: impl Iterator<Item = Ready<'f>>,
        claimant: &Claimant<'_, 's>,
    ) -> Option<Vec<(Ready<'f>, Spend<'s>)>> {
        let mut asked = BTreeMap::new();
        let mut is_admitted = |one: &Ready<'f>| {
            let ask = || shelves.get(one.2).and_then(|shelf| self.clone().spend(*shelf));
            *asked.entry(one.2).or_insert_with(|| ask().is_some())
        };
        let allowed: Vec<Ready<'f>> = ready.filter(|one| is_admitted(one)).collect();
        let facts = &claimant.job.facts;
        let candidates = allowed.iter().map_while(|one| candidate(shelves, *one));
        let chosen = choose::first(&facts.topology, facts.group, candidates)?;
        let chosen = chosen.into_iter().filter_map(|at| allowed.get(at).copied());
        chosen.map(|one| Some((one, self.spend(*shelves.get(one.2)?)?))).collect()
    }
}

/// Where the group fits at an instant, if it does.
pub(super) fn fit<'f, 's>(
    promises: &Promises<'s>,
    (books, fleet): (&Overlay<'s>, &Fleet),
    (shelves, places): (&[Allowed<'f>], &mut Places<'f, impl Fn(&Spot) -> Option<Timestamp>>),
    claimant: &Claimant<'_, 's>,
    at: Timestamp,
) -> Option<Fit<'f, 's>> {
    let (facts, path) = (&claimant.job.facts, claimant.path);
    let books = promises.books_at((books, fleet), &facts.resources.class, at);
    let purse = Purse::open_at(books.state(), &books, facts, path, at);
    purse.covers(facts.gpus()).ok()?;
    let later = promises.later(facts, path, (at, at.plus_ms(claimant.lasts_ms)));
    let mut tab = Tab { books: &books, purse, later, gpus: facts.resources.gpus };
    let ready = (0..).map_while(|number| places.get(number).filter(|one| one.0 <= at));
    let taken = if facts.topology.places_members() {
        tab.standing(shelves, ready, claimant)?
    } else {
        tab.first(shelves, ready, usize::try_from(facts.group).unwrap_or(usize::MAX))?
    };
    let spare = match tab.purse.room() {
        Amount::Gpus(gpus) => gpus,
        Amount::Unbounded => u64::MAX,
    };
    drop(tab);
    let (places, spends) = taken.into_iter().map(|((_, spot, _), spend)| (spot, spend)).unzip();
    Some(Fit { places, spends, books, spare })
}
