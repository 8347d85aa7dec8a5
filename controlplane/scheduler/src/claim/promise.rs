//! What a claim promises: a time, and the books of that time, on which whoever would still run then is charged beside it.
//!
//! Must hold: on the books of each promise stand the group itself, what runs now and will run then, and what was granted or
//! promised beside it; and nothing that will have ended. Whoever ends later is admitted by the purse of then too.
//! Does not know: devices of nodes, which are counted one by one ([`Claims::admits`](super::Claims::admits)).

use crate::books::Overlay;
use crate::claim::Claimant;
use crate::fleet::Fleet;
use crate::release::{Account, Back, Release};
use sekisho_fsm::purse::{Purse, Spend};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{DeviceClass, JobId, OperatorId, SiteId, TenantId};
use sekisho_types::job::JobFacts;
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;

/// What is kept for a group that will start.
#[derive(Debug, Clone)]
pub(crate) struct Promise<'s> {
    pub(crate) from: Timestamp,
    pub(crate) over: Timestamp,
    facts: &'s JobFacts,
    path: Vec<TenantId>,
    spends: Vec<Spend<'s>>,
    books: Overlay<'s>,
}

/// What a group that ends after a promise begins may charge then.
#[derive(Debug, Clone)]
pub(crate) struct Later<'c, 's> {
    books: &'c Overlay<'s>,
    purse: Purse<'s>,
}

impl<'c, 's> Later<'c, 's> {
    /// Charges one more member.
    pub(crate) fn spend(
        &mut self,
        whose: (&SiteId, &OperatorId),
        place: (Area, u64),
    ) -> Result<(), ErrorCode> {
        self.purse.spend(self.books, whose, place).map(|_spend| ())
    }

    /// The books and the purse.
    pub(crate) fn parts(&self) -> (&'c Overlay<'s>, &Purse<'s>) {
        (self.books, &self.purse)
    }
}

/// What a round has promised and granted.
#[derive(Debug, Clone)]
pub(crate) struct Promises<'s> {
    made: Vec<Promise<'s>>,
    /// Some site has a power cap: classes that stand there take watts from one another.
    capped: bool,
    granted: Vec<(Timestamp, DeviceClass, Release)>,
}

impl<'s> Promises<'s> {
    pub(crate) fn none(capped: bool) -> Self {
        Self { made: Vec::new(), granted: Vec::new(), capped }
    }

    pub(crate) fn capped(&self) -> bool {
        self.capped
    }

    /// For whom, in order.
    pub(crate) fn claimants(&self) -> impl Iterator<Item = &'s JobId> {
        self.made.iter().map(|promise| &promise.facts.id)
    }

    pub(crate) fn len(&self) -> usize {
        self.made.len()
    }

    /// Instants from `from` on at which something that was granted or promised has ended.
    pub(crate) fn overs(&self, from: Timestamp) -> impl Iterator<Item = Timestamp> {
        let granted = self.granted.iter().map(|(at, ..)| *at);
        let made = self.made.iter().map(|promise| promise.over);
        granted.chain(made).filter(move |at| *at >= from)
    }

    /// Purses of the promises that begin while a job runs, for the time from then on.
    pub(crate) fn later(
        &self,
        facts: &'s JobFacts,
        path: &[TenantId],
        (at, until): (Timestamp, Timestamp),
    ) -> Vec<Later<'_, 's>> {
        let meets = self.made.iter().filter(|promise| {
            let class = &promise.facts.resources.class;
            let concerns = self.capped || *class == facts.resources.class;
            concerns && promise.from >= at && promise.from < until
        });
        let open = |promise: &'_ Promise<'s>| {
            let (books, time) = (&promise.books, (promise.from, until));
            Purse::open_for(books.state(), books, facts, path, time)
        };
        meets.map(|promise| Later { books: &promise.books, purse: open(promise) }).collect()
    }

    /// A group was granted, and ends by `until`.
    pub(crate) fn grant(
        &mut self,
        facts: &JobFacts,
        path: &[TenantId],
        spends: &[Spend<'s>],
        until: Timestamp,
    ) {
        for promise in self.made.iter_mut().filter(|promise| promise.from < until) {
            promise.books.hold(facts, path, spends, until);
        }
        let release = |spend: &Spend<'s>| Release {
            account: Account {
                tenant: facts.id.tenant.clone(),
                site: spend.offer.0.clone(),
                place: spend.place,
                offer: Some(spend.offer.1.clone()),
            },
            back: Back { gpus: u64::from(facts.resources.gpus), watts: spend.watts },
        };
        let class = &facts.resources.class;
        self.granted.extend(spends.iter().map(|spend| (until, class.clone(), release(spend))));
    }

    /// The books of a later time, without whoever has ended by then and with who was promised to run.
    pub(crate) fn books_at(
        &self,
        (books, fleet): (&Overlay<'s>, &Fleet),
        class: &DeviceClass,
        at: Timestamp,
    ) -> Overlay<'s> {
        let mut later = books.clone();
        let mut held: BTreeMap<(&TenantId, Area), u64> = BTreeMap::new();
        let mut drawn: BTreeMap<&SiteId, u64> = BTreeMap::new();
        let mut ended: BTreeMap<(&SiteId, &Name), u64> = BTreeMap::new();
        for (Account { tenant, site, place, offer }, back) in fleet.releases().by(class, false, at)
        {
            if let Some(offer) = offer {
                let sum = ended.entry((site, offer)).or_default();
                *sum = sum.saturating_add(back.gpus);
            }
            let sum = held.entry((tenant, *place)).or_default();
            *sum = sum.saturating_add(back.gpus);
            let sum = drawn.entry(site).or_default();
            *sum = sum.saturating_add(back.watts);
        }
        if self.capped {
            for (account, back) in fleet.releases().by(class, true, at) {
                let sum = drawn.entry(&account.site).or_default();
                *sum = sum.saturating_add(back.watts);
            }
        }
        for (_, of, release) in self.granted.iter().filter(|(end, ..)| *end <= at) {
            let (Account { tenant, site, place, offer }, back) = (&release.account, release.back);
            if let Some(offer) = offer {
                let gpus = if of == class { back.gpus } else { 0 };
                later.unplan(&(site.clone(), offer.clone()), gpus, back.watts);
            }
            if of == class {
                let sum = held.entry((tenant, *place)).or_default();
                *sum = sum.saturating_add(back.gpus);
            }
        }
        for ((site, offer), gpus) in ended {
            later.end((site.clone(), offer.clone()), gpus);
        }
        drawn.into_iter().for_each(|(site, watts)| later.end_watts(site, watts));
        for ((tenant, place), gpus) in held {
            later.give_back(&books.state().path(tenant), class, place, gpus);
        }
        for promise in self.made.iter().filter(|one| one.from <= at && at < one.over) {
            later.hold(promise.facts, &promise.path, &promise.spends, promise.over);
        }
        later
    }

    /// Promises a group what it is charged from then on; its budgets are charged at once.
    pub(crate) fn make(
        &mut self,
        claimant: &Claimant<'_, 's>,
        (from, over): (Timestamp, Timestamp),
        (spends, mut later): (Vec<Spend<'s>>, Overlay<'s>),
        books: &mut Overlay<'s>,
    ) {
        let (facts, path) = (&claimant.job.facts, claimant.path);
        let during = |one: &&mut Promise<'s>| one.from >= from && one.from < over;
        for promise in self.made.iter_mut().filter(during) {
            promise.books.hold(facts, path, &spends, over);
        }
        later.hold(facts, path, &spends, over);
        let until = from.plus_ms(facts.time_limit_s.saturating_mul(1000));
        books.charge_budgets(facts, path, &spends, (from, until));
        let path = path.to_vec();
        self.made.push(Promise { from, over, facts, path, spends, books: later });
    }
}
