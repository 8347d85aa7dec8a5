//! Where members stand to one another and to other jobs, as people write it in a job spec.
//!
//! Must hold: what is not written is not asked for; what contradicts itself is refused at its place in the file.

use super::refuse::at;
use super::{Places, named};
use crate::failure::Failure;
use sekisho_types::id::Mark;
use sekisho_types::topology::{Over, Spread, Topology, Within};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeSet;

/// As written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    within: Option<Spanned<RawWithin>>,
    spread: Option<Spanned<RawSpread>>,
    #[serde(default)]
    apart: Vec<Spanned<String>>,
    #[serde(default)]
    marks: Vec<Spanned<String>>,
    near: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawWithin {
    Rack,
    Site,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSpread {
    over: Spanned<RawOver>,
    at_least: Spanned<u32>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawOver {
    Operator,
    Prefecture,
    Site,
    Rack,
}

fn marks(field: &str, raw: &[Spanned<String>]) -> Result<BTreeSet<Mark>, Failure> {
    let mut marks = BTreeSet::new();
    for (index, mark) in raw.iter().enumerate() {
        let field = format!("topology.{field}[{index}]");
        if !marks.insert(named(&field, mark)?) {
            return Err(at(&mark.referenced, &field, &"must not stand there twice"));
        }
    }
    Ok(marks)
}

impl Raw {
    /// What it asks for.
    pub(super) fn read(&self) -> Result<Topology, Failure> {
        let within = self.within.as_ref().map(|within| match within.value {
            RawWithin::Rack => Within::Rack,
            RawWithin::Site => Within::Site,
        });
        let spread = self.spread.as_ref().map(|spread| {
            let over = match spread.value.over.value {
                RawOver::Operator => Over::Operator,
                RawOver::Prefecture => Over::Prefecture,
                RawOver::Site => Over::Site,
                RawOver::Rack => Over::Rack,
            };
            Spread { over, at_least: spread.value.at_least.value }
        });
        Ok(Topology {
            within,
            spread,
            apart: marks("apart", &self.apart)?,
            marks: marks("marks", &self.marks)?,
            near: self.near.as_ref().map(|site| named("topology.near", site)).transpose()?,
        })
    }

    /// Where its fields stand that are judged at the end.
    pub(super) fn places(&self, places: &mut Places) {
        if let Some(spread) = &self.spread {
            let raw = &spread.value;
            places.add("topology.spread", spread.referenced);
            places.add("topology.spread.over", raw.over.referenced);
            places.add("topology.spread.at_least", raw.at_least.referenced);
        }
        for (field, marks) in [("topology.apart", &self.apart), ("topology.marks", &self.marks)] {
            if let Some(first) = marks.first() {
                places.add(field, first.referenced);
            }
        }
    }
}
