//! When running jobs will have left enough room and quota for a waiting one.
//!
//! Must hold: an upper bound, never a promise. It takes every running job to use its whole time limit, and looks at
//! no job that might get ahead. A group that has to stand in some way waits until enough nodes together would let it.

use crate::limit::PLACEMENTS_CONSIDERED_MAX;
use crate::node::matching;
use crate::survey::{Ask, Funnel, Host, Survey};
use sekisho_fsm::State;
use sekisho_fsm::state::Placement;
use sekisho_fsm::topology::{Stand, Tally};
use sekisho_types::id::{JobId, NodeId};
use sekisho_types::job::Resources;
use sekisho_types::limit::KILL_GRACE;
use sekisho_types::placement::Phase;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What waiting is for.
#[derive(Debug, Default)]
pub(crate) struct Outlook {
    /// The first job whose end alone would let the group start.
    pub(crate) one: Option<Ending>,
    /// When enough jobs together will have ended.
    pub(crate) all: Option<Timestamp>,
}

/// The end of a job.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) job: JobId,
    pub(crate) by: Timestamp,
}

/// What one job gives back when it ends.
#[derive(Debug, Default)]
struct Release<'s> {
    by: Timestamp,
    /// GPUs by bucket of nodes that would suit but are full.
    room: BTreeMap<(&'s NodeId, u16), u32>,
    /// GPUs charged to the tenant that waits, of the class that it waits for.
    charge: u64,
}

/// What is still missing.
#[derive(Debug)]
struct Missing<'v, 's> {
    wanted: &'v Resources,
    nodes: u32,
    charge: u64,
    full: BTreeMap<&'s NodeId, &'v Host<'s>>,
}

/// Looks for the ends that would admit the group, if room and quota are all that it waits for.
pub(crate) fn outlook<'v, 's>(
    survey: &'v Survey<'s>,
    ask: &'v Ask<'_>,
    funnel: &Funnel<'v, 's>,
) -> Outlook {
    let (fit, full): (Vec<&Host<'s>>, Vec<&Host<'s>>) =
        funnel.eligible.iter().partition(|host| crate::node::has_room(host.node, ask.wanted()));
    let have = u32::try_from(fit.len()).unwrap_or(u32::MAX);
    if funnel.beyond || !funnel.together.1 {
        return Outlook::default();
    }
    let placed = ask.facts.topology.places_members();
    let mut tally = placed.then(|| Tally::of(&ask.facts.topology, ask.facts.group));
    if let Some(tally) = &mut tally {
        fit.iter().for_each(|host| tally.add(&Stand::of(host.id, host.node)));
    }
    let most = survey.state.most(&ask.facts.id.tenant, &ask.wanted().class);
    let charge = most.now.short_of(ask.facts.gpus());
    let missing = Missing {
        wanted: ask.wanted(),
        nodes: ask.facts.group.saturating_sub(have),
        charge,
        full: full.into_iter().map(|host| (host.id, host)).collect(),
    };
    let mut releases: Vec<(&JobId, Release<'s>)> =
        releases(survey, ask, &missing).into_iter().collect();
    releases.sort_by_key(|(job, release)| (release.by, *job));
    // Which of many would do alone is not looked for where it takes more than a count of nodes.
    let mut alone = releases.iter().filter(|_| !placed);
    let one = alone.find(|(_, release)| missing.is_met(&release.room, release.charge));
    let one = one.map(|(job, release)| Ending { job: (*job).clone(), by: release.by });
    Outlook { one, all: all(&releases, &missing, tally) }
}

fn releases<'s>(
    survey: &Survey<'s>,
    ask: &Ask<'_>,
    missing: &Missing<'_, 's>,
) -> BTreeMap<&'s JobId, Release<'s>> {
    let state: &'s State = survey.state;
    let mut found: BTreeMap<&'s JobId, Release<'s>> = BTreeMap::new();
    let mut seen = 0usize;
    for host in &survey.hosts {
        let full = missing.full.contains_key(host.id);
        if !full && missing.charge == 0 {
            continue;
        }
        for placement in host.node.placements.iter().filter_map(|id| state.placement(id)) {
            if seen >= PLACEMENTS_CONSIDERED_MAX {
                return found;
            }
            seen = seen.saturating_add(1);
            let grant = &placement.grant;
            let pays = grant.job.tenant == ask.facts.id.tenant && grant.class == ask.wanted().class;
            let release = found.entry(&grant.job).or_default();
            release.by = release.by.max(latest_end(placement));
            if pays {
                release.charge = release.charge.saturating_add(u64::from(grant.gpus));
            }
            if full {
                let room = release.room.entry((host.id, placement.bucket)).or_default();
                *room = room.saturating_add(grant.gpus);
            }
        }
    }
    found
}

fn latest_end(placement: &Placement) -> Timestamp {
    let left_s = match placement.phase {
        Phase::Granted | Phase::Starting | Phase::Running => placement.grant.time_limit_s,
        Phase::Stopping | Phase::Ended(_) => 0,
    };
    let left_s = left_s.saturating_add(KILL_GRACE.as_secs());
    placement.changed.plus_ms(left_s.saturating_mul(1000))
}

impl Missing<'_, '_> {
    fn is_met(&self, freed: &BTreeMap<(&NodeId, u16), u32>, charge: u64) -> bool {
        if charge < self.charge {
            return false;
        }
        let nodes: BTreeSet<&NodeId> = freed.keys().map(|(node, _)| *node).collect();
        let gained = nodes.into_iter().filter(|node| self.gains(node, freed)).count();
        u32::try_from(gained).unwrap_or(u32::MAX) >= self.nodes
    }

    fn gains(&self, node: &NodeId, freed: &BTreeMap<(&NodeId, u16), u32>) -> bool {
        let Some(host) = self.full.get(node) else { return false };
        matching(host.node, self.wanted).any(|(bucket, _)| {
            let freed = freed.get(&(node, bucket)).copied().unwrap_or(0);
            host.node.free(bucket).saturating_add(freed) >= self.wanted.gpus
        })
    }
}

fn all<'s>(
    releases: &[(&JobId, Release<'_>)],
    missing: &Missing<'_, 's>,
    mut tally: Option<Tally<'_, 's>>,
) -> Option<Timestamp> {
    let (mut room, mut charge) = (BTreeMap::new(), 0u64);
    let mut gained: BTreeSet<&NodeId> = BTreeSet::new();
    for (_, release) in releases {
        charge = charge.saturating_add(release.charge);
        for (key, gpus) in &release.room {
            let freed: &mut u32 = room.entry(*key).or_default();
            *freed = freed.saturating_add(*gpus);
        }
        for (node, _) in release.room.keys() {
            if !missing.gains(node, &room) || !gained.insert(node) {
                continue;
            }
            if let (Some(tally), Some(host)) = (&mut tally, missing.full.get(*node)) {
                tally.add(&Stand::of(host.id, host.node));
            }
        }
        let nodes = u32::try_from(gained.len()).unwrap_or(u32::MAX);
        let stands = tally.as_ref().is_none_or(Tally::is_met);
        if nodes >= missing.nodes && charge >= missing.charge && stands {
            return Some(release.by);
        }
    }
    None
}
