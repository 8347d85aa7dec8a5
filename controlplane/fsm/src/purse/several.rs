//! Several members at one site and place, charged at once.
//!
//! Must hold: it charges as many as [`Purse::spend`] would one after the other, and leaves the purse as that would. All stand on
//! one offer until something is short, and nothing of a purse grows; so what is asked of one member is divided for all.

use super::{Amount, Area, Books, ErrorCode, OperatorId, Part, Purse, SiteId, Spend};

/// How often `need` is in `have`.
fn times(have: u128, need: u128) -> u32 {
    have.checked_div(need).map_or(u32::MAX, |times| u32::try_from(times).unwrap_or(u32::MAX))
}

fn rooms(room: Amount, gpus: u64) -> u32 {
    match room {
        Amount::Gpus(have) => times(u128::from(have), u128::from(gpus)),
        Amount::Unbounded => u32::MAX,
    }
}

impl<'s> Purse<'s> {
    /// Charges up to `most` members at a site of an operator, in `place`, each of whose devices may draw so many `watts` together: how
    /// many were, and the code that the next one was refused with, if there is one.
    pub fn spend_most(
        &mut self,
        books: &impl Books,
        (site, operator): (&SiteId, &OperatorId),
        (place, watts): (Area, u64),
        most: u32,
    ) -> (u32, Option<ErrorCode>) {
        let mut members = 0u32;
        while members < most {
            let spend = match self.spend(books, (site, operator), (place, watts)) {
                Ok(spend) => spend,
                Err(code) => return (members, Some(code)),
            };
            members = members.saturating_add(1);
            let more = self.spend_alike(site, &spend, most.saturating_sub(members));
            members = members.saturating_add(more);
        }
        (members, None)
    }

    /// Charges up to `most` members more as one was charged: how many were.
    fn spend_alike(&mut self, site: &SiteId, spend: &Spend<'s>, most: u32) -> u32 {
        let (place, gpus) = (spend.place, u64::from(self.facts.resources.gpus));
        let Some(counter) = self.sites.get(site) else { return 0 };
        let Some((at, offer)) =
            counter.offers.iter().enumerate().find(|(_, offer)| offer.key == spend.offer)
        else {
            return 0;
        };
        let mut more = most.min(times(u128::from(offer.left), u128::from(gpus)));
        if let Some(left) = counter.watts {
            more = more.min(times(u128::from(left), u128::from(spend.watts)));
        }
        let named = matches!(self.wish, super::Wish::Of(..));
        for moment in counter.moments.iter().filter(|_| offer.backs) {
            let left = if named { moment.own } else { moment.own.saturating_add(moment.free) };
            more = more.min(times(u128::from(left), u128::from(gpus)));
        }
        for row in self.rows.iter().filter(|row| row.area.contains(place)) {
            more = more.min(rooms(row.room, gpus)).min(rooms(row.ceiling, gpus));
        }
        for left in self.budgets.iter().filter(|left| left.budget.spec.area.contains(place)) {
            let rate = left.budget.spec.rate(gpus, spend.yen_per_gpu_hour);
            let parts = left.periods.iter().map(|Part { ms, left, whole }| {
                times(*left.min(whole), rate.saturating_mul(u128::from(*ms)))
            });
            more = more.min(parts.min().unwrap_or(u32::MAX));
        }
        let all = |each: u64| each.saturating_mul(u64::from(more));
        self.take((place, all(gpus), all(spend.watts)), (site, at), spend.yen_per_gpu_hour);
        more
    }
}

#[cfg(test)]
mod tests {
    use super::super::Own;
    use super::*;
    use crate::command::Command;
    use crate::testing::{Federation, OPERATORS, admin, job, offer, reservation};
    use proptest::prelude::*;
    use sekisho_types::budget::{BudgetSpec, Exhausted, Period, Unit};
    use sekisho_types::job::JobFacts;
    use sekisho_types::offer::OfferSpec;
    use sekisho_types::quota::{Allotment, Limit};
    use sekisho_types::revision::Revision;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Many at once are as many as one after the other, are refused for the same, and leave the same.
        #[test]
        fn many_at_once_are_charged_as_one_after_the_other(
            (quota, row, gpus, all) in (0u64..40, prop::option::of(0u64..20), 1u32..5, 1u64..20),
            offers in prop::collection::vec((1u64..12, 0u64..3), 0..4),
            budget in prop::option::of((any::<bool>(), 1u64..60)),
            reserved in prop::option::of((1u64..6, any::<bool>())),
            caps in [prop::option::of(0u64..9000), prop::option::of(0u64..9000)],
            turns in prop::collection::vec((0usize..2, 0u64..4, 0u32..12), 1..6),
        ) {
            let mut federation = Federation::new();
            let tenant = federation.tenant("sapporo", Limit::Gpus(quota));
            federation.tenant("naha", Limit::Unlimited);
            federation.offer("tokyo-1", offer(all));
            if let Some(gpus) = row {
                let area = Area::resolve("JP-13").unwrap();
                federation.allot(&tenant, area, Allotment::own(Limit::Gpus(gpus)));
            }
            for (n, (gpus, yen)) in offers.iter().enumerate() {
                let spec = OfferSpec { yen_per_gpu_hour: yen.saturating_mul(100), ..offer(*gpus) };
                let (site, name) = ("tokyo-1".parse().unwrap(), format!("o-{n}").parse().unwrap());
                let put = Command::PutOffer { site, name, offer: Box::new(spec), expected: None };
                federation.accept(admin("kanto"), put);
            }
            if let Some((yen, amount)) = budget {
                let unit = if yen { Unit::Yen } else { Unit::GpuHours };
                let amount = if yen { amount.saturating_mul(100) } else { amount };
                let (period, class, area) = (Period::Month, None, Area::Japan);
                let exhausted = Exhausted::Stop;
                let spec = BudgetSpec { unit, amount, period, class, area, exhausted };
                let name = "fy".parse().unwrap();
                let (tenant, budget) = (tenant.clone(), Some(spec));
                let set = Command::SetBudget { tenant, name, budget, expected: Revision(0) };
                federation.accept(admin("kanto"), set);
            }
            if let Some((gpus, own)) = reserved {
                // More than is offered is refused, and nothing is reserved.
                let whose = if own { "sapporo" } else { "naha" };
                let put = federation.reserving(whose, "kept", reservation("tokyo-1", gpus));
                federation.run(admin("kanto"), put);
            }
            for ((_, site, _), watts) in OPERATORS.iter().skip(1).zip(caps) {
                federation.cap(site, watts);
            }
            let facts = JobFacts { time_limit_s: 7200, ..job("many", 1, gpus, &[]) };
            let (state, path) = (&federation.state, federation.state.path(&tenant));
            let own = Own(state);
            let (mut once, mut singly) =
                (Purse::open(state, &own, &facts, &path), Purse::open(state, &own, &facts, &path));
            for (at, watts, most) in turns {
                let (operator, site, area) = OPERATORS[[1, 2][at]];
                let (site, operator) = (site.parse().unwrap(), operator.parse().unwrap());
                let place = (Area::resolve(area).unwrap(), watts.saturating_mul(700));
                let (mut members, mut refused) = (0, None);
                while members < most && refused.is_none() {
                    match singly.spend(&own, (&site, &operator), place) {
                        Ok(_spend) => members = members.saturating_add(1),
                        Err(code) => refused = Some(code),
                    }
                }
                let told = once.spend_most(&own, (&site, &operator), place, most);
                prop_assert_eq!(told, (members, refused));
                prop_assert_eq!(format!("{once:?}"), format!("{singly:?}"));
            }
        }
    }
}
