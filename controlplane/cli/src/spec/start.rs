//! What a job waits for, and until when it may start, as a spec says it.
//!
//! Must hold: a time is an instant and never from now on, so that a spec that is submitted again is the same job; a latest end
//! is a latest start with the whole time limit behind it.

use super::named;
use super::refuse::at;
use crate::command::when;
use crate::failure::Failure;
use sekisho_types::job::{After, When};
use sekisho_types::time::Timestamp;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

/// Another job, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAfter {
    job: Spanned<String>,
    when: RawWhen,
}

impl RawAfter {
    pub(super) fn place(&self) -> Location {
        self.job.referenced
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawWhen {
    Started,
    Succeeded,
    Failed,
    Ended,
}

/// The jobs that are waited for.
pub(super) fn after(raw: Vec<RawAfter>) -> Result<Vec<After>, Failure> {
    let one = |raw: RawAfter| {
        let when = match raw.when {
            RawWhen::Started => When::Started,
            RawWhen::Succeeded => When::Succeeded,
            RawWhen::Failed => When::Failed,
            RawWhen::Ended => When::Ended,
        };
        Ok(After { job: named("after.job", &raw.job)?, when })
    };
    raw.into_iter().map(one).collect()
}

/// An instant.
pub(super) fn instant(field: &str, raw: &Spanned<String>) -> Result<Timestamp, Failure> {
    when::instant(&raw.value).map_err(|must| at(&raw.referenced, field, &must))
}

/// The latest start: written as such, or as the latest end.
pub(super) fn start_by(
    start: Option<&Spanned<String>>,
    end: Option<&Spanned<String>>,
    time_limit_s: u64,
) -> Result<Option<Timestamp>, Failure> {
    match (start, end) {
        (None, None) => Ok(None),
        (Some(start), None) => instant("start_by", start).map(Some),
        (Some(_), Some(end)) => Err(at(&end.referenced, "end_by", &"start_by is given already")),
        (None, Some(end)) => {
            let Timestamp(by) = instant("end_by", end)?;
            let start = time_limit_s.checked_mul(1000).and_then(|limit| by.checked_sub(limit));
            let must = "must be later than a whole time_limit after 1970";
            start.map(|at| Some(Timestamp(at))).ok_or_else(|| at(&end.referenced, "end_by", &must))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::spec::{JobSpec, Override, parse};
    use sekisho_types::job::When;
    use sekisho_types::time::{Date, Timestamp};

    const SPEC: &str = "\
name: train
tenant: sapporo
resources: {class: c, gpus: 1}
time_limit: 2h
run: {command: [\"true\"]}
";

    fn read(more: &str) -> Result<JobSpec, String> {
        let today = Date::parse("2026-11-22").unwrap();
        let spec = parse(&format!("{SPEC}{more}"), &Override::default(), today);
        spec.map_err(|failure| failure.detail)
    }

    fn at(day: &str, hour: u64) -> Timestamp {
        Timestamp::of_midnight_in_japan(Date::parse(day).unwrap()).plus_ms(hour * 3_600_000)
    }

    #[test]
    fn other_jobs_and_times_are_read() {
        let facts = read(
            "after:\n  - {job: prep, when: succeeded}\n  - {job: side, when: started}\n\
             not_before: 2027-04-01T02:00+09:00\nstart_by: 2027-04-02\n",
        );
        let facts = facts.unwrap().facts;
        let waits: Vec<_> = facts.awaits().map(|(on, when)| (on.to_string(), when)).collect();
        let prep = ("sapporo/prep".to_owned(), When::Succeeded);
        assert_eq!(waits, [prep, ("sapporo/side".to_owned(), When::Started)]);
        assert_eq!(facts.not_before, Some(at("2027-04-01", 2)));
        assert_eq!(facts.start_by, Some(at("2027-04-02", 0)));
        let facts = read("end_by: 2027-04-02\n").unwrap().facts;
        assert_eq!((facts.after.len(), facts.start_by), (0, Some(at("2027-04-01", 22))));
    }

    #[test]
    fn every_refusal_names_the_field_and_its_place() {
        for (more, detail) in [
            ("start_by: 2h\n", "line 6, column 11: start_by: must be a day"),
            ("not_before: 2027-02-30\n", "line 6, column 13: not_before: must be a day"),
            ("start_by: 2027-04-01\nend_by: 2027-04-02\n", "line 7, column 9: end_by: start_by is"),
            ("end_by: 1970-01-01\n", "line 6, column 9: end_by: must be later"),
            ("after: [{job: Prep, when: ended}]\n", "line 6, column 15: after.job: "),
            ("after: [{job: train, when: ended}]\n", "line 6, column 15: after: must not be"),
            ("after: [{job: prep, when: done}]\n", "line 6, column 2"),
            (
                "not_before: 2027-04-02\nend_by: 2027-04-02\n",
                "line 7, column 9: start_by: must be later than not_before",
            ),
        ] {
            let found = read(more).unwrap_err();
            assert!(found.starts_with(detail), "{found}");
        }
    }
}
