//! A granted group against what was submitted: whole, together or spread, and apart from other jobs.
//!
//! Must hold: it counts by itself what stands where; of the state machine's own count nothing is asked.

use super::At;
use super::model::{Held, Job, Model};
use crate::verify::report::{Report, Step};
use sekisho_types::id::{JobId, NodeId};
use sekisho_types::topology::{Over, Within};
use std::collections::BTreeMap;

impl Model {
    /// Judges the groups that the entry before `at` granted. What a host brought over was judged where it was granted.
    pub(super) fn stand(&mut self, at: At<'_>, report: &mut Report) {
        for id in std::mem::take(&mut self.fresh) {
            let Some(job) = self.jobs.get(&id.whole()) else { continue };
            let all = job.held.iter().filter_map(|placement| self.placements.get(placement));
            // Each task is a group by itself.
            let rows: Vec<&Held> = all.filter(|row| row.job == id).collect();
            let whole = u32::try_from(rows.len()).is_ok_and(|all| all == job.facts.group);
            let part = format!("{} of {} members", rows.len(), job.facts.group);
            let wrong = if whole { self.beside(&id, &rows) } else { Err(part) };
            let wrong = wrong.and_then(|()| self.together(job, &rows));
            if let Err(why) = wrong {
                let why = format!("before it, {id} was not granted as submitted: {why}");
                report.found(Step::Fencing, Some(at.index), why);
            }
        }
    }

    /// Nobody stands beside a job from which one of the two keeps apart; each by what it was granted for.
    fn beside(&self, id: &JobId, rows: &[&Held]) -> Result<(), String> {
        for row in rows {
            let own = &row.topology;
            let held = self.nodes.get(&row.node).into_iter().flat_map(|node| &node.held);
            let held = held.filter_map(|placement| self.placements.get(placement));
            let mut others = held.filter(|other| other.job != *id && other.job.tenant == id.tenant);
            let apart = |other: &&Held| {
                let theirs = &other.topology;
                own.apart.iter().any(|mark| theirs.marks.contains(mark))
                    || theirs.apart.iter().any(|mark| own.marks.contains(mark))
            };
            if let Some(other) = others.find(apart) {
                return Err(format!("it stands beside {}", other.job));
            }
        }
        Ok(())
    }

    fn together(&self, job: &Job, rows: &[&Held]) -> Result<(), String> {
        let asked = &job.facts.topology;
        let within = asked.within.map(|within| match within {
            Within::Rack => Over::Rack,
            Within::Site => Over::Site,
        });
        if let Some(within) = within {
            let counts = self.counts(rows, within)?;
            if counts.len() != 1 {
                return Err(format!("asked for one {within}, it stands in {counts:?}"));
            }
        }
        let Some(spread) = asked.spread else { return Ok(()) };
        let counts = self.counts(rows, spread.over)?;
        let several = u32::try_from(counts.len()).unwrap_or(u32::MAX);
        let share = job.facts.group.div_ceil(spread.at_least.max(1));
        if several >= spread.at_least && counts.values().all(|members| *members <= share) {
            return Ok(());
        }
        let (least, over) = (spread.at_least, spread.over);
        Err(format!("asked for {least} or more, by {over}, it stands in {counts:?}"))
    }

    /// Members in each.
    fn counts(&self, rows: &[&Held], over: Over) -> Result<BTreeMap<String, u32>, String> {
        let mut counts = BTreeMap::new();
        for row in rows {
            let of = self.part(&row.node, over);
            let of = of.ok_or_else(|| format!("nobody knows the {over} of {}", row.node))?;
            let members: &mut u32 = counts.entry(of).or_default();
            *members = members.saturating_add(1);
        }
        Ok(counts)
    }

    fn part(&self, id: &NodeId, over: Over) -> Option<String> {
        let node = self.nodes.get(id)?;
        match over {
            Over::Operator => Some(node.operator.to_string()),
            Over::Prefecture => {
                let area = node.tag.as_ref()?.area.domestic()?;
                Some(area.prefecture()?.to_string())
            }
            Over::Site => Some(id.site.to_string()),
            Over::Rack => node.rack.as_ref().map(|rack| format!("{}/{rack}", id.site)),
        }
    }
}
