//! What an import comes to before it is text: the spec's fields, and what of the input they do not say.
//!
//! Must hold: every bound of a spec that depends on one value of the input is checked here, so that the refusal names the place of
//! that value and not one in a spec that nobody wrote.

use crate::failure::Failure;
use sekisho_types::error_code::{ErrorCode, Language, Text};
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::job::{After, Kind};
use sekisho_types::limit::{GPUS_PER_TASK_MAX, GROUP_MAX, TASKS_MAX};
use sekisho_types::name::Name;
use sekisho_types::payload::{CPU_MILLI, JobPayload, MEMORY_MIB};
use sekisho_types::time::Timestamp;
use sekisho_types::topology::Topology;
use std::fmt::Display;

/// MiB of a GiB.
pub(super) const MIB_PER_GIB: u64 = 1024;

/// Where something stands in the input; lines and columns from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl Place {
    /// A value that is wrong.
    pub(super) fn refuse(self, what: impl Display) -> Failure {
        Failure::invalid(format!("line {}, column {}: {what}", self.line, self.column))
    }

    /// Text that has not the form of what is imported.
    pub(super) fn syntax(self, what: impl Display) -> Failure {
        Failure { code: ErrorCode::SpecSyntax, ..self.refuse(what) }
    }
}

/// Why a part of the input is not carried over, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Why {
    en: String,
    ja: String,
}

impl Why {
    pub(super) fn new(en: impl Into<String>, ja: impl Into<String>) -> Self {
        Self { en: en.into(), ja: ja.into() }
    }

    pub(super) fn of(&self, language: Language) -> &str {
        match language {
            Language::En => &self.en,
            Language::Ja => &self.ja,
        }
    }
}

impl From<Text> for Why {
    fn from(text: Text) -> Self {
        Self::new(text.en, text.ja)
    }
}

/// A part of the input that the spec does not say, or says in another way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) place: Place,
    /// As it stands in the input.
    pub(super) quoted: String,
    pub(super) why: Why,
}

/// One spec, and what it does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// In the order of the input.
    pub(super) told: Vec<Told>,
    /// None: nothing of this part is a job.
    pub(super) draft: Option<Draft>,
}

/// An instant, and the text that says it in a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At {
    pub(super) text: String,
    pub(super) at: Timestamp,
}

/// A spec's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) tenant: Option<TenantId>,
    /// How often it runs.
    pub(super) kind: Kind,
    pub(super) group: u32,
    pub(super) class: DeviceClass,
    pub(super) gpus: u32,
    /// Least memory of each GPU.
    pub(super) gpu_memory_gib: Option<u64>,
    /// Without `near`.
    pub(super) topology: Topology,
    pub(super) reservation: Option<Name>,
    pub(super) time_limit_s: u64,
    /// Other jobs, each named once.
    pub(super) after: Vec<After>,
    pub(super) not_before: Option<At>,
    pub(super) end_by: Option<At>,
    /// Its `memory_mib` is whole GiB.
    pub(super) run: JobPayload,
}

pub(super) fn within(what: &str, value: u64, most: u32, place: Place) -> Result<u32, Failure> {
    let fits = u32::try_from(value).ok().filter(|value| (1..=most).contains(value));
    fits.ok_or_else(|| place.refuse(format!("{what}: {value}, must be 1 to {most}")))
}

/// Members of the group.
pub(super) fn group(value: u64, place: Place) -> Result<u32, Failure> {
    within("members of the group", value, GROUP_MAX, place)
}

/// Tasks of an array, and why they are fewer than there should be.
pub(super) fn tasks(all: u64) -> (u32, Option<Why>) {
    match u32::try_from(all).ok().filter(|tasks| *tasks <= TASKS_MAX) {
        Some(tasks) => (tasks, None),
        None => (
            TASKS_MAX,
            Some(Why::new(
                format!(
                    "an array has {TASKS_MAX} tasks at most: these are the first of {all}; write a spec of its own for the rest"
                ),
                format!(
                    "配列のタスクは最大 {TASKS_MAX} です。{all} 個のうち最初の分です。残りは別の仕様に分けてください"
                ),
            )),
        ),
    }
}

/// GPUs of a member, or its one share of a device.
pub(super) fn gpus(value: u64, class: &DeviceClass, place: Place) -> Result<u32, Failure> {
    let gpus = within("GPUs of a member", value, GPUS_PER_TASK_MAX, place)?;
    if class.is_shared() && gpus > 1 {
        return Err(place.refuse(format!("{gpus} shares of {class}: a member has one")));
    }
    Ok(gpus)
}

/// That a share was carried over as one.
pub(super) fn shared() -> Why {
    Why::new(
        "carried over as one share beside jobs of the same tenant: write `sharing: any` for those of others too; how many shares a device has, its host says",
        "同じテナントのジョブとの共有枠1つとして移しました。他テナントとの共有は `sharing: any` を指定してください。1台の枠数はホストの設定によります",
    )
}

/// Thousandths of a processor.
pub(super) fn cpus(milli: u64, place: Place) -> Result<u32, Failure> {
    let fits = u32::try_from(milli).ok().filter(|milli| CPU_MILLI.contains(milli));
    let bounds = || format!("{} to {} thousandths", CPU_MILLI.start(), CPU_MILLI.end());
    fits.ok_or_else(|| place.refuse(format!("processors of a member: must be {}", bounds())))
}

/// Main memory as a spec says it, in whole GiB: MiB, and whether it is more than was asked for.
pub(super) fn memory(mib: u64, place: Place) -> Result<(u64, bool), Failure> {
    let gib = mib.div_ceil(MIB_PER_GIB);
    let whole = gib.checked_mul(MIB_PER_GIB).filter(|whole| MEMORY_MIB.contains(whole));
    let most = MEMORY_MIB.end() / MIB_PER_GIB;
    let why = || place.refuse(format!("memory of a member: must be 1 to {most} GiB"));
    let whole = whole.ok_or_else(why)?;
    Ok((whole, whole != mib))
}

/// That memory was rounded up.
pub(super) fn rounded(mib: u64) -> Why {
    let gib = mib / MIB_PER_GIB;
    Why::new(
        format!("carried over as {gib} GiB: a spec counts whole GiB"),
        format!("{gib} GiB として移しました。仕様は GiB 単位です"),
    )
}
