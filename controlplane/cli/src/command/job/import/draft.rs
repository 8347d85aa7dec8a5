//! What an import comes to before it is text: the spec's fields, and what of the input they do not say.
//!
//! Must hold: every bound of a spec that depends on one value of the input is checked here, so that the refusal names the place of
//! that value and not one in a spec that nobody wrote.

use crate::failure::Failure;
use sekisho_types::error_code::{ErrorCode, Language, Text};
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::limit::{GPUS_PER_TASK_MAX, GROUP_MAX, TIME_LIMIT_MAX};
use sekisho_types::name::Name;
use sekisho_types::payload::{CPU_MILLI, JobPayload, MEMORY_MIB};
use sekisho_types::time::Timestamp;
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
    pub(super) group: u32,
    pub(super) class: DeviceClass,
    pub(super) gpus: u32,
    /// Least memory of each GPU.
    pub(super) gpu_memory_gib: Option<u64>,
    pub(super) time_limit_s: u64,
    pub(super) not_before: Option<At>,
    pub(super) end_by: Option<At>,
    /// Its `memory_mib` is whole GiB.
    pub(super) run: JobPayload,
}

/// The device class of a type of GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassOf {
    /// As it is called in the input; none: GPUs of no named type.
    of: Option<String>,
    class: DeviceClass,
}

/// Reads `TYPE=CLASS` or `CLASS`.
///
/// # Errors
/// Why the class is no name.
pub fn class_of(text: &str) -> Result<ClassOf, String> {
    let (of, class) = match text.rsplit_once('=') {
        Some((of, class)) => (Some(of.to_owned()), class),
        None => (None, text),
    };
    if of.as_deref() == Some("") {
        return Err("must be TYPE=CLASS or CLASS".to_owned());
    }
    let class = class.parse::<DeviceClass>().map_err(|error| error.to_string())?;
    Ok(ClassOf { of, class })
}

/// What the command line says beside the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    pub(super) tenant: Option<TenantId>,
    pub(super) name: Option<String>,
    pub(super) classes: Vec<ClassOf>,
    pub(super) time_limit_s: Option<u64>,
}

impl Given {
    /// The device class of GPUs that the input calls `of`, which stands at `place`.
    pub(super) fn class(&self, of: Option<&str>, place: Place) -> Result<DeviceClass, Failure> {
        let mut named = self.classes.iter().filter(|known| known.of.as_deref() == of);
        if let Some(first) = named.next() {
            return match named.find(|other| other.class != first.class) {
                None => Ok(first.class.clone()),
                Some(other) => {
                    let why = format!(
                        "--class says {} and {} of the same GPUs",
                        first.class, other.class
                    );
                    Err(Failure::invalid(why))
                }
            };
        }
        let Some(of) = of else {
            let fix = "Give it: `--class CLASS`; `sekisho node list` shows the classes.";
            return Err(place.refuse("names no type of GPU").remedy(fix));
        };
        of.parse().map_err(|error| {
            let fix =
                format!("Give it: `--class {of}=CLASS`; `sekisho node list` shows the classes.");
            place.refuse(format!("the type of GPU is no device class: {error}")).remedy(fix)
        })
    }

    /// Whether the command line says the class of GPUs that the input calls `of`.
    pub(super) fn says(&self, of: &str) -> bool {
        self.classes.iter().any(|known| known.of.as_deref() == Some(of))
    }

    /// The same of shares of a device, which are of a class of shared ones.
    pub(super) fn shared_class(&self, of: &str, place: Place) -> Result<DeviceClass, Failure> {
        let class = self.class(Some(of), place)?;
        if class.is_shared() {
            return Ok(class);
        }
        let fix = format!(
            "Give one of shared devices: `--class {of}=CLASS`; `sekisho node list` shows the classes."
        );
        let why =
            format!("`{of}` is a share of a device, and those of class {class} are not shared");
        Err(place.refuse(why).remedy(fix))
    }

    /// The job's name: the one given, else the input's.
    pub(super) fn name(&self, written: Option<(&str, Place)>) -> Result<String, Failure> {
        if let Some(name) = &self.name {
            let checked = Name::parse(name);
            let name = checked.map_err(|error| Failure::invalid(format!("--name: {error}")))?;
            return Ok(name.as_str().to_owned());
        }
        let fix = "Give one: `--name NAME`.";
        let Some((name, place)) = written else {
            return Err(Failure::invalid("the job has no name").remedy(fix));
        };
        let checked = Name::parse(name);
        let name = checked
            .map_err(|error| place.refuse(format!("the job's name: {error}")).remedy(fix))?;
        Ok(name.as_str().to_owned())
    }

    /// The time limit: the input's, else the one given.
    pub(super) fn time_limit(&self, written: Option<(u64, Place)>) -> Result<u64, Failure> {
        let most = TIME_LIMIT_MAX.as_secs();
        let is_allowed = |seconds: u64| (1..=most).contains(&seconds);
        let fix = "Give one: `--time-limit TIME`, at most 30d.";
        match (written, self.time_limit_s) {
            (Some((seconds, _)), _) if is_allowed(seconds) => Ok(seconds),
            (Some((seconds, place)), _) => {
                Err(place.refuse(format!("a time limit of {seconds} s: must be 1 s to {most} s")))
            }
            (None, Some(seconds)) if is_allowed(seconds) => Ok(seconds),
            (None, Some(_)) => Err(Failure::invalid("--time-limit: must be 1s to 30d")),
            (None, None) => {
                let why = "there is no time limit, and every job has one";
                Err(Failure::invalid(why).remedy(fix))
            }
        }
    }
}

fn within(what: &str, value: u64, most: u32, place: Place) -> Result<u32, Failure> {
    let fits = u32::try_from(value).ok().filter(|value| (1..=most).contains(value));
    fits.ok_or_else(|| place.refuse(format!("{what}: {value}, must be 1 to {most}")))
}

/// Members of the group.
pub(super) fn group(value: u64, place: Place) -> Result<u32, Failure> {
    within("members of the group", value, GROUP_MAX, place)
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
