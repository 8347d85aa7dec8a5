//! The name, labels and annotations of an object, and what Kueue reads of them.

use super::super::draft::{Place, Told, Why};
use super::tree::{Entry, Fields, Word};
use super::{Limit, reason};
use crate::failure::Failure;

/// Label by which Kueue takes a Job in, all of its Pods at once.
const QUEUE: &str = "kueue.x-k8s.io/queue-name";
/// Label by which Kueue ends a Job that ran for so many seconds.
const MAX_EXEC: &str = "kueue.x-k8s.io/max-exec-time-seconds";
/// Annotation by which Kueue places all Pods in one domain of a level.
const REQUIRED: &str = "kueue.x-k8s.io/podset-required-topology";

/// What stands beside an object.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    pub(super) name: Option<Word>,
    /// Labels with their values.
    labels: Vec<(String, String)>,
    /// Kueue admits all of it at once.
    pub(super) queued: bool,
    max_exec: Option<Limit>,
    /// The level of which all Pods have to be in one, and how that is told if no spec says it.
    pub(super) required: Option<(String, Told)>,
}

impl Metadata {
    /// Takes an object's name and labels; what else stands there is told.
    pub(super) fn read(object: &mut Fields, told: &mut Vec<Told>) -> Result<Self, Failure> {
        let mut fields = object.fields("metadata")?;
        let mut found = Self { name: fields.text("name")?, ..Self::default() };
        for key in ["labels", "annotations"] {
            let mut rows = fields.fields(key)?;
            for entry in &rows.take_all() {
                found.note(&rows, entry, told)?;
            }
        }
        fields.rest(told);
        Ok(found)
    }

    /// The same of a template, whose own name is told.
    pub(super) fn of_template(
        template: &mut Fields,
        told: &mut Vec<Told>,
    ) -> Result<Self, Failure> {
        let found = Self::read(template, told)?;
        if let Some(name) = &found.name {
            let why = Why::new(
                "the job has the object's own name",
                "ジョブ名にはオブジェクト自身の名前を使います",
            );
            let quoted = format!("{}.metadata.name: {}", template.path, name.text);
            told.push(Told { place: name.place, quoted, why });
        }
        Ok(found)
    }

    fn note(&mut self, rows: &Fields, entry: &Entry, told: &mut Vec<Told>) -> Result<(), Failure> {
        let text = entry.node.scalar().unwrap_or_default();
        let tell = rows.tell(entry, reason::of_label(&entry.key));
        match entry.key.as_str() {
            MAX_EXEC => {
                let Ok(seconds) = text.parse::<u64>() else {
                    let why = format!("{}: must be seconds", rows.path_of(MAX_EXEC));
                    return Err(entry.node.place.refuse(why));
                };
                let place: Place = entry.node.place;
                self.max_exec = Some(Limit { seconds, place, quoted: tell.quoted });
            }
            REQUIRED => self.required = Some((text, tell)),
            key => {
                self.queued |= key == QUEUE;
                told.push(tell);
                self.labels.push((entry.key.clone(), text));
            }
        }
        Ok(())
    }

    /// Kueue's time limit.
    pub(super) fn max_exec(&self) -> Option<Limit> {
        self.max_exec.clone()
    }

    /// Whether it bears a label.
    pub(super) fn bears(&self, key: &str, value: &str) -> bool {
        self.labels.iter().any(|(known, is)| known == key && is == value)
    }

    /// Tells the topology that Kueue requires, where nothing took it.
    pub(super) fn tell_required(&self, told: &mut Vec<Told>) {
        told.extend(self.required.iter().map(|(_, tell)| tell.clone()));
    }
}
