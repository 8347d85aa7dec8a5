//! Where members of a group stand to one another and to other jobs.
//!
//! Must hold: an absent message and one that says nothing are the same; what contradicts itself the job's facts refuse.

use crate::field::{FieldError, FieldResult, parsed};
use crate::name::Resource as _;
use crate::v1::{self, topology};
use sekisho_types::id::{Mark, SiteId};
use sekisho_types::limit::MARKS_MAX;
use sekisho_types::topology::{Over, Spread, Topology, Within};
use std::collections::BTreeSet;

fn within(value: i32) -> FieldResult<Option<Within>> {
    match topology::Within::try_from(value) {
        Ok(topology::Within::Unspecified) => Ok(None),
        Ok(topology::Within::Rack) => Ok(Some(Within::Rack)),
        Ok(topology::Within::Site) => Ok(Some(Within::Site)),
        Err(_unknown) => Err(FieldError::new("within", "must be RACK or SITE")),
    }
}

fn over(value: i32) -> FieldResult<Over> {
    match topology::Over::try_from(value) {
        Ok(topology::Over::Operators) => Ok(Over::Operator),
        Ok(topology::Over::Prefectures) => Ok(Over::Prefecture),
        Ok(topology::Over::Sites) => Ok(Over::Site),
        Ok(topology::Over::Racks) => Ok(Over::Rack),
        Ok(topology::Over::Unspecified) | Err(_) => {
            let must = "must be OPERATORS, PREFECTURES, SITES or RACKS";
            Err(FieldError::new("spread.over", must))
        }
    }
}

/// Each mark once, in any order.
fn marks(field: &str, entries: &[String]) -> FieldResult<BTreeSet<Mark>> {
    if entries.len() > MARKS_MAX {
        let must = format!("must have at most {MARKS_MAX} entries");
        return Err(FieldError::new(field, must));
    }
    let mut marks = BTreeSet::new();
    for (index, entry) in entries.iter().enumerate() {
        let field = format!("{field}[{index}]");
        if !marks.insert(parsed::<Mark>(&field, entry)?) {
            return Err(FieldError::new(field, "must not stand there twice"));
        }
    }
    Ok(marks)
}

/// Reads the `topology` of a job.
pub(crate) fn read(message: Option<&v1::Topology>) -> FieldResult<Topology> {
    let Some(message) = message else { return Ok(Topology::default()) };
    given(message).map_err(|error| error.within("topology"))
}

fn given(message: &v1::Topology) -> FieldResult<Topology> {
    let spread = message.spread.as_ref().map(|spread| {
        Ok::<_, FieldError>(Spread { over: over(spread.over)?, at_least: spread.at_least })
    });
    let near = (!message.near.is_empty()).then(|| SiteId::from_field("near", &message.near));
    Ok(Topology {
        within: within(message.within)?,
        spread: spread.transpose()?,
        apart: marks("apart", &message.apart)?,
        marks: marks("marks", &message.marks)?,
        near: near.transpose()?,
    })
}

/// The message; absent if the job asks for nothing.
pub(crate) fn message(asked: &Topology) -> Option<v1::Topology> {
    if *asked == Topology::default() {
        return None;
    }
    let within = match asked.within {
        None => topology::Within::Unspecified,
        Some(Within::Rack) => topology::Within::Rack,
        Some(Within::Site) => topology::Within::Site,
    };
    let spread = asked.spread.map(|spread| {
        let over = match spread.over {
            Over::Operator => topology::Over::Operators,
            Over::Prefecture => topology::Over::Prefectures,
            Over::Site => topology::Over::Sites,
            Over::Rack => topology::Over::Racks,
        };
        topology::Spread { over: over.into(), at_least: spread.at_least }
    });
    Some(v1::Topology {
        within: within.into(),
        spread,
        apart: asked.apart.iter().map(Mark::to_string).collect(),
        marks: asked.marks.iter().map(Mark::to_string).collect(),
        near: asked.near.as_ref().map(SiteId::name).unwrap_or_default(),
    })
}

/// The domain's words of a message, for whoever shows it; `None` for one that this program does not know in full.
#[must_use]
pub fn known(message: Option<&v1::Topology>) -> Option<Topology> {
    read(message).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn topology() -> Topology {
        Topology {
            within: Some(Within::Site),
            spread: Some(Spread { over: Over::Rack, at_least: 2 }),
            apart: ["web", "db"].map(|mark| mark.parse().unwrap()).into(),
            marks: ["train".parse().unwrap()].into(),
            near: Some("tokyo-1".parse().unwrap()),
        }
    }

    #[test]
    fn what_a_job_asks_for_round_trips_and_nothing_is_absent() {
        assert_eq!(message(&Topology::default()), None);
        assert_eq!(read(None), Ok(Topology::default()));
        assert_eq!(read(Some(&v1::Topology::default())), Ok(Topology::default()));
        let overs = [Over::Operator, Over::Prefecture, Over::Site, Over::Rack];
        for over in overs {
            let spread = Some(Spread { over, at_least: 2 });
            for within in [None, Some(Within::Rack), Some(Within::Site)] {
                let asked = Topology { within, spread, ..topology() };
                assert_eq!(read(message(&asked).as_ref()), Ok(asked));
            }
        }
    }

    #[test]
    fn every_bad_field_is_named() {
        let refused = |change: &dyn Fn(&mut v1::Topology)| {
            let mut message = message(&topology()).unwrap();
            change(&mut message);
            assert_eq!(known(Some(&message)), None);
            read(Some(&message)).unwrap_err().field
        };
        assert_eq!(refused(&|m| m.within = 9), "topology.within");
        for over in [0, 9] {
            let spread = |m: &mut v1::Topology| {
                m.spread = Some(topology::Spread { over, at_least: 2 });
            };
            assert_eq!(refused(&spread), "topology.spread.over");
        }
        assert_eq!(refused(&|m| m.apart.push("Web".into())), "topology.apart[2]");
        assert_eq!(refused(&|m| m.marks.push("train".into())), "topology.marks[1]");
        assert_eq!(refused(&|m| m.marks = vec!["a".into(); MARKS_MAX + 1]), "topology.marks");
        assert_eq!(refused(&|m| m.near = "tokyo-1".into()), "topology.near");
        // What the message alone does not show, the facts do: a group of one is spread over nothing.
        let spec = v1::JobSpec {
            device_class: "h200".into(),
            gpus: 1,
            time_limit_s: 60,
            payload_sha256: "ab".repeat(32),
            topology: message(&topology()),
            ..v1::JobSpec::default()
        };
        let error = crate::convert::job::facts("acme/train".parse().unwrap(), &spec).unwrap_err();
        assert_eq!(error.field, "spec.topology.spread.at_least");
    }
}
