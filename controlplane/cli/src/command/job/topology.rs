//! Where a job's members stand to one another and to other jobs, as it is shown.

use crate::command::short;
use crate::language::pick;
use sekisho_proto::convert::topology::known;
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::Mark;
use sekisho_types::topology::{Over, Topology, Within};
use serde::Serialize;
use std::collections::BTreeSet;

#[derive(Debug, Serialize)]
struct SpreadView {
    over: String,
    at_least: u32,
}

/// What a job asks for, in the words of its spec.
#[derive(Debug, Serialize)]
pub(super) struct TopologyView {
    within: Option<String>,
    spread: Option<SpreadView>,
    apart: Vec<String>,
    marks: Vec<String>,
    near: Option<String>,
    #[serde(skip)]
    asked: Option<Topology>,
}

impl From<v1::Topology> for TopologyView {
    fn from(message: v1::Topology) -> Self {
        let asked = known(Some(&message));
        let topology = asked.clone().unwrap_or_default();
        let spread = topology
            .spread
            .map(|spread| SpreadView { over: spread.over.to_string(), at_least: spread.at_least });
        Self {
            within: topology.within.map(|within| within.to_string()),
            spread,
            apart: message.apart,
            marks: message.marks,
            near: Some(short(&message.near).to_owned()).filter(|near| !near.is_empty()),
            asked,
        }
    }
}

fn over(language: Language, over: Over) -> &'static str {
    match over {
        Over::Operator => pick(language, "operators", "事業者"),
        Over::Prefecture => pick(language, "prefectures", "都道府県"),
        Over::Site => pick(language, "sites", "拠点"),
        Over::Rack => pick(language, "racks", "ラック"),
    }
}

impl TopologyView {
    /// For people, in one cell.
    pub(super) fn cell(&self, language: Language) -> String {
        let Some(asked) = &self.asked else {
            return pick(language, "of a newer program", "新しい版の指定").to_owned();
        };
        let mut parts: Vec<String> = Vec::new();
        parts.extend(asked.within.map(|within| match within {
            Within::Rack => pick(language, "in one rack", "同一ラック").to_owned(),
            Within::Site => pick(language, "at one site", "同一拠点").to_owned(),
        }));
        parts.extend(asked.spread.map(|spread| {
            let (least, over) = (spread.at_least, over(language, spread.over));
            match language {
                Language::En => format!("over {least} {over}"),
                Language::Ja => format!("{over} {least} か所以上"),
            }
        }));
        let list =
            |marks: &BTreeSet<Mark>| marks.iter().map(Mark::as_str).collect::<Vec<_>>().join(", ");
        if !asked.apart.is_empty() {
            let marks = list(&asked.apart);
            parts.push(match language {
                Language::En => format!("apart from {marks}"),
                Language::Ja => format!("{marks} と分離"),
            });
        }
        if !asked.marks.is_empty() {
            let marks = list(&asked.marks);
            parts.push(match language {
                Language::En => format!("marked {marks}"),
                Language::Ja => format!("印 {marks}"),
            });
        }
        if let Some(near) = &asked.near {
            parts.push(match language {
                Language::En => format!("near {near}"),
                Language::Ja => format!("{near} の近く"),
            });
        }
        if parts.is_empty() { "-".to_owned() } else { parts.join("; ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_all_that_is_asked_for() {
        let spread = v1::topology::Spread { over: v1::topology::Over::Racks.into(), at_least: 2 };
        let whole = v1::Topology {
            within: v1::topology::Within::Site.into(),
            spread: Some(spread),
            apart: vec!["db".into(), "web".into()],
            marks: vec!["train".into()],
            near: "sites/tokyo-1".into(),
        };
        let view = TopologyView::from(whole.clone());
        let english = "at one site; over 2 racks; apart from db, web; marked train; near tokyo-1";
        assert_eq!(view.cell(Language::En), english);
        let japanese = "同一拠点; ラック 2 か所以上; db, web と分離; 印 train; tokyo-1 の近く";
        assert_eq!(view.cell(Language::Ja), japanese);
        assert_eq!(TopologyView::from(v1::Topology::default()).cell(Language::En), "-");
        let later = TopologyView::from(v1::Topology { within: 9, ..whole });
        assert_eq!(later.cell(Language::En), "of a newer program");
    }
}
