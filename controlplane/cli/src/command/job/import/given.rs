//! What the command line says beside the file: names that the input calls otherwise, and what it does not say.
//!
//! Must hold: nothing of another system is taken for something of ours by its looks; a person says that it is the same. Only a
//! name that can be one here stands for itself.

use super::draft::Place;
use crate::failure::Failure;
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::limit::TIME_LIMIT_MAX;
use sekisho_types::name::Name;
use sekisho_types::topology::{Over, Within};

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

/// The name here of a job that the input calls by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobOf {
    number: u32,
    name: Name,
}

/// Reads `NUMBER=JOB`.
///
/// # Errors
/// Why it is none.
pub fn job_of(text: &str) -> Result<JobOf, String> {
    let bad = "must be NUMBER=JOB";
    let (number, name) = text.split_once('=').ok_or(bad)?;
    let is_digits = number.bytes().all(|b| b.is_ascii_digit());
    let number = number.parse().ok().filter(|_| is_digits).ok_or(bad)?;
    Ok(JobOf { number, name: Name::parse(name).map_err(|error| error.to_string())? })
}

/// What a label of nodes, or a switch, is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelOf {
    label: String,
    over: Over,
}

/// Reads `LABEL=LEVEL`.
///
/// # Errors
/// Why it is none.
pub fn level_of(text: &str) -> Result<LevelOf, String> {
    let known = [Over::Rack, Over::Site, Over::Prefecture, Over::Operator];
    let found = text.rsplit_once('=').filter(|(label, _)| !label.is_empty());
    let found = found.and_then(|(label, level)| {
        let over = known.into_iter().find(|over| over.to_string() == level)?;
        Some(LevelOf { label: label.to_owned(), over })
    });
    found.ok_or_else(|| {
        "must be LABEL=LEVEL, and LEVEL rack, site, prefecture or operator".to_owned()
    })
}

/// What the command line says beside the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    pub(super) tenant: Option<TenantId>,
    pub(super) name: Option<String>,
    pub(super) classes: Vec<ClassOf>,
    pub(super) jobs: Vec<JobOf>,
    pub(super) levels: Vec<LevelOf>,
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

    /// The name of a job that the input calls by its number.
    pub(super) fn job(&self, number: u32) -> Option<&Name> {
        self.jobs.iter().find(|known| known.number == number).map(|known| &known.name)
    }

    /// What a label is that the input chooses or compares places by.
    pub(super) fn level(&self, label: &str) -> Option<Over> {
        self.levels.iter().find(|known| known.label == label).map(|known| known.over)
    }

    /// The same, where all members can be in one of it.
    pub(super) fn within(&self, label: &str) -> Option<Within> {
        match self.level(label)? {
            Over::Rack => Some(Within::Rack),
            Over::Site => Some(Within::Site),
            Over::Prefecture | Over::Operator => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_another_system_are_read_with_what_they_are_here() {
        assert_eq!(job_of("4711=prep").unwrap().number, 4711);
        assert_eq!(level_of("a/b=c=rack").unwrap().label, "a/b=c");
        for bad in ["", "4711", "x=prep", "+1=prep", "1=Prep", "=prep"] {
            assert!(job_of(bad).is_err(), "{bad}");
        }
        for bad in ["", "rack", "=rack", "switch=cabinet", "switch="] {
            assert!(level_of(bad).is_err(), "{bad}");
        }
        let levels = ["switch=rack", "zone=site", "region=prefecture"];
        let levels = levels.map(|level| level_of(level).unwrap()).to_vec();
        let given = Given { levels, ..Given::default() };
        assert_eq!(given.within("switch"), Some(Within::Rack));
        assert_eq!(given.within("zone"), Some(Within::Site));
        assert_eq!((given.within("region"), given.level("region")), (None, Some(Over::Prefecture)));
        assert_eq!(given.level("other"), None);
    }
}
