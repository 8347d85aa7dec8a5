//! Nodes that have room at a time to come.
//!
//! Must hold: a node on which nothing ends, and of which nothing is taken or kept before the job's turn, has room now or never, as
//! all have that it is like. Where a purse tells nodes of a site apart, they come in their order.

use super::back::Back;
use crate::ahead::Booked;
use crate::alike::{Corner, Devices, Likeness};
use crate::claim::Claims;
use crate::survey::{Ask, Standing, Survey, is_mixed};
use sekisho_types::id::NodeId;
use sekisho_types::name::Name;
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A bucket of a node that changes.
#[derive(Debug)]
struct Part {
    bucket: u16,
    free: u32,
    count: u32,
    /// What those before the job take, until when at the latest.
    taken: Vec<(Timestamp, u32)>,
    /// When what is kept of it is over.
    over: Option<Timestamp>,
}

/// A node that changes.
#[derive(Debug)]
struct Busy<'s> {
    node: &'s NodeId,
    like: &'s Likeness,
    rack: Option<&'s Name>,
    parts: Vec<Part>,
    /// Numbers of what ends there.
    ends: Range<usize>,
    corner: Corner<'s>,
    gpus: u32,
}

/// Nodes that do not change and have room.
#[derive(Debug)]
struct Idle<'s> {
    /// Where their order matters, there is one.
    node: Option<&'s NodeId>,
    like: &'s Likeness,
    rack: Option<&'s Name>,
    nodes: u32,
    corner: Corner<'s>,
}

/// Nodes with room from an instant on.
#[derive(Debug)]
pub(super) struct Ready<'r, 's> {
    pub(super) from: Timestamp,
    pub(super) like: &'s Likeness,
    pub(super) rack: Option<&'s Name>,
    pub(super) nodes: u32,
    /// What a purse tells apart.
    pub(super) corner: Corner<'s>,
    /// One, of which something ends or is taken or kept.
    busy: Option<&'r Busy<'s>>,
    node: Option<&'s NodeId>,
}

/// All nodes on which a job may stand.
#[derive(Debug)]
pub(super) struct Rooms<'s> {
    busy: Vec<Busy<'s>>,
    idle: Vec<Idle<'s>>,
}

impl<'s> Rooms<'s> {
    pub(super) fn of(
        survey: &Survey<'s>,
        ask: &Ask<'_>,
        (standing, back, booked): (&[Standing<'_, 's>], &Back<'s>, &Booked<'_>),
    ) -> Self {
        let corner = |like: &'s Likeness| like.corner(survey.state, &ask.facts);
        let mut changing: BTreeMap<&NodeId, Range<usize>> = back.nodes().collect();
        for node in booked.taken.keys().chain(booked.claims.nodes()) {
            changing.entry(node).or_insert(0..0);
        }
        let (mut busy, mut away) = (Vec::new(), BTreeMap::<usize, BTreeSet<&NodeId>>::new());
        for (node, ends) in changing {
            let Some((node, like, rack)) = survey.alike.of(node) else { continue };
            let at = standing.binary_search_by(|standing| standing.herd.like.cmp(like));
            let Some(at) =
                at.ok().filter(|at| standing.get(*at).is_some_and(|standing| standing.holds(node)))
            else {
                continue;
            };
            away.entry(at).or_default().insert(node);
            let parts = like.matching(ask.wanted());
            let parts = parts.map(|(at, devices)| Part::of(node, (at, devices), booked));
            let (parts, corner) = (parts.collect(), corner(like));
            let gpus = ask.wanted().gpus;
            busy.push(Busy { node, like, rack, parts, ends, corner, gpus });
        }
        let (mut idle, none) = (Vec::new(), BTreeSet::new());
        let numbered: Vec<(usize, &Standing<'_, 's>)> = standing.iter().enumerate().collect();
        let sites = numbered.chunk_by(|(_, a), (_, b)| a.herd.like.site == b.herd.like.site);
        for site in sites {
            let is_mixed = is_mixed(site.iter().map(|(_, standing)| corner(standing.herd.like)));
            for (at, standing) in site {
                let like = standing.herd.like;
                let mut fits = like.matching(ask.wanted());
                if fits.any(|(_, devices)| devices.free >= ask.wanted().gpus) {
                    let busy = away.get(at).unwrap_or(&none);
                    let racks = |node: &NodeId| survey.alike.of(node).and_then(|of| of.2);
                    let by_rack = ask.facts.topology.places_members();
                    let how = (corner(like), by_rack, is_mixed);
                    idle.extend(Idle::of(standing, (busy, racks), how));
                }
            }
        }
        Self { busy, idle }
    }

    /// When what is kept of nodes is over.
    pub(super) fn over(&self) -> impl Iterator<Item = Timestamp> {
        self.busy.iter().flat_map(|busy| &busy.parts).filter_map(|part| part.over)
    }

    /// Those that will have room, the soonest first; of the jobs that run `only` this one ends.
    pub(super) fn ready(
        &self,
        back: &Back<'_>,
        claims: &Claims<'_>,
        (now, lasts_ms): (Timestamp, u64),
        only: Option<usize>,
    ) -> Vec<Ready<'_, 's>> {
        let idle = self.idle.iter().map(|idle| {
            let Idle { node, like, rack, nodes, corner } = *idle;
            Ready { from: now, like, rack, nodes, corner, busy: None, node }
        });
        let busy = self.busy.iter().filter_map(|busy| {
            let from = busy.room_from(back, claims, (now, lasts_ms), only)?;
            let Busy { node, like, rack, corner, .. } = busy;
            let (like, rack, corner, node) = (*like, *rack, *corner, Some(*node));
            Some(Ready { from, like, rack, nodes: 1, corner, busy: Some(busy), node })
        });
        let mut ready: Vec<Ready<'_, 's>> = idle.chain(busy).collect();
        ready.sort_by_key(|one| (one.from, &one.like.site, one.node));
        ready
    }
}

impl<'s> Idle<'s> {
    /// Those of a herd that are not `busy`: one by one where their order matters, by rack where members stand to one another.
    fn of(
        standing: &Standing<'_, 's>,
        (busy, rack_of): (&BTreeSet<&NodeId>, impl Fn(&NodeId) -> Option<&'s Name>),
        (corner, by_rack, is_mixed): (Corner<'s>, bool, bool),
    ) -> Vec<Self> {
        let like = standing.herd.like;
        let some = |node, rack, nodes| Self { node, like, rack, nodes, corner };
        if is_mixed {
            let nodes = standing.herd.kin.nodes();
            let nodes = nodes.filter(|(_, id)| !busy.contains(id) && standing.holds(id));
            return nodes.map(|(rack, id)| some(Some(id), rack.as_ref(), 1)).collect();
        }
        let mut racks: BTreeMap<Option<&'s Name>, u32> = BTreeMap::new();
        if by_rack {
            racks.extend(standing.racks());
        } else {
            racks.insert(None, standing.count);
        }
        for id in busy {
            if let Some(nodes) = racks.get_mut(&rack_of(id).filter(|_| by_rack)) {
                *nodes = nodes.saturating_sub(1);
            }
        }
        let left = racks.into_iter().filter(|(_, nodes)| *nodes > 0);
        left.map(|(rack, nodes)| some(None, rack, nodes)).collect()
    }
}

impl Part {
    fn of(node: &NodeId, (bucket, devices): (u16, &Devices), booked: &Booked<'_>) -> Self {
        let taken = booked.taken.get(node).and_then(|taken| taken.get(&bucket));
        Self {
            bucket,
            free: devices.free,
            count: devices.count,
            taken: taken.cloned().unwrap_or_default(),
            over: booked.claims.over(node, bucket),
        }
    }
}

impl Busy<'_> {
    /// From when on it has room.
    fn room_from(
        &self,
        back: &Back<'_>,
        claims: &Claims<'_>,
        (now, lasts_ms): (Timestamp, u64),
        only: Option<usize>,
    ) -> Option<Timestamp> {
        if self.has_room(back, claims, (now, lasts_ms), only) {
            return Some(now);
        }
        let mut times: BTreeSet<Timestamp> =
            back.ends(self.ends.clone(), only).map(|release| release.at).collect();
        for part in &self.parts {
            times.extend(part.over);
            times.extend(part.taken.iter().map(|(until, _)| *until));
        }
        let mut later = times.into_iter().filter(|at| *at > now);
        later.find(|at| self.has_room(back, claims, (*at, lasts_ms), only))
    }

    fn has_room(
        &self,
        back: &Back<'_>,
        claims: &Claims<'_>,
        (at, lasts_ms): (Timestamp, u64),
        only: Option<usize>,
    ) -> bool {
        let time = (at, at.plus_ms(lasts_ms));
        self.parts.iter().any(|part| {
            let ends = back.ends(self.ends.clone(), only);
            let back = ends.filter(|end| end.bucket == part.bucket && end.at <= at);
            let free = back.fold(part.free, |sum, end| sum.saturating_add(end.gpus));
            let taken = part.taken.iter().filter(|(until, _)| *until > at);
            let free =
                taken.fold(free.min(part.count), |free, (_, gpus)| free.saturating_sub(*gpus));
            let left = if part.over.is_some() {
                claims.leaves((self.node, part.bucket), free, time)
            } else {
                free
            };
            left >= self.gpus
        })
    }
}

impl Ready<'_, '_> {
    /// Whether it has room at an instant.
    pub(super) fn has_room(
        &self,
        back: &Back<'_>,
        claims: &Claims<'_>,
        time: (Timestamp, u64),
        only: Option<usize>,
    ) -> bool {
        self.busy.is_none_or(|busy| busy.has_room(back, claims, time, only))
    }
}
