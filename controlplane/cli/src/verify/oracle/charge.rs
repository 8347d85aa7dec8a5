//! What a grant is charged, judged: quota, budgets, the offer of its site with what others reserved, its power cap, and whom its
//! operator takes nothing of (Q1).
//!
//! Must hold: a grant does not say what it was charged to; that follows from what was set before it, what lives, and the
//! place that the node's tag names. All of it is given back once, at the end of the placement (Q2).

use super::At;
use super::budget::BudgetId;
use super::model::{Held, Model};
use sekisho_evidence::grant::Grant;
use sekisho_types::id::{DeviceClass, NodeId, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::time::Timestamp;

/// What is to be charged: whose, of which class, how many, where, and from when to when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work<'g> {
    pub(super) tenant: &'g TenantId,
    pub(super) class: &'g DeviceClass,
    pub(super) gpus: u64,
    pub(super) place: Area,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// How a placement was charged.
#[derive(Debug)]
pub(super) struct Charge {
    pub(super) place: Area,
    /// `None` of what a host brought over from another incarnation, and of what should not have been granted.
    pub(super) offer: Option<Name>,
    pub(super) yen_per_gpu_hour: u64,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) budgets: Vec<BudgetId>,
}

impl Charge {
    fn of(work: Work<'_>) -> Self {
        Self {
            place: work.place,
            offer: None,
            yen_per_gpu_hour: 0,
            from: work.from,
            until: work.until,
            budgets: Vec::new(),
        }
    }
}

impl Model {
    /// What a grant is charged, and each reason for which it must not have been given.
    pub(super) fn charge(&mut self, at: At<'_>, grant: &Grant) -> (Charge, Vec<String>) {
        let work = self.work(at, grant);
        let mut wrong = Vec::new();
        let operator = self.nodes.get(&grant.node).map(|node| &node.operator);
        if let Some(operator) = operator
            && let Some(of) = self.offers.vetoed(operator, &grant.job)
        {
            wrong.push(format!("{operator} takes no work of {of}"));
        }
        let whose = (work.tenant, work.class);
        wrong.extend(self.ledger.admits(whose, work.place, work.gpus).err());
        let mut charge = Charge::of(work);
        match self.offer_of(grant, work) {
            (Some((name, yen)), why) => {
                (charge.offer, charge.yen_per_gpu_hour) = (Some(name), yen);
                wrong.extend(why);
            }
            (None, why) => wrong.extend(why),
        }
        wrong.extend(self.leaves_power(grant).err());
        charge.budgets = self.budgets.counting(&self.ledger.path(work.tenant), work);
        let left = self.budgets.admit(&charge.budgets, work, charge.yen_per_gpu_hour);
        wrong.extend(left.err());
        (charge, wrong)
    }

    /// The offer that a grant is charged to, with its price, and what is wrong with it: the first that leaves what is reserved,
    /// or the first at all.
    fn offer_of(&self, grant: &Grant, work: Work<'_>) -> (Option<(Name, u64)>, Option<String>) {
        let site = &grant.node.site;
        let named =
            self.jobs.get(&grant.job.whole()).and_then(|job| job.facts.reservation.as_ref());
        let offers = match self.offers.choose(site, work) {
            Ok(offers) => offers,
            Err(why) => return (None, Some(why)),
        };
        let mut first = None;
        for (name, yen) in offers {
            match self.leaves_what_is_reserved((site, &name), work, named) {
                Ok(()) => return (Some((name, yen)), None),
                Err(why) => {
                    first.get_or_insert((name, yen, why));
                }
            }
        }
        first.map_or((None, None), |(name, yen, why)| (Some((name, yen)), Some(why)))
    }

    /// What is brought over was charged in the incarnation before: it counts for what it holds, and spends nothing.
    pub(super) fn brought(&self, at: At<'_>, grant: &Grant) -> Charge {
        Charge::of(self.work(at, grant))
    }

    fn work<'g>(&self, at: At<'_>, grant: &'g Grant) -> Work<'g> {
        let from = at.record.time;
        Work {
            tenant: &grant.job.tenant,
            class: &grant.class,
            gpus: u64::from(grant.gpus),
            place: self.place(&grant.node),
            from,
            until: from.plus_ms(grant.time_limit_s.saturating_mul(1000)),
        }
    }

    /// Where the work of a node counts. Without a tag that holds it is somewhere: that it was granted there is found apart.
    fn place(&self, id: &NodeId) -> Area {
        let tag = self.nodes.get(id).and_then(|node| node.tag.as_ref());
        tag.and_then(|tag| tag.area.domestic()).unwrap_or(Area::Japan)
    }

    /// Charges what was granted.
    pub(super) fn pay(&mut self, row: &Held) {
        let (charge, gpus) = (&row.charge, u64::from(row.gpus));
        self.ledger.add((&row.job.tenant, &row.class), charge.place, gpus);
        self.budgets.charge(charge, gpus);
        if let Some(name) = &charge.offer {
            self.offers.add(&row.node.site, name, gpus);
        }
    }

    /// Gives back what is not used up, at the state clock of the entry that is being read.
    pub(super) fn give_back(&mut self, row: &Held) {
        let (charge, gpus) = (&row.charge, u64::from(row.gpus));
        self.ledger.take((&row.job.tenant, &row.class), charge.place, gpus);
        self.budgets.refund(charge, gpus, self.now);
        if let Some(name) = &charge.offer {
            self.offers.take(&row.node.site, name, gpus);
        }
    }
}
