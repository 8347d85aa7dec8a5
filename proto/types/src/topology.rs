//! Where the members of a group stand to one another and to other jobs, as far as the job says so.
//!
//! ```text
//! within  rack or site: all members in one
//! spread  at least so many operators, prefectures, sites or racks, none with more than its share
//! apart   no member on a node of a job with such a mark; marks are what a job is known by there
//! near    the site of the dataset: a wish
//! ```
//! Must hold: what contradicts itself is no topology ([`Topology::check`]); all but `near` binds.
//! Does not know: nodes. Which of them stand where, the state machine says.

use crate::id::{Mark, SiteId};
use crate::job::FactsError;
use crate::limit::MARKS_MAX;
use crate::rare::Usual;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

/// What all members stand in one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Within {
    /// One rack of one site. A node whose rack was not told is in none.
    Rack,
    /// One site.
    Site,
}

/// What members are spread over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Over {
    /// Companies.
    Operator,
    /// Prefectures, by the nodes' tags.
    Prefecture,
    /// Sites.
    Site,
    /// Racks. A node whose rack was not told is in none.
    Rack,
}

/// How far members stand from one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Spread {
    /// Over what.
    pub over: Over,
    /// They stand in so many different ones at least; 2 or more.
    pub at_least: u32,
}

/// What a job asks for of its members' places.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Topology {
    /// All members in one.
    pub within: Option<Within>,
    /// Members in several.
    pub spread: Option<Spread>,
    /// No member on a node of another job of the tenant with one of these marks, nor of another task of its own if it bears one
    /// of them; at most [`MARKS_MAX`].
    pub apart: BTreeSet<Mark>,
    /// What it is known by to jobs that keep apart; at most [`MARKS_MAX`].
    pub marks: BTreeSet<Mark>,
    /// Where its dataset lies: places there are taken first.
    pub near: Option<SiteId>,
}

impl Usual for Topology {
    fn usual() -> &'static Self {
        static USUAL: LazyLock<Topology> = LazyLock::new(Topology::default);
        &USUAL
    }
}

impl Spread {
    /// Members of a group that may stand in one at most.
    #[must_use]
    pub fn most_in_one(self, group: u32) -> u32 {
        group.div_ceil(self.at_least.max(1))
    }
}

impl Within {
    /// The same, as members could be spread over it.
    #[must_use]
    pub fn over(self) -> Over {
        match self {
            Self::Rack => Over::Rack,
            Self::Site => Over::Site,
        }
    }
}

impl Topology {
    /// Whether it says how members stand to one another.
    #[must_use]
    pub fn places_members(&self) -> bool {
        self.within.is_some() || self.spread.is_some()
    }

    /// Whether it may keep members off nodes on which other jobs stand.
    #[must_use]
    pub fn minds_others(&self) -> bool {
        !self.apart.is_empty() || !self.marks.is_empty()
    }

    /// Whether two jobs of a tenant stand on no node together: one of them said so.
    #[must_use]
    pub fn keeps_apart(&self, other: &Self) -> bool {
        !self.apart.is_disjoint(&other.marks) || !other.apart.is_disjoint(&self.marks)
    }

    /// Checks it for a group of so many members.
    ///
    /// # Errors
    /// The first field that is out of bounds or contradicts another.
    pub fn check(&self, group: u32) -> Result<(), FactsError> {
        let fail = |field: &str, must: String| {
            Err(FactsError { field: format!("topology.{field}"), must })
        };
        for (field, marks) in [("apart", &self.apart), ("marks", &self.marks)] {
            if marks.len() > MARKS_MAX {
                return fail(field, format!("must have at most {MARKS_MAX} entries"));
            }
        }
        let Some(spread) = self.spread else { return Ok(()) };
        match (self.within, spread.over) {
            (None, _) | (Some(Within::Site), Over::Rack) => {}
            (Some(Within::Site), Over::Operator | Over::Prefecture | Over::Site) => {
                return fail(
                    "spread.over",
                    "must be rack where all members are at one site".to_owned(),
                );
            }
            (Some(Within::Rack), _) => {
                return fail(
                    "spread",
                    "must not be given where all members are in one rack".to_owned(),
                );
            }
        }
        if !(2..=group).contains(&spread.at_least) {
            let must = format!("must be 2 to the number of members, which is {group}");
            return fail("spread.at_least", must);
        }
        Ok(())
    }
}

/// The words of a spec file; stable.
impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rack => "rack",
            Self::Site => "site",
        })
    }
}

/// The words of a spec file; stable.
impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Operator => "operator",
            Self::Prefecture => "prefecture",
            Self::Site => "site",
            Self::Rack => "rack",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(within: Option<Within>, spread: Option<(Over, u32)>) -> Topology {
        let spread = spread.map(|(over, at_least)| Spread { over, at_least });
        Topology { within, spread, ..Topology::default() }
    }

    #[test]
    fn what_contradicts_itself_is_refused_by_field() {
        let field = |topology: Topology, group| topology.check(group).map_err(|error| error.field);
        let refused = |name: &str| Err(format!("topology.{name}"));
        let (rack, site) = (Some(Within::Rack), Some(Within::Site));
        assert_eq!(field(Topology::default(), 1), Ok(()));
        assert_eq!(field(of(rack, None), 1), Ok(()));
        assert_eq!(field(of(rack, Some((Over::Rack, 2))), 4), refused("spread"));
        assert_eq!(field(of(site, Some((Over::Rack, 2))), 4), Ok(()));
        for over in [Over::Operator, Over::Prefecture, Over::Site] {
            assert_eq!(field(of(site, Some((over, 2))), 4), refused("spread.over"));
            for (at_least, good) in [(0, false), (1, false), (2, true), (4, true), (5, false)] {
                let found = field(of(None, Some((over, at_least))), 4);
                assert_eq!(found, if good { Ok(()) } else { refused("spread.at_least") });
            }
        }
        let marks: BTreeSet<Mark> =
            (0..=MARKS_MAX).map(|n| format!("m{n}").parse().unwrap()).collect();
        let many = Topology { apart: marks.clone(), ..Topology::default() };
        assert_eq!(field(many, 1), refused("apart"));
        assert_eq!(field(Topology { marks, ..Topology::default() }, 1), refused("marks"));
    }

    #[test]
    fn a_share_is_what_one_may_hold_at_most() {
        let most = |group, at_least| Spread { over: Over::Site, at_least }.most_in_one(group);
        assert_eq!([most(4, 2), most(5, 2), most(5, 4), most(3, 3)], [2, 3, 2, 1]);
    }

    #[test]
    fn either_side_keeps_two_jobs_apart() {
        let marks = |all: &[&str]| all.iter().map(|mark| mark.parse().unwrap()).collect();
        let plain = Topology::default();
        let web = Topology { marks: marks(&["web"]), ..Topology::default() };
        let shy = Topology { apart: marks(&["web", "db"]), ..Topology::default() };
        assert!(shy.keeps_apart(&web) && web.keeps_apart(&shy));
        assert!(!shy.keeps_apart(&shy) && !web.keeps_apart(&web) && !shy.keeps_apart(&plain));
        assert!(shy.minds_others() && web.minds_others() && !plain.minds_others());
    }
}
