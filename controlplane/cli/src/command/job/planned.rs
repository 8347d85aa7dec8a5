//! What a job was planned to become, as `job plan` prints it and `job submit --if-plan` takes it: `placed-now@4711`.

use sekisho_proto::convert::plan::PlanGuard;
use sekisho_proto::v1;
use sekisho_proto::v1::explanation::Verdict;
use sekisho_types::revision::Revision;
use std::fmt;
use std::str::FromStr;

/// A plan in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned(pub(super) PlanGuard);

/// Verdicts, by their words.
const WORDS: [(&str, Verdict); 3] = [
    ("placed-now", Verdict::PlacedNow),
    ("would-wait", Verdict::WouldWait),
    ("never", Verdict::Never),
];

impl Planned {
    /// That of an answer; `None` if it has no verdict.
    pub(super) fn of(answer: &v1::Explanation) -> Option<Self> {
        let (verdict, revision) = (answer.verdict(), Revision(answer.revision));
        (verdict != Verdict::Unspecified).then_some(Self(PlanGuard { revision, verdict }))
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlanGuard { revision, verdict } = self.0;
        let word = WORDS.iter().find(|(_, known)| *known == verdict).map_or("?", |(word, _)| *word);
        f.pad(&format!("{word}@{revision}"))
    }
}

impl FromStr for Planned {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let must = || "must be what `job plan` printed, e.g. placed-now@4711".to_owned();
        let (word, revision) = text.split_once('@').ok_or_else(must)?;
        let known = WORDS.iter().find(|(known, _)| *known == word);
        let (_, verdict) = *known.ok_or_else(must)?;
        let revision = revision.parse().map(Revision).map_err(|_number| must())?;
        Ok(Self(PlanGuard { revision, verdict }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_is_printed_and_nothing_else_is() {
        for (word, verdict) in WORDS {
            let text = format!("{word}@4711");
            let planned: Planned = text.parse().unwrap();
            assert_eq!(planned, Planned(PlanGuard { revision: Revision(4711), verdict }));
            assert_eq!(planned.to_string(), text);
        }
        for bad in ["", "placed-now", "4711", "placed-now@", "soon@1", "placed-now@-1", "never@1@2"]
        {
            bad.parse::<Planned>().unwrap_err();
        }
        assert_eq!(Planned::of(&v1::Explanation::default()), None);
    }
}
