//! Phase reports on their way: the newest phase of each placement, until the control plane has it.
//!
//! Must hold: at most one report is on its way, so that phases arrive in order; what changed meanwhile goes with the
//! next one; an end is never dropped for anything but its acknowledgement or a final refusal of it alone.

use crate::limit::REPORT_MAX;
use sekisho_types::placement::Phase;
use sekisho_types::revision::PlacementId;
use std::collections::BTreeMap;

/// What has to be told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outbox {
    waiting: BTreeMap<PlacementId, Phase>,
    on_its_way: BTreeMap<PlacementId, Phase>,
    one_by_one: bool,
}

impl Outbox {
    /// Notes a phase. It takes the place of an earlier one that has not been sent; a step back is ignored.
    pub fn push(&mut self, placement: PlacementId, phase: Phase) {
        let newest = self.waiting.get(&placement).or_else(|| self.on_its_way.get(&placement));
        if newest.is_none_or(|newest| newest.may_become(&phase)) {
            self.waiting.insert(placement, phase);
        }
    }

    /// The next report, or `None` while one is on its way or there is nothing to tell.
    pub fn take(&mut self) -> Option<Vec<(PlacementId, Phase)>> {
        if !self.on_its_way.is_empty() || self.waiting.is_empty() {
            return None;
        }
        let most = if self.one_by_one { 1 } else { REPORT_MAX };
        while self.on_its_way.len() < most {
            let Some((placement, phase)) = self.waiting.pop_first() else { break };
            self.on_its_way.insert(placement, phase);
        }
        let report = self.on_its_way.iter().map(|(id, phase)| (*id, phase.clone()));
        Some(report.collect())
    }

    /// The report arrived. Returns what it said.
    pub fn acknowledged(&mut self) -> BTreeMap<PlacementId, Phase> {
        if self.waiting.is_empty() {
            self.one_by_one = false;
        }
        std::mem::take(&mut self.on_its_way)
    }

    /// The report did not arrive, or its outcome is unknown: it goes back.
    pub fn failed(&mut self) {
        for (placement, phase) in std::mem::take(&mut self.on_its_way) {
            // A newer phase may have come meanwhile.
            self.waiting.entry(placement).or_insert(phase);
        }
    }

    /// The report was refused for good. Of several, each is tried alone; one alone is returned and given up.
    pub fn refused(&mut self) -> BTreeMap<PlacementId, Phase> {
        if self.on_its_way.len() > 1 {
            self.one_by_one = true;
            self.failed();
            return BTreeMap::new();
        }
        self.acknowledged()
    }

    /// How many phases wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits and nothing is on its way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.on_its_way.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::epoch;
    use proptest::prelude::*;
    use sekisho_types::placement::Ending;

    fn id(ordinal: u32) -> PlacementId {
        PlacementId { epoch: epoch(10), ordinal }
    }

    #[test]
    fn phases_coalesce_and_only_one_report_is_on_its_way() {
        let mut outbox = Outbox::default();
        outbox.push(id(0), Phase::Starting);
        outbox.push(id(0), Phase::Running);
        outbox.push(id(0), Phase::Starting);
        assert_eq!(outbox.take(), Some(vec![(id(0), Phase::Running)]));
        outbox.push(id(0), Phase::Running);
        outbox.push(id(0), Phase::Ended(Ending::Exited(0)));
        assert_eq!(outbox.take(), None);
        outbox.failed();
        assert_eq!(outbox.take(), Some(vec![(id(0), Phase::Ended(Ending::Exited(0)))]));
        outbox.acknowledged();
        assert!(outbox.is_empty() && outbox.take().is_none());
    }

    #[test]
    fn a_refused_report_is_repeated_one_by_one() {
        let mut outbox = Outbox::default();
        for ordinal in 0..3 {
            outbox.push(id(ordinal), Phase::Running);
        }
        assert_eq!(outbox.take().map(|report| report.len()), Some(3));
        assert!(outbox.refused().is_empty());
        for ordinal in 0..3 {
            assert_eq!(outbox.take(), Some(vec![(id(ordinal), Phase::Running)]));
            assert_eq!(outbox.refused().len(), 1);
        }
        assert!(outbox.is_empty());
    }

    proptest! {
        /// Under any loss, the control plane hears each placement's phases in order and its last one in the end.
        #[test]
        fn the_last_phase_always_arrives(steps in proptest::collection::vec((0u32..3, 0u8..6), 0..60)) {
            let mut outbox = Outbox::default();
            let mut heard: BTreeMap<PlacementId, Phase> = BTreeMap::new();
            let mut last: BTreeMap<PlacementId, Phase> = BTreeMap::new();
            let mut hear = |outbox: &mut Outbox| {
                for (id, phase) in outbox.acknowledged() {
                    assert!(heard.get(&id).is_none_or(|before| before.may_become(&phase)));
                    heard.insert(id, phase);
                }
                heard.clone()
            };
            for (ordinal, what) in steps {
                let phase = match what {
                    0 => Phase::Starting,
                    1 => Phase::Running,
                    2 => Phase::Ended(Ending::Stopped),
                    3 => { drop(outbox.take()); outbox.failed(); continue }
                    4 => { drop(outbox.take()); hear(&mut outbox); continue }
                    _ => { drop(outbox.take()); continue }
                };
                if last.get(&id(ordinal)).is_none_or(|before| before.may_become(&phase)) {
                    last.insert(id(ordinal), phase.clone());
                    outbox.push(id(ordinal), phase);
                }
            }
            outbox.failed();
            let mut all = BTreeMap::new();
            while outbox.take().is_some() {
                all = hear(&mut outbox);
            }
            if !last.is_empty() { all = hear(&mut outbox); }
            prop_assert_eq!(all, last);
        }
    }
}
