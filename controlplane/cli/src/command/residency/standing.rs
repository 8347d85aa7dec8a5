//! How well the place of a node is established, as an order: what somebody has to look at comes first.

use crate::command::node::location::LocationView;
use crate::language::pick;
use sekisho_types::error_code::Language;

/// What is proven, less first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extent {
    /// T2: that the node is not abroad.
    Country,
    /// T3: its prefecture, by a landmark at its site.
    Site,
}

impl Extent {
    fn word(self) -> &'static str {
        match self {
            Self::Country => "T2",
            Self::Site => "T3",
        }
    }
}

/// Worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Landmarks contradict each other, or the tag.
    Inconsistent,
    /// Its tag is over: even its operator does not say any more where it is.
    Claimed,
    /// It was proven, and nothing that proves it is young enough.
    Over,
    /// It was measured, and may be anywhere by that.
    Unproven,
    /// No landmark measured it since its session opened.
    Unmeasured,
    /// Proven if no operator of a landmark lies.
    Alone(Extent),
    /// Proven not abroad though so many lie.
    Proven(u32, Extent),
}

impl Standing {
    /// Of a node with this tier of its country, and this last fix.
    pub(super) fn of(country_tier: &str, location: Option<&LocationView>) -> Self {
        if location.is_some_and(|seen| !seen.inconsistent.is_empty()) {
            return Self::Inconsistent;
        }
        match location {
            _ if country_tier == "T0" => Self::Claimed,
            None => Self::Unmeasured,
            Some(seen) if seen.is_proven() => {
                let extent = if seen.is_of_site() { Extent::Site } else { Extent::Country };
                if seen.f == 0 { Self::Alone(extent) } else { Self::Proven(seen.f, extent) }
            }
            Some(seen) if seen.expires_ms > 0 => Self::Over,
            Some(_) => Self::Unproven,
        }
    }

    /// What is proven.
    pub(super) fn extent(self) -> Option<Extent> {
        match self {
            Self::Alone(extent) | Self::Proven(_, extent) => Some(extent),
            Self::Inconsistent | Self::Claimed | Self::Over | Self::Unproven | Self::Unmeasured => {
                None
            }
        }
    }

    /// For programs; stable.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Inconsistent => "inconsistent",
            Self::Claimed => "claimed",
            Self::Over => "over",
            Self::Unproven => "unproven",
            Self::Unmeasured => "unmeasured",
            Self::Alone(_) | Self::Proven(..) => "proven",
        }
    }

    /// For people.
    pub(super) fn tier(self, language: Language) -> String {
        match self {
            Self::Inconsistent => pick(language, "inconsistent", "矛盾").to_owned(),
            Self::Claimed => pick(language, "T0 (tag over)", "T0(タグ切れ)").to_owned(),
            Self::Over => pick(language, "T1 (over)", "T1(証明切れ)").to_owned(),
            Self::Unproven => "T1".to_owned(),
            Self::Unmeasured => pick(language, "T1 (not measured)", "T1(未測定)").to_owned(),
            Self::Alone(extent) => format!("{} f=0", extent.word()),
            Self::Proven(f, extent) => format!("{} f={f}", extent.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_proto::v1;

    fn seen(tier: &str, f: u32, expires_ms: u64) -> LocationView {
        let tier = tier.to_owned();
        LocationView::from(v1::Location { tier, f, expires_ms, ..v1::Location::default() })
    }

    #[test]
    fn what_has_to_be_looked_at_comes_before_what_is_well() {
        let torn = LocationView::from(v1::Location {
            inconsistent: vec!["operators/a/landmarks/x".into()],
            ..v1::Location::default()
        });
        let in_order = [
            Standing::of("T1", Some(&torn)),
            Standing::of("T0", Some(&seen("T2", 1, 1))),
            Standing::of("T1", Some(&seen("T1", 1, 1))),
            Standing::of("T1", Some(&seen("T1", 0, 0))),
            Standing::of("T1", None),
            Standing::of("T2", Some(&seen("T2", 0, 1))),
            Standing::of("T3", Some(&seen("T3", 0, 1))),
            Standing::of("T2", Some(&seen("T2", 1, 1))),
            Standing::of("T3", Some(&seen("T3", 1, 1))),
            Standing::of("T2", Some(&seen("T2", 2, 1))),
        ];
        assert!(in_order.is_sorted());
        let words = in_order.map(Standing::word);
        assert_eq!(
            words[..6],
            ["inconsistent", "claimed", "over", "unproven", "unmeasured", "proven"]
        );
        let tiers = in_order.map(|standing| standing.tier(Language::Ja));
        assert_eq!(tiers[..3], ["矛盾", "T0(タグ切れ)", "T1(証明切れ)"]);
        assert_eq!(tiers[5..], ["T2 f=0", "T3 f=0", "T2 f=1", "T3 f=1", "T2 f=2"]);
    }
}
