//! Which feature level the programs of the other members know.
//!
//! Must hold: a member counts with what its running program said last, and only while it was heard lately: one that is
//! away may come back as anything. Nobody can speak for another: what is noted comes from opened headers.

use crate::limit::LEVEL_HEARD;
use crate::platform::Platform;
use parking_lot::Mutex;
use sekisho_types::id::MemberId;
use std::collections::BTreeMap;

/// The last word of each member.
#[derive(Debug)]
pub(crate) struct Levels<P: Platform>(Mutex<BTreeMap<MemberId, (u32, P::Deadline)>>);

impl<P: Platform> Default for Levels<P> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<P: Platform> Levels<P> {
    /// Notes what a member knows. Whose headers are opened is a member, so the table is as small as the federation.
    pub(crate) fn hear(&self, member: MemberId, level: u32) {
        self.0.lock().insert(member, (level, P::deadline(LEVEL_HEARD)));
    }

    /// The level that this member's `own` program and those of all `others` know.
    pub(super) fn common(
        &self,
        own: u32,
        mut others: impl Iterator<Item = MemberId>,
    ) -> Option<u32> {
        let heard = self.0.lock();
        others.try_fold(own, |common, member| {
            let (level, until) = heard.get(&member)?;
            (!P::remaining(*until).is_zero()).then_some(common.min(*level))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Native;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn the_least_counts_and_who_is_silent_is_anything() {
        let levels = Levels::<Native>::default();
        let others = [1, 3].map(MemberId);
        let common = |own| levels.common(own, others.into_iter());
        assert_eq!(levels.common(5, std::iter::empty()), Some(5));
        levels.hear(MemberId(1), 4);
        assert_eq!(common(5), None, "3 said nothing yet");
        levels.hear(MemberId(3), 6);
        assert_eq!((common(5), common(2)), (Some(4), Some(2)));
        levels.hear(MemberId(1), 5);
        assert_eq!(common(9), Some(5));
        advance(LEVEL_HEARD / 2).await;
        levels.hear(MemberId(1), 5);
        advance(LEVEL_HEARD / 2).await;
        assert_eq!(common(9), None, "3 fell silent");
        levels.hear(MemberId(3), 1);
        assert_eq!(common(9), Some(1), "and came back older");
    }
}
