//! How often a command begins again within its placement, by `restartPolicy` and `backoffLimit`.

use super::super::draft::{Place, Told, Why};
use super::tree::{Fields, Word};
use crate::failure::Failure;
use crate::spec::RESTART_DELAY_S;
use sekisho_types::payload::{RESTARTS_MAX, Restart};

/// Failures after which a Job gives up that names no number: the API's own.
const BACKOFF_LIMIT: u64 = 6;

/// Failures after which a Job gives up, or an index of it.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    attempts: u64,
    /// Where and how it is written.
    written: Option<(String, Place)>,
}

impl Backoff {
    /// Takes the limit: that of each index counts for each task, where there is one.
    pub(super) fn read(spec: &mut Fields, indexed: bool) -> Result<Self, Failure> {
        let each = if indexed { spec.count("backoffLimitPerIndex")? } else { None };
        let key = if each.is_some() { "backoffLimitPerIndex" } else { "backoffLimit" };
        let found = if each.is_some() { each } else { spec.count("backoffLimit")? };
        let written = |(count, place)| (format!("{}: {count}", spec.path_of(key)), place);
        Ok(Self {
            attempts: found.map_or(BACKOFF_LIMIT, |(count, _)| count),
            written: found.map(written),
        })
    }
}

/// Restarts of a Job's members.
pub(super) fn of_job(
    policy: Option<&Word>,
    backoff: &Backoff,
    place: Place,
    told: &mut Vec<Told>,
) -> Result<Restart, Failure> {
    let must = "restartPolicy: of a Job must be Never or OnFailure";
    let policy = policy.ok_or_else(|| place.refuse(must))?;
    let attempts = backoff.attempts;
    match policy.text.as_str() {
        "OnFailure" => {}
        "Never" if attempts == 0 => {}
        "Never" => {
            let why = Why::new(
                "a Job makes a new Pod for each attempt: here the command begins again in the same placement, where files of the attempt before still are",
                "Job は試行ごとに Pod を作り直しますが、ここでは同じ配置の中で再開し、前回のファイルが残ります",
            );
            let quoted = "restartPolicy: Never".to_owned();
            told.push(Told { place: policy.place, quoted, why });
        }
        _ => return Err(policy.place.refuse(must)),
    }
    if attempts == 0 {
        return Ok(Restart::Never);
    }
    let fits = u32::try_from(attempts).ok().filter(|attempts| *attempts <= RESTARTS_MAX);
    if let (None, Some((quoted, place))) = (fits, backoff.written.clone()) {
        told.push(Told { place, quoted, why: most_restarts() });
    }
    let attempts = fits.unwrap_or(RESTARTS_MAX);
    Ok(Restart::OnFailure { attempts, delay_s: RESTART_DELAY_S })
}

fn most_restarts() -> Why {
    Why::new(
        format!(
            "carried over as {RESTARTS_MAX} restarts after failures, the most that a spec says"
        ),
        format!("失敗時の再開 {RESTARTS_MAX} 回として移しました。仕様に書ける最大です"),
    )
}

/// Restarts of a Pod that stands alone: the API's default is Always.
pub(super) fn of_pod(
    policy: Option<&Word>,
    place: Place,
    told: &mut Vec<Told>,
) -> Result<Restart, Failure> {
    let place = policy.map_or(place, |policy| policy.place);
    let why = match policy.map_or("Always", |policy| policy.text.as_str()) {
        "Never" => return Ok(Restart::Never),
        "OnFailure" => most_restarts(),
        "Always" => Why::new(
            format!(
                "a job ends with exit code 0: carried over as {RESTARTS_MAX} restarts after failures"
            ),
            format!(
                "ジョブは終了コード 0 で終わります。失敗時の再開 {RESTARTS_MAX} 回として移しました"
            ),
        ),
        other => {
            let why = format!("restartPolicy: `{other}` is none of Always, OnFailure, Never");
            return Err(place.refuse(why));
        }
    };
    let written = policy.map_or("Always, as it is not written", |policy| policy.text.as_str());
    told.push(Told { place, quoted: format!("spec.restartPolicy: {written}"), why });
    Ok(Restart::OnFailure { attempts: RESTARTS_MAX, delay_s: RESTART_DELAY_S })
}
