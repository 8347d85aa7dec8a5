//! What comes back, of whom and when: on nodes, of offers, of quotas, of power.
//!
//! Must hold: at most [`PLACEMENTS_CONSIDERED_MAX`] running jobs are regarded, those of the first nodes; leaving some out only makes
//! an estimate later. Names are numbered once: an estimate asks for sums at a dozen instants.

use crate::books::Overlay;
use crate::fleet::end_of;
use crate::limit::PLACEMENTS_CONSIDERED_MAX;
use crate::survey::{Ask, Survey};
use sekisho_fsm::State;
use sekisho_fsm::offer::OfferKey;
use sekisho_fsm::state::Placement;
use sekisho_types::id::{DeviceClass, JobId, NodeId, SiteId, TenantId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::Range;

/// What comes back at an instant.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) at: Timestamp,
    pub(super) bucket: u16,
    pub(super) gpus: u32,
    /// Number of its job.
    pub(super) job: usize,
    account: usize,
    offer: Option<usize>,
    /// The number of its site and what it draws there, watts, if that has a power cap.
    power: Option<(usize, u64)>,
}

/// Whose quota something comes back to.
#[derive(Debug)]
struct Account {
    place: Area,
    /// The tenant and all above it, if that is the tree of the job; of another one it is nothing to it.
    path: Option<Vec<TenantId>>,
}

/// What comes back.
#[derive(Debug)]
pub(super) struct Back<'s> {
    /// Node by node.
    releases: Vec<Release>,
    /// Numbers of releases of each node.
    nodes: Vec<(&'s NodeId, Range<usize>)>,
    /// Numbers of releases in order of time.
    order: Vec<usize>,
    /// Jobs, and when all of each is over.
    jobs: Vec<(&'s JobId, Timestamp)>,
    /// By tenant and place.
    accounts: Vec<Account>,
    offers: Vec<OfferKey>,
    /// Those with power caps.
    sites: Vec<SiteId>,
    /// What those before the job give back: when, to whom, how much.
    ahead: Vec<(Timestamp, usize, u64)>,
}

/// When what of whose quota comes back.
type Ends = [(Timestamp, TenantId, Area, u64)];

/// The number of a name, in the order in which they are met.
fn number<K: Ord>(numbers: &mut BTreeMap<K, usize>, name: K) -> usize {
    let next = numbers.len();
    *numbers.entry(name).or_insert(next)
}

impl<'s> Back<'s> {
    /// What running jobs give back of the class, and those before the job; `path` is that of its tenant.
    pub(super) fn of(
        survey: &Survey<'s>,
        ask: &Ask<'_>,
        (path, ends): (&[TenantId], &Ends),
    ) -> Self {
        let state = survey.state;
        let mut rows: Vec<&'s Placement> = Vec::new();
        let mut nodes: Vec<(&'s NodeId, Range<usize>)> = Vec::new();
        for (node, placements) in survey.alike.runs(&ask.wanted().class) {
            let first = rows.len();
            rows.extend(placements.iter().filter_map(|id| state.placement(id)));
            nodes.push((node, first..rows.len()));
            if rows.len() >= PLACEMENTS_CONSIDERED_MAX {
                break;
            }
        }
        let of_rows = rows.iter().map(|row| (&row.grant.job.tenant, row.charge.place));
        let of_ends = ends.iter().map(|(_, tenant, place, _)| (tenant, *place));
        let all: BTreeMap<(&TenantId, Area), usize> =
            of_rows.chain(of_ends).map(|account| (account, 0)).collect();
        let all: BTreeMap<(&TenantId, Area), usize> = all.into_keys().zip(0usize..).collect();
        let account = |tenant: &TenantId, place: Area| {
            all.get(&(tenant, place)).copied().unwrap_or(usize::MAX)
        };
        let (mut jobs, mut offers, mut sites) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let release = |row: &&'s Placement| Release {
            at: end_of(row),
            bucket: row.bucket,
            gpus: row.grant.gpus,
            job: number(&mut jobs, &row.grant.job),
            account: account(&row.grant.job.tenant, row.charge.place),
            offer: row
                .charge
                .offer
                .as_ref()
                .map(|name| number(&mut offers, (&row.grant.node.site, name))),
            power: watts(state, row).map(|watts| (number(&mut sites, &row.grant.node.site), watts)),
        };
        let releases: Vec<Release> = rows.iter().map(release).collect();
        let mut order: Vec<usize> = (0..releases.len()).collect();
        order.sort_by_key(|at| releases.get(*at).map(|release| release.at));
        let mut over: Vec<(&JobId, Timestamp)> = in_order(jobs, |job| (job, Timestamp(0)));
        for release in &releases {
            if let Some((_, by)) = over.get_mut(release.job) {
                *by = release.at.max(*by);
            }
        }
        let accounts = all.keys().map(|(tenant, place)| {
            let of = state.path(tenant);
            Account { place: *place, path: Some(of).filter(|of| of.last() == path.last()) }
        });
        let accounts = accounts.collect();
        let ahead =
            ends.iter().map(|(at, tenant, place, gpus)| (*at, account(tenant, *place), *gpus));
        let ahead = ahead.collect();
        let offers = in_order(offers, |(site, name)| (site.clone(), name.clone()));
        let sites = in_order(sites, SiteId::clone);
        Self { releases, nodes, order, jobs: over, accounts, offers, sites, ahead }
    }

    /// Instants at which something that runs comes back, in order.
    pub(super) fn instants(&self) -> impl Iterator<Item = Timestamp> {
        self.order.iter().filter_map(|at| Some(self.releases.get(*at)?.at))
    }

    /// Jobs that run, with when all of each is over, and its number.
    pub(super) fn jobs(&self) -> impl Iterator<Item = (Timestamp, &'s JobId, usize)> {
        self.jobs.iter().zip(0usize..).map(|((job, by), number)| (*by, *job, number))
    }

    /// Nodes on which something ends, with the numbers of what does.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (&'s NodeId, Range<usize>)> {
        self.nodes.iter().cloned()
    }

    /// What ends of these; of the jobs that run, `only` this one ends.
    pub(super) fn ends(
        &self,
        numbers: Range<usize>,
        only: Option<usize>,
    ) -> impl Iterator<Item = &Release> {
        let all = self.releases.get(numbers).unwrap_or_default().iter();
        all.filter(move |release| only.is_none_or(|only| only == release.job))
    }

    /// Gives back on the books what will have ended by then.
    pub(super) fn give(
        &self,
        books: &mut Overlay<'_>,
        class: &DeviceClass,
        at: Timestamp,
        only: Option<usize>,
    ) {
        let mut sums = vec![0u64; self.accounts.len()];
        let mut offers = vec![0u64; self.offers.len()];
        let mut sites = vec![0u64; self.sites.len()];
        let add = |sums: &mut Vec<u64>, at: usize, gpus: u64| {
            if let Some(sum) = sums.get_mut(at) {
                *sum = sum.saturating_add(gpus);
            }
        };
        let ended = self.order.iter().filter_map(|number| self.releases.get(*number));
        for release in ended.take_while(|release| release.at <= at) {
            if only.is_none_or(|only| only == release.job) {
                let gpus = u64::from(release.gpus);
                add(&mut sums, release.account, gpus);
                if let Some(offer) = release.offer {
                    add(&mut offers, offer, gpus);
                }
                if let Some((site, watts)) = release.power {
                    add(&mut sites, site, watts);
                }
            }
        }
        for (_, account, gpus) in self.ahead.iter().filter(|(end, ..)| *end <= at) {
            add(&mut sums, *account, *gpus);
        }
        for (key, gpus) in self.offers.iter().zip(offers).filter(|(_, gpus)| *gpus > 0) {
            books.end(key.clone(), gpus);
        }
        for (site, watts) in self.sites.iter().zip(sites).filter(|(_, watts)| *watts > 0) {
            books.end_watts(site, watts);
        }
        for (account, gpus) in self.accounts.iter().zip(sums).filter(|(_, gpus)| *gpus > 0) {
            if let Some(path) = &account.path {
                books.give_back(path, class, account.place, gpus);
            }
        }
    }
}

/// What a placement draws of a power cap, watts.
fn watts(state: &State, row: &Placement) -> Option<u64> {
    let _cap = state.power(&row.grant.node.site).cap?;
    Some(state.node(&row.grant.node)?.watts(row.bucket, row.grant.gpus))
}

/// Names in the order of their numbers.
fn in_order<K, T>(numbers: BTreeMap<K, usize>, of: impl Fn(K) -> T) -> Vec<T> {
    let mut names: Vec<(usize, K)> =
        numbers.into_iter().map(|(name, number)| (number, name)).collect();
    names.sort_unstable_by_key(|(number, _)| *number);
    names.into_iter().map(|(_, name)| of(name)).collect()
}
