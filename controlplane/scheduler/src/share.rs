//! Whose turn it is: of the tenants of one priority that have jobs to place, the one that has had least of its due.
//!
//! The tree of tenants is walked from its roots: at each level the subtree goes first whose use lately, in proportion to the
//! quota that it has, is least. So a ministry's bureaus share its turns and no bureau gains by having many parts.
//!
//! Must hold: equal states give equal turns; each grant of a plan counts before the next turn, at its full time limit. Who has
//! no quota of its own is due as much as one GPU.
//! Does not know: jobs, and whether one fits.

use sekisho_fsm::State;
use sekisho_types::id::TenantId;
use sekisho_types::jurisdiction::Area;
use sekisho_types::limit::TENANT_DEPTH_MAX;
use sekisho_types::quota::Amount;
use std::collections::{BTreeMap, BTreeSet};

/// Whoever has no bound counts as if it had so many GPUs.
const UNBOUNDED: u64 = 1_000_000;

/// Use against due, with 16 bits behind the point.
type Ratio = u128;

/// Somebody's turn: a tenant's own jobs, or a subtree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    ratio: Ratio,
    tenant: TenantId,
    /// Its own jobs, not those of its parts.
    own: bool,
}

/// What somebody has used lately, and is due.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    used: u128,
    due: u64,
}

impl Account {
    fn ratio(self) -> Ratio {
        (self.used << 16).checked_div(u128::from(self.due.max(1))).unwrap_or(Ratio::MAX)
    }

    fn add(&mut self, other: Self) {
        self.used = self.used.saturating_add(other.used);
        self.due = self.due.saturating_add(other.due);
    }
}

/// What tenants have used lately and are due, each itself and with its parts; what a plan grants is added.
#[derive(Debug)]
pub(crate) struct Shares {
    own: BTreeMap<TenantId, Account>,
    whole: BTreeMap<TenantId, Account>,
    parents: BTreeMap<TenantId, TenantId>,
}

impl Shares {
    /// Those of a state: one look at each tenant and each of its quotas.
    pub(crate) fn of(state: &State) -> Self {
        let mut shares =
            Self { own: BTreeMap::new(), whole: BTreeMap::new(), parents: BTreeMap::new() };
        for (id, row) in state.tenants() {
            // One at least, so that whoever only borrows has turns too.
            let account = Account { used: state.fair_use(id), due: 1 };
            shares.own.insert(id.clone(), account);
            if let Some(parent) = &row.parent {
                shares.parents.insert(id.clone(), parent.clone());
            }
        }
        for ((tenant, _), holding) in state.holdings() {
            let row = holding.lines.get(&Area::Japan).and_then(|line| line.quota);
            let gpus = match row.map_or(Amount::NONE, |quota| quota.allotment.nominal.into()) {
                Amount::Gpus(gpus) => gpus.min(UNBOUNDED),
                Amount::Unbounded => UNBOUNDED,
            };
            if let Some(account) = shares.own.get_mut(tenant) {
                account.due = account.due.saturating_add(gpus);
            }
        }
        for (tenant, account) in shares.own.clone() {
            shares.up(&tenant, account);
        }
        shares
    }

    /// Counts a grant.
    pub(crate) fn add(&mut self, tenant: &TenantId, weight: u128) {
        let account = Account { used: weight, due: 0 };
        self.own.entry(tenant.clone()).or_default().add(account);
        self.up(tenant, account);
    }

    /// Adds to a tenant with its parts, and to all above it.
    fn up(&mut self, tenant: &TenantId, account: Account) {
        let mut at = Some(tenant.clone());
        for _ in 0..TENANT_DEPTH_MAX {
            let Some(of) = at else { return };
            self.whole.entry(of.clone()).or_default().add(account);
            at = self.parents.get(&of).cloned();
        }
    }

    fn turn(&self, tenant: &TenantId, own: bool) -> Turn {
        let accounts = if own { &self.own } else { &self.whole };
        let ratio = accounts.get(tenant).copied().unwrap_or_default().ratio();
        Turn { ratio, tenant: tenant.clone(), own }
    }
}

/// The turns of one priority, by parent; `None` = the roots.
#[derive(Debug)]
pub(crate) struct Turns(BTreeMap<Option<TenantId>, BTreeSet<Turn>>);

impl Turns {
    /// Turns of tenants that have jobs, each with the subtrees that it is in.
    pub(crate) fn of<'t, T: IntoIterator<Item = &'t TenantId>>(
        shares: &Shares,
        tenants: T,
    ) -> Self {
        let mut turns = Self(BTreeMap::new());
        for tenant in tenants {
            let own = shares.turn(tenant, true);
            turns.0.entry(Some(tenant.clone())).or_default().insert(own);
            let mut at = Some(tenant);
            while let Some(of) = at {
                let parent = shares.parents.get(of);
                let is_new =
                    turns.0.entry(parent.cloned()).or_default().insert(shares.turn(of, false));
                at = parent.filter(|_| is_new);
            }
        }
        turns
    }

    /// Whose turn it is.
    pub(crate) fn next(&self) -> Option<TenantId> {
        let mut at = None;
        loop {
            let turn = self.0.get(&at)?.first()?;
            if turn.own {
                return Some(turn.tenant.clone());
            }
            at = Some(turn.tenant.clone());
        }
    }

    /// A tenant has nothing more to place.
    pub(crate) fn leave(&mut self, shares: &Shares, tenant: &TenantId) {
        let (mut turn, mut at) = (shares.turn(tenant, true), Some(tenant.clone()));
        loop {
            let Some(turns) = self.0.get_mut(&at) else { return };
            turns.remove(&turn);
            if !turns.is_empty() {
                return;
            }
            self.0.remove(&at);
            let Some(gone) = at else { return };
            turn = shares.turn(&gone, false);
            at = shares.parents.get(&gone).cloned();
        }
    }

    /// A tenant was granted something of this weight.
    pub(crate) fn grant(&mut self, shares: &mut Shares, tenant: &TenantId, weight: u128) {
        let mut path = vec![tenant.clone()];
        while let Some(parent) = path.last().and_then(|of| shares.parents.get(of)) {
            path.push(parent.clone());
        }
        let own = (Some(tenant.clone()), shares.turn(tenant, true));
        let above = path.iter().map(|of| (shares.parents.get(of).cloned(), shares.turn(of, false)));
        let before: Vec<(Option<TenantId>, Turn)> = [own].into_iter().chain(above).collect();
        shares.add(tenant, weight);
        for (among, old) in before {
            if let Some(turns) = self.0.get_mut(&among)
                && turns.remove(&old)
            {
                turns.insert(shares.turn(&old.tenant, old.own));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_fsm::testing::Federation;
    use sekisho_types::quota::Limit;

    #[test]
    fn who_has_had_least_of_its_due_goes_first_and_turns_alternate() {
        let mut federation = Federation::new();
        let large = federation.tenant("large", Limit::Gpus(30));
        let small = federation.tenant("small", Limit::Gpus(10));
        let mut shares = Shares::of(&federation.state);
        let mut turns = Turns::of(&shares, [&large, &small]);
        let mut taken = Vec::new();
        for _ in 0..8 {
            let next = turns.next().unwrap();
            turns.grant(&mut shares, &next, 1000);
            taken.push(next.to_string());
        }
        let of_large = taken.iter().filter(|name| *name == "large").count();
        assert_eq!((of_large, taken.len()), (6, 8), "three to one, as their quotas: {taken:?}");
        turns.leave(&shares, &large);
        assert_eq!(turns.next(), Some(small.clone()));
        turns.leave(&shares, &small);
        assert_eq!(turns.next(), None);
    }

    #[test]
    fn parts_share_the_turns_of_their_parent() {
        let mut federation = Federation::new();
        let (ministry, city) = (
            federation.tenant("ministry", Limit::Gpus(10)),
            federation.tenant("city", Limit::Gpus(12)),
        );
        let parts: Vec<TenantId> =
            (0..2).map(|n| federation.tenant(&format!("bureau-{n}"), Limit::None)).collect();
        for part in &parts {
            federation.part_of(part, &ministry);
        }
        let mut shares = Shares::of(&federation.state);
        let all = [&parts[0], &parts[1], &city, &ministry];
        let mut turns = Turns::of(&shares, all);
        let mut taken = BTreeMap::<String, u32>::new();
        for _ in 0..200 {
            let next = turns.next().unwrap();
            turns.grant(&mut shares, &next, 1000);
            *taken.entry(next.to_string()).or_default() += 1;
        }
        let of = |name: &str| taken.get(name).copied().unwrap_or(0);
        assert_eq!(of("city"), 100, "{taken:?}");
        assert_eq!(of("bureau-0") + of("bureau-1") + of("ministry"), 100, "{taken:?}");
        assert!(of("bureau-0").abs_diff(of("bureau-1")) <= 1, "{taken:?}");
    }
}
