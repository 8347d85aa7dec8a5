//! The job spec: what a tenant writes in YAML (JSON is YAML too), and its one reading.
//!
//! ```yaml
//! name: train-01            # unique in the tenant; a-z, 0-9, `-`
//! tenant: sapporo           # or --tenant
//! array: {tasks: 100, at_most: 10}   # so many alike, so many of them at once; or
//! service: {replicas: 2, surge: 1}   # so many at all times, one more while one is replaced; without either it runs once
//! group: 1                  # members, all or nothing, each on a node of its own; 1 to 1024
//! resources:
//!   class: h100-80g         # device class: sekisho node list
//!   gpus: 2                 # of each member, 1 to 16
//!   memory_gib: 0           # least memory of each GPU; 0 = any
//!   units: 0                # least compute slices of each GPU; 0 = any
//!   sharing: alone          # of a class of shared devices: tenant, or any
//! topology:                 # where the members stand to one another; without it, near together where there is room
//!   within: site            # all at one site, or in one rack; default: anywhere
//!   spread: {over: rack, at_least: 2}  # operator, prefecture, site or rack: so many different ones, none with more than its
//!                           # share
//!   apart: [web]            # on no node of another job of the tenant with one of these marks
//!   marks: [train]          # what this job is known by to those that keep apart from it
//!   near: tokyo-1           # the site of the dataset: its places are taken first
//! priority: 50              # 0 to 100
//! policy: hokkaido-only     # a named policy that binds this job beside its tenant's
//! reservation: night        # one of its tenant's, or of a tenant above: placed only out of what that holds
//! residency:                # only narrows: Japan and the tenant's policy bind in any case
//!   areas: [JP-01, 北海道札幌市, Otaru-shi, "012351"]  # codes, or names in any spelling
//!   denied_areas: []
//!   operators: []           # empty = any
//!   denied_operators: []
//!   country_tier: T1        # T1, T2 or T3
//!   area_tier: T1
//! on_disconnect: stop       # or run_to_completion
//! over_limit: queue         # or reject
//! time_limit: 2h            # required; 1s to 30d
//! after:                    # other jobs of the tenant, each with what has to become of it before this one is queued
//!   - {job: prep, when: succeeded}  # started, succeeded, failed or ended
//! not_before: 2027-04-01T02:00+09:00  # not queued earlier; a day, or an instant with its zone
//! start_by: 2027-04-02      # fails unless it is placed before; or:
//! end_by: 2027-04-02        # the same, one time_limit earlier
//! payload: sealed           # sealed: only the sites that may run it can read `run`; area-only: so, and it lies with members
//!                           # inside `residency` alone; plain: every member can; default: sealed, once each of those sites
//!                           # has a key
//! run:
//!   command: [python, train.py]
//!   env: {EPOCHS: "3"}
//!   working_dir: project
//!   memory_gib: 64          # main memory that each member may use; over it the kernel ends it: `out of memory`
//!   cpus: 7.5               # processors that each member may keep busy, to a thousandth
//!   restart:                # within the same placement and time limit; default: never
//!     policy: on-failure    # any end but exit code 0
//!     attempts: 3           # 1 to 100
//!     delay: 10s            # before the first, doubled for each further one; 1s to 1h
//! ```
//!
//! Must hold: an unknown field is refused, never ignored: a misspelt residency rule would widen; every refusal names
//! the field and its line and column. The facts are all that the log sees; what it runs is the payload beside them.

mod kind;
pub(crate) mod refuse;
pub mod residency;
mod start;
mod topology;

use crate::duration;
use crate::failure::{Failure, of_file};
use refuse::{at, refuse_read};
use sekisho_evidence::canonical::encode;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, JobId, TenantId};
use sekisho_types::job::{JobFacts, OnDisconnect, OverLimit, Resources};
use sekisho_types::limit::PAYLOAD_MAX;
use sekisho_types::payload::{JobPayload, Restart};
use sekisho_types::rare::Rare;
use sekisho_types::sharing::Sharing;
use sekisho_types::time::Date;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::str::FromStr;

/// Largest spec file, bytes: a payload may have 64 KiB, and its YAML may quote every byte of it.
pub const SPEC_MAX: usize = 256 * 1024;

/// Priority of a job that names none: the middle of 0 to 100.
pub const PRIORITY: u8 = 50;

/// Restarts of a job that asks for them and names no number.
pub const RESTART_ATTEMPTS: u32 = 3;
/// Seconds before the first restart of a job that names no delay.
pub const RESTART_DELAY_S: u32 = 10;

const MIB_PER_GIB: u64 = 1024;

/// A job as submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// What the log sees.
    pub facts: JobFacts,
    /// What it runs: canonical bytes of a [`JobPayload`].
    pub payload: Vec<u8>,
    /// Who may read that.
    pub sealing: Sealing,
    /// The variable that looks as if it held a secret, and where it stands; then it is sealed or not sent at all.
    pub secret: Option<String>,
}

/// Who can read what a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sealing {
    /// The sites that may run it, once each of them has a key; before, every member.
    #[default]
    Auto,
    /// Only the sites that may run it and have a key.
    Sealed,
    /// The same, and the ciphertext lies with members at those of them that stand wholly inside the job's area.
    AreaOnly,
    /// Every member.
    Plain,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: Spanned<String>,
    tenant: Option<Spanned<String>>,
    array: Option<Spanned<kind::RawArray>>,
    service: Option<Spanned<kind::RawService>>,
    group: Option<Spanned<u32>>,
    resources: RawResources,
    topology: Option<topology::Raw>,
    priority: Option<Spanned<u8>>,
    policy: Option<Spanned<String>>,
    reservation: Option<Spanned<String>>,
    residency: Option<residency::Raw>,
    on_disconnect: Option<Disconnect>,
    over_limit: Option<Over>,
    time_limit: Spanned<String>,
    after: Option<Vec<start::RawAfter>>,
    not_before: Option<Spanned<String>>,
    start_by: Option<Spanned<String>>,
    end_by: Option<Spanned<String>>,
    payload: Option<Spanned<RawSealing>>,
    run: Spanned<Run>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawSealing {
    Sealed,
    Plain,
    AreaOnly,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawResources {
    class: Spanned<String>,
    gpus: Spanned<u32>,
    memory_gib: Option<Spanned<u64>>,
    units: Option<Spanned<u32>>,
    sharing: Option<Spanned<RawSharing>>,
}

/// In place of being alone on its GPU, which is what a spec says that says nothing.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawSharing {
    Alone,
    Tenant,
    Any,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Disconnect {
    Stop,
    RunToCompletion,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Over {
    Queue,
    Reject,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    command: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    working_dir: Option<String>,
    memory_gib: Option<Spanned<u64>>,
    cpus: Option<Spanned<String>>,
    restart: Option<RawRestart>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRestart {
    policy: RestartPolicy,
    attempts: Option<Spanned<u32>>,
    delay: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum RestartPolicy {
    #[serde(rename = "never")]
    Never,
    #[serde(rename = "on-failure", alias = "on_failure")]
    OnFailure,
}

/// What the command line says in place of the file.
#[derive(Debug, Clone, Default)]
pub struct Override {
    /// Tenant of a spec that names none; must agree with one that does.
    pub tenant: Option<TenantId>,
    /// In place of the spec's name, to submit one file many times.
    pub name: Option<String>,
}

/// The text of a file, `-` = stdin; one byte more than any may have, at most.
///
/// # Errors
/// `INVALID_ARGUMENT` if it cannot be read.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let limit = u64::try_from(SPEC_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    let result = if path == Path::new("-") {
        std::io::stdin().take(limit).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    result.map_err(|error| of_file(path, &error))?;
    Ok(text)
}

/// Reads a spec. `today` decides which area codes are valid.
///
/// # Errors
/// `SPEC_SYNTAX`, `SPEC_UNKNOWN_FIELD`, `AREA_UNKNOWN`, `AREA_AMBIGUOUS`, `AREA_RETIRED`, `RESIDENCY_OUTSIDE_JP`,
/// `POLICY_TIER`, `TOO_LARGE`, `SECRET_REFUSED` or `INVALID_ARGUMENT`, each with line and column where it has one.
pub fn parse(text: &str, over: &Override, today: Date) -> Result<JobSpec, Failure> {
    if text.len() > SPEC_MAX {
        return Err(Failure::new(
            ErrorCode::TooLarge,
            format!("a spec has at most {SPEC_MAX} bytes"),
        ));
    }
    let raw: Raw = serde_saphyr::from_str(text).map_err(|error| refuse_read(&error))?;
    let places = Places::of(&raw);
    let sealing = sealing(raw.payload.as_ref());
    let (payload, secret) = payload(&raw.run, sealing)?;
    let residency = raw.residency.map_or_else(
        || Ok(sekisho_types::residency::Rules::default()),
        |rules| rules.read("residency", today),
    )?;
    let name = over.name.as_deref().map_or_else(
        || named("name", &raw.name),
        |name| name.parse().map_err(|error| Failure::invalid(format!("--name: {error}"))),
    )?;
    let time_limit_s = duration::seconds(&raw.time_limit.value)
        .map_err(|error| at(&raw.time_limit.referenced, "time_limit", &error))?;
    let start_by = start::start_by(raw.start_by.as_ref(), raw.end_by.as_ref(), time_limit_s)?;
    let facts = JobFacts {
        id: JobId { tenant: tenant(raw.tenant.as_ref(), over)?, name, task: None },
        kind: kind::read(raw.array.as_ref(), raw.service.as_ref())?,
        group: raw.group.map_or(1, |group| group.value),
        resources: Resources {
            class: named("resources.class", &raw.resources.class)?,
            gpus: raw.resources.gpus.value,
            memory_mib: mib("resources.memory_gib", raw.resources.memory_gib.as_ref())?
                .unwrap_or(0),
            units: raw.resources.units.map_or(0, |units| units.value),
            sharing: sharing(raw.resources.sharing.as_ref()),
        },
        topology: raw.topology.unwrap_or_default().read()?.into(),
        priority: raw.priority.map_or(PRIORITY, |priority| priority.value),
        policy: raw.policy.map(|policy| named("policy", &policy)).transpose()?,
        reservation: raw.reservation.map(|name| named("reservation", &name)).transpose()?,
        residency: residency.into(),
        on_disconnect: match raw.on_disconnect.unwrap_or(Disconnect::Stop) {
            Disconnect::Stop => OnDisconnect::Stop,
            Disconnect::RunToCompletion => OnDisconnect::RunToCompletion,
        },
        over_limit: match raw.over_limit.unwrap_or(Over::Queue) {
            Over::Queue => OverLimit::Queue,
            Over::Reject => OverLimit::Reject,
        },
        time_limit_s,
        after: start::after(raw.after.unwrap_or_default())?.into(),
        not_before: raw.not_before.map(|at| start::instant("not_before", &at)).transpose()?,
        start_by,
        payload: Digest::of(&payload),
        payload_len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
        sealed_to: Rare::default(),
        area_only: sealing == Sealing::AreaOnly,
    };
    facts.check().map_err(|error| places.at(&error.field, &error.must))?;
    Ok(JobSpec { facts, payload, sealing, secret })
}

/// Where the fields stand that are judged together at the end.
struct Places(Vec<(&'static str, Location)>);

impl Places {
    fn of(raw: &Raw) -> Self {
        let mut places = vec![
            ("resources.gpus", raw.resources.gpus.referenced),
            ("time_limit", raw.time_limit.referenced),
            ("run", raw.run.referenced),
        ];
        // Of a class of shared devices it is missing, else it is too much.
        let sharing = raw.resources.sharing.as_ref().map(|sharing| sharing.referenced);
        let class = raw.resources.class.referenced;
        places.push(("resources.sharing", sharing.unwrap_or(class)));
        places.extend(kind::places(raw.array.as_ref(), raw.service.as_ref()));
        places.extend(raw.group.as_ref().map(|group| ("group", group.referenced)));
        places.extend(raw.priority.as_ref().map(|priority| ("priority", priority.referenced)));
        let by = raw.start_by.as_ref().or(raw.end_by.as_ref());
        places.extend(by.map(|by| ("start_by", by.referenced)));
        let first = raw.after.as_ref().and_then(|after| after.first());
        places.extend(first.map(|first| ("after", first.place())));
        let mut places = Self(places);
        raw.topology.iter().for_each(|topology| topology.places(&mut places));
        places
    }

    fn add(&mut self, field: &'static str, place: Location) {
        self.0.push((field, place));
    }

    fn at(&self, field: &str, must: &str) -> Failure {
        let place = self.0.iter().find(|(name, _)| *name == field).map(|(_, place)| *place);
        at(&place.unwrap_or(Location::UNKNOWN), field, &must)
    }
}

fn named<T>(field: &str, text: &Spanned<String>) -> Result<T, Failure>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.value.parse().map_err(|error: T::Err| at(&text.referenced, field, &error))
}

fn tenant(raw: Option<&Spanned<String>>, over: &Override) -> Result<TenantId, Failure> {
    let written: Option<TenantId> = raw.map(|tenant| named("tenant", tenant)).transpose()?;
    match (written, &over.tenant) {
        (Some(written), Some(asked)) if written != *asked => {
            let place = raw.map_or(Location::UNKNOWN, |tenant| tenant.referenced);
            Err(at(&place, "tenant", &format!("is {written}, but --tenant says {asked}")))
        }
        (Some(tenant), _) => Ok(tenant),
        (None, Some(tenant)) => Ok(tenant.clone()),
        (None, None) => Err(Failure::invalid("tenant: is missing; write it or give --tenant")),
    }
}

fn mib(field: &str, raw: Option<&Spanned<u64>>) -> Result<Option<u64>, Failure> {
    let Some(gib) = raw else { return Ok(None) };
    let mib = gib.value.checked_mul(MIB_PER_GIB);
    mib.map(Some).ok_or_else(|| at(&gib.referenced, field, &"is too large"))
}

/// Processors in thousandths. Read as text, since `0.1` has no exact binary form.
fn milli(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || part.len() > 3 || text.ends_with('.') || !digits(whole) || !digits(part)
    {
        return None;
    }
    let part: u32 = format!("{part:0<3}").parse().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(part)
}

fn restart(raw: Option<&RawRestart>) -> Result<Restart, Failure> {
    let Some(raw) = raw else { return Ok(Restart::Never) };
    if raw.policy == RestartPolicy::Never {
        let given = raw.attempts.as_ref().map(|attempts| ("attempts", attempts.referenced));
        let given = given.or_else(|| raw.delay.as_ref().map(|delay| ("delay", delay.referenced)));
        return match given {
            Some((field, place)) => {
                Err(at(&place, &format!("run.restart.{field}"), &"has no meaning with `never`"))
            }
            None => Ok(Restart::Never),
        };
    }
    let delay = raw.delay.as_ref().map(|delay| {
        let seconds = duration::seconds(&delay.value).map_err(|error| error.to_string());
        let seconds = seconds
            .and_then(|seconds| u32::try_from(seconds).map_err(|_large| "is too long".to_owned()));
        seconds.map_err(|error| at(&delay.referenced, "run.restart.delay", &error))
    });
    Ok(Restart::OnFailure {
        attempts: raw.attempts.as_ref().map_or(RESTART_ATTEMPTS, |attempts| attempts.value),
        delay_s: delay.transpose()?.unwrap_or(RESTART_DELAY_S),
    })
}

fn sharing(raw: Option<&Spanned<RawSharing>>) -> Sharing {
    match raw.map(|raw| raw.value) {
        None | Some(RawSharing::Alone) => Sharing::Alone,
        Some(RawSharing::Tenant) => Sharing::Tenant,
        Some(RawSharing::Any) => Sharing::Any,
    }
}

fn sealing(raw: Option<&Spanned<RawSealing>>) -> Sealing {
    match raw.map(|raw| raw.value) {
        None => Sealing::Auto,
        Some(RawSealing::Sealed) => Sealing::Sealed,
        Some(RawSealing::Plain) => Sealing::Plain,
        Some(RawSealing::AreaOnly) => Sealing::AreaOnly,
    }
}

/// Canonical bytes of the payload, and what in it looks like a secret.
fn payload(run: &Spanned<Run>, sealing: Sealing) -> Result<(Vec<u8>, Option<String>), Failure> {
    let Run { command, env, working_dir, memory_gib, cpus, restart: again } = &run.value;
    let cpu_milli = cpus.as_ref().map(|cpus| {
        let why = "must be a number of processors like 4 or 2.5, with at most three decimals";
        milli(&cpus.value).ok_or_else(|| at(&cpus.referenced, "run.cpus", &why))
    });
    let payload = JobPayload {
        command: command.clone(),
        env: env.clone(),
        working_dir: working_dir.clone(),
        memory_mib: mib("run.memory_gib", memory_gib.as_ref())?,
        cpu_milli: cpu_milli.transpose()?,
        restart: restart(again.as_ref())?,
    };
    // First: the size has a code of its own, the other bounds have not.
    let bytes = encode(&payload).map_err(|error| Failure::invalid(format!("run: {error}")))?;
    if bytes.len() > PAYLOAD_MAX {
        let why = format!("has {} bytes, at most {PAYLOAD_MAX} are allowed", bytes.len());
        let mut failure = at(&run.referenced, "run", &why);
        failure.code = ErrorCode::TooLarge;
        return Err(failure);
    }
    payload.check().map_err(|error| at(&run.referenced, &error.field, &error.must))?;
    let Some(variable) = payload.suspicious_secret() else { return Ok((bytes, None)) };
    let field = format!("run.env.{variable}");
    let mut failure = at(&run.referenced, &field, &"looks like a secret");
    if sealing == Sealing::Plain {
        failure.code = ErrorCode::SecretRefused;
        return Err(failure);
    }
    Ok((bytes, Some(failure.detail)))
}

#[cfg(test)]
mod tests;
