//! Jobs of the fixture.

use super::CLASS;
use crate::command::{Command, Item};
use sekisho_types::id::{Digest, JobId};
use sekisho_types::job::{JobFacts, Kind, OnDisconnect, OverLimit, Resources};
use sekisho_types::jurisdiction::Area;
use sekisho_types::rare::Rare;
use sekisho_types::residency::Rules;
use std::collections::BTreeSet;

/// The content that goes with a command: [`PAYLOAD`] of each job that it submits.
#[must_use]
pub fn payload_of(command: &Command) -> Vec<u8> {
    let submits = |item: &&Item| matches!(item, Item::SubmitJob { .. });
    let jobs = if let Command::Batch(items) = command {
        items.iter().filter(submits).count()
    } else {
        usize::from(matches!(command, Command::SubmitJob { .. } | Command::ReplaceJob { .. }))
    };
    PAYLOAD.repeat(jobs)
}

/// Payload of every job of the fixture.
pub const PAYLOAD: &[u8] = b"true";

/// Rules that allow `areas`; none = all of Japan.
#[must_use]
pub fn rules(areas: &[&str]) -> Rules {
    let areas: BTreeSet<Area> = areas.iter().map(|area| Area::resolve(area).unwrap()).collect();
    Rules { areas, ..Rules::default() }
}

/// Facts of a job `sapporo/NAME` of `group` members with `gpus` GPUs each, allowed in `areas`.
#[must_use]
pub fn job(name: &str, group: u32, gpus: u32, areas: &[&str]) -> JobFacts {
    JobFacts {
        id: JobId { tenant: "sapporo".parse().unwrap(), name: name.parse().unwrap(), task: None },
        kind: Kind::Batch,
        group,
        resources: Resources::of(CLASS.parse().unwrap(), gpus),
        topology: Rare::default(),
        priority: 50,
        policy: None,
        reservation: None,
        residency: rules(areas).into(),
        on_disconnect: OnDisconnect::Stop,
        over_limit: OverLimit::Queue,
        time_limit_s: 3600,
        after: Rare::default(),
        not_before: None,
        start_by: None,
        payload: Digest::of(PAYLOAD),
        payload_len: u32::try_from(PAYLOAD.len()).unwrap(),
        sealed_to: Rare::default(),
        area_only: false,
    }
}
