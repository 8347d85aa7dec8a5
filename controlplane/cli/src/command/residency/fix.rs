//! A fix that was judged here, as people and programs read it: what each landmark measured, and what that comes to.
//!
//! Must hold: the verdict shown is the one that this program reached from the signatures, never one that it was told.

use crate::command::instant;
use crate::command::node::location::{BeaconView, lacking};
use crate::failure::Failure;
use crate::language::pick;
use crate::output::{Column, Listed, Output, Shown, column, wide};
use sekisho_evidence::location::coverage::offices;
use sekisho_evidence::location::evidence::{Evidence, Judged};
use sekisho_evidence::location::geometry::Vector;
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_evidence::location::verdict::{Contradiction, Ranged, Verdict};
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::OperatorId;
use sekisho_types::jurisdiction::Area;
use sekisho_types::position::Position;
use sekisho_types::residency::PROOF_F_DEFAULT;
use serde::Serialize;

/// What one landmark says.
#[derive(Debug, Serialize)]
pub(super) struct DiscView {
    landmark: String,
    operator: String,
    position: String,
    /// The municipality whose office is nearest to it.
    near: String,
    rtt_ns: u64,
    radius_m: u64,
    nearest_foreign_m: u64,
    excludes_all: bool,
    #[serde(skip)]
    pub(super) at: Option<Position>,
}

/// Tenths of a kilometre; a bound must not be shown better than it is.
fn km_up(metres: u64) -> String {
    let tenths = metres.div_ceil(100);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn km_down(metres: u64) -> String {
    let tenths = metres / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The municipality whose office is nearest.
fn near(position: Position) -> String {
    let from = Vector::of(position);
    let nearest = offices().into_iter().min_by_key(|(_, office)| from.squared(Vector::of(*office)));
    nearest.map_or_else(String::new, |(area, _)| Area::full_name(area))
}

impl DiscView {
    fn of(ranged: &Ranged, landmark: Option<&Landmark>) -> Self {
        let at = landmark.map(|landmark| landmark.position);
        Self {
            landmark: ranged.landmark.to_string(),
            operator: ranged.landmark.operator.to_string(),
            position: at.map(|at| at.to_string()).unwrap_or_default(),
            near: at.map(near).unwrap_or_default(),
            rtt_ns: ranged.rtt_ns,
            radius_m: ranged.radius_m,
            nearest_foreign_m: ranged.nearest_m,
            excludes_all: ranged.excludes_all,
            at,
        }
    }

    pub(super) fn radius_m(&self) -> u64 {
        self.radius_m
    }
}

impl Shown for DiscView {
    const COLUMNS: &'static [Column] = &[
        column("landmark", "ランドマーク"),
        column("near", "付近"),
        column("microseconds", "往復マイクロ秒"),
        column("radius km", "半径 km"),
        column("abroad km", "国外まで km"),
        column("alone", "単独"),
        wide("position", "位置"),
        wide("operator", "事業者"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        vec![
            self.landmark.clone(),
            self.near.clone(),
            self.rtt_ns.div_ceil(1000).to_string(),
            km_up(self.radius_m),
            km_down(self.nearest_foreign_m),
            crate::command::yes_no(language, self.excludes_all),
            self.position.clone(),
            self.operator.clone(),
        ]
    }
}

/// The nearest place abroad that too few exclude.
#[derive(Debug, Serialize)]
struct NearestView {
    distance_m: u64,
    from: String,
    excluded_by: u32,
}

/// A fix that was judged.
#[derive(Debug, Serialize)]
pub(super) struct FixView {
    cluster: String,
    incarnation: u64,
    node: String,
    node_key: String,
    /// `proven`, `unknown` or `inconsistent`.
    verdict: &'static str,
    f: Option<u32>,
    operators: Vec<String>,
    measured_ms: u64,
    expires_ms: Option<u64>,
    /// So many more operators have to exclude land abroad for f = 0, and for f = 1.
    missing_operators: [u32; 2],
    nearest: Option<NearestView>,
    inconsistent: Vec<String>,
    /// That a landmark at the node's site proves.
    prefecture: Option<Area>,
    /// What that landmark measured, whether or not it is enough.
    beacon: Option<BeaconView>,
    landmarks_sha256: String,
    foreign_sha256: String,
    prefectures_sha256: String,
    pub(super) discs: Vec<DiscView>,
    #[serde(skip)]
    code: Option<ErrorCode>,
    #[serde(skip)]
    site: String,
    #[serde(skip)]
    area: Option<Area>,
}

impl FixView {
    /// What was judged of a file.
    ///
    /// # Errors
    /// Never for these types.
    pub(super) fn new(evidence: &Evidence, judged: &Judged) -> Result<Self, Failure> {
        let table = evidence.landmarks.hash();
        let table = table.map_err(|e| Failure::new(ErrorCode::Internal, e.to_string()))?;
        let disc = |ranged| DiscView::of(ranged, evidence.landmarks.get(&ranged.landmark));
        let view = Self {
            cluster: evidence.cluster.to_string(),
            incarnation: evidence.incarnation.0,
            node: evidence.node.to_string(),
            node_key: evidence.node_key.to_string(),
            verdict: "unknown",
            f: None,
            operators: Vec::new(),
            measured_ms: judged.measured.0,
            expires_ms: None,
            missing_operators: [0, 0],
            nearest: None,
            inconsistent: Vec::new(),
            prefecture: None,
            beacon: None,
            landmarks_sha256: table.to_string(),
            foreign_sha256: evidence.foreign.to_string(),
            prefectures_sha256: evidence.prefectures.to_string(),
            discs: judged.ranged.iter().map(disc).collect(),
            code: judged.verdict.code(),
            site: evidence.node.site.to_string(),
            area: evidence.area,
        };
        Ok(view.with(&judged.verdict))
    }

    fn with(self, verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Proven(proof) => Self {
                verdict: "proven",
                f: Some(proof.f),
                operators: proof.operators.iter().map(OperatorId::to_string).collect(),
                expires_ms: Some(proof.expires.0),
                missing_operators: [0, PROOF_F_DEFAULT.saturating_sub(proof.f)],
                prefecture: proof.prefecture,
                beacon: proof.beacon.as_ref().map(|measured| BeaconView {
                    landmark: measured.landmark.to_string(),
                    rtt_ns: measured.rtt_ns,
                    enough_ns: measured.enough_ns,
                }),
                ..self
            },
            // It was judged with f = 0.
            Verdict::Unknown(missing) => Self {
                missing_operators: [missing.operators, missing.operators.saturating_add(1)],
                nearest: missing.nearest.as_ref().map(|nearest| NearestView {
                    distance_m: nearest.distance_m,
                    from: nearest.from.to_string(),
                    excluded_by: nearest.excluded_by,
                }),
                ..self
            },
            Verdict::Inconsistent(why) => {
                let who: Vec<&LandmarkId> = match why {
                    Contradiction::Landmarks(a, b) => vec![a, b],
                    Contradiction::Claim(landmark) => vec![landmark],
                };
                let inconsistent = who.into_iter().map(LandmarkId::to_string).collect();
                Self { verdict: "inconsistent", inconsistent, ..self }
            }
        }
    }

    /// The code of a verdict that is not *proven*.
    pub(super) fn code(&self) -> Option<ErrorCode> {
        self.code
    }

    /// What it comes to, for people.
    pub(super) fn lines(&self, language: Language) -> Vec<String> {
        let mut lines = vec![self.verdict_line(language)];
        lines.extend(self.site_line(language));
        if let Some(nearest) = &self.nearest {
            let NearestView { distance_m, from, excluded_by } = nearest;
            let km = km_down(*distance_m);
            lines.push(pick(
                language,
                format!("nearest place abroad that is open: {km} km from {from}, excluded by {excluded_by}"),
                format!("除外できない最寄りの国外: {from} から {km} km、除外 {excluded_by} 事業者"),
            ));
        }
        let [for_f0, for_f1] = self.missing_operators;
        let missing = [(for_f0, 0), (for_f1, 1)].into_iter().filter(|(count, _)| *count > 0);
        let missing: Vec<String> = missing
            .map(|(count, f)| match (language, count) {
                (Language::En, 1) => format!("1 operator for f={f}"),
                (Language::En, _) => format!("{count} operators for f={f}"),
                (Language::Ja, _) => format!("f={f} に {count} 事業者"),
            })
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            lines.push(pick(language, format!("missing: {missing}"), format!("不足: {missing}")));
        }
        lines
    }

    /// Of a proof: the prefecture, or what is missing for it.
    fn site_line(&self, language: Language) -> Option<String> {
        self.f?;
        let (Some(prefecture), Some(beacon)) = (self.prefecture, &self.beacon) else {
            let lacks = lacking(&self.site, self.area, self.beacon.as_ref(), language);
            let line =
                pick(language, format!("missing for T3: {lacks}"), format!("T3 に不足: {lacks}"));
            return Some(line);
        };
        let (name, by) = (prefecture.label(), &beacon.landmark);
        Some(pick(
            language,
            format!("proven in {name} by {by} at its site (T3)"),
            format!("拠点の {by} により {name} にあることを証明済み(T3)"),
        ))
    }

    fn verdict_line(&self, language: Language) -> String {
        let Self { node, .. } = self;
        match (self.f, self.expires_ms) {
            (Some(f), Some(until)) => {
                let (until, operators) = (instant(until), self.operators.join(", "));
                pick(
                    language,
                    format!(
                        "{node}: proven not abroad, f={f}, until {until}; excluding: {operators}"
                    ),
                    format!(
                        "{node}: 国外にないことを証明済み、f={f}、{until} まで。除外: {operators}"
                    ),
                )
            }
            _ if self.inconsistent.is_empty() => pick(
                language,
                format!("{node}: not proven; by these measurements it may be abroad"),
                format!("{node}: 証明なし。この測定では国外の可能性が残ります"),
            ),
            _ => {
                let who = self.inconsistent.join(", ");
                pick(
                    language,
                    format!("{node}: inconsistent, somebody is wrong: {who}"),
                    format!("{node}: 矛盾。いずれかが誤っています: {who}"),
                )
            }
        }
    }

    /// Tells people.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub(super) fn tell(&self, output: &mut Output<'_>) -> Result<(), Failure> {
        output.list(&self.discs, &Listed::default())?;
        output.line("")?;
        for line in self.lines(output.language) {
            output.line(&line)?;
        }
        Ok(())
    }
}

/// Test-only: fixes of a node in Tokyo.
#[cfg(test)]
pub(super) mod fixture {
    use super::*;
    use sekisho_evidence::location::{foreign, prefecture};
    use sekisho_fsm::testing::location::{IN_TOKYO, LANDMARKS, fix_id};
    use sekisho_fsm::testing::{Federation, node_key, receipt_key};
    use sekisho_types::id::NodeId;

    /// What the landmarks in Tokyo measured, or with `all` the one in Fukuoka too, which contradicts them; as it is handed out.
    pub(crate) fn evidence(all: bool) -> Evidence {
        let mut federation = Federation::furnished();
        federation.landmarks();
        let (node, fix): (NodeId, _) = ("tokyo-1/n-01".parse().unwrap(), fix_id(1));
        let heard = LANDMARKS.map(|(id, _)| id);
        let heard = heard.into_iter().filter(|id| all || IN_TOKYO.contains(id));
        let transcripts: Vec<_> = heard.map(|id| federation.transcript(id, &node, fix)).collect();
        let applied = federation.submit_fix(&node, fix, transcripts);
        assert!(applied.outcome.is_ok(), "{:?}", applied.outcome);
        let state = &federation.state;
        let (held, kept) = (state.federation().unwrap(), state.fix(&node).unwrap());
        Evidence {
            cluster: held.cluster,
            incarnation: held.incarnation,
            node_key: node_key(&node),
            receipt_key: receipt_key(&node).public(),
            area: state.node(&node).unwrap().tag.area.domestic(),
            landmarks: state.landmarks().table().clone(),
            foreign: foreign::table_hash(),
            prefectures: prefecture::table_hash(),
            fix,
            transcripts: kept.fix.transcripts.clone(),
            verdict: kept.fix.verdict.clone(),
            node,
        }
    }

    pub(crate) fn view(all: bool) -> FixView {
        let evidence = evidence(all);
        FixView::new(&evidence, &evidence.judge().unwrap()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr as _;

    fn told(view: &FixView, language: Language) -> String {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(&mut out, &mut err);
        output.language = language;
        view.tell(&mut output).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn discs_stand_in_80_columns_and_bounds_are_rounded_to_the_safe_side() {
        let view = fixture::view(false);
        for (language, words) in [
            (Language::En, ["proven not abroad, f=1, until", "excluding: kanto, naniwa", "yes"]),
            (Language::Ja, ["国外にないことを証明済み、f=1、", "除外: kanto, naniwa", "はい"]),
        ] {
            let text = told(&view, language);
            for word in
                words.into_iter().chain(["kanto/otemachi", "千代田区", "1000", "151.0", "721."])
            {
                assert!(text.contains(word), "{word}: {text}");
            }
            let table = text.split("\n\n").next().unwrap();
            assert!(table.lines().all(|line| line.width() <= 80), "{text}");
        }
        assert_eq!(
            (km_up(1), km_up(100), km_down(199), km_down(99)),
            ("0.1".into(), "0.1".into(), "0.1".into(), "0.0".into())
        );
        assert_eq!(view.code(), None);
    }

    #[test]
    fn the_prefecture_is_told_or_what_is_missing_for_it() {
        let view = fixture::view(false);
        assert!(told(&view, Language::En).contains("missing for T3: a landmark at tokyo-1\n"));
        assert!(told(&view, Language::Ja).contains("T3 に不足: tokyo-1 のランドマーク\n"));
        let beacon =
            BeaconView { landmark: "kanto/tokyo-1".into(), rtt_ns: 9_000, enough_ns: 38_000 };
        let prefecture = Area::resolve("JP-13").ok();
        let view = FixView { beacon: Some(beacon), prefecture, ..view };
        let text = told(&view, Language::En);
        assert!(
            text.contains("proven in 東京都 (130001) by kanto/tokyo-1 at its site (T3)"),
            "{text}"
        );
        assert!(told(&view, Language::Ja).contains("東京都 (130001) にあることを証明済み(T3)"));
    }

    #[test]
    fn a_contradiction_names_its_landmarks() {
        let view = fixture::view(true);
        assert_eq!(view.code(), Some(ErrorCode::LocationInconsistent));
        let text = told(&view, Language::En);
        assert!(text.contains("inconsistent, somebody is wrong: hokuto/fukuoka"), "{text}");
        assert!(told(&view, Language::Ja).contains("矛盾"));
    }

    #[test]
    fn what_may_be_abroad_says_what_would_prove_it() {
        use sekisho_evidence::location::verdict::{Missing, Nearest};
        let from: LandmarkId = "kanto/otemachi".parse().unwrap();
        let missing = Missing {
            operators: 1,
            nearest: Some(Nearest { distance_m: 721_050, from, excluded_by: 0 }),
            discs: Vec::new(),
        };
        let view = fixture::view(false);
        let view = FixView { f: None, expires_ms: None, ..view }.with(&Verdict::Unknown(missing));
        let [en, ja] = [Language::En, Language::Ja].map(|language| view.lines(language).join("|"));
        assert_eq!(
            en,
            "tokyo-1/n-01: not proven; by these measurements it may be abroad\
             |nearest place abroad that is open: 721.0 km from kanto/otemachi, excluded by 0\
             |missing: 1 operator for f=0, 2 operators for f=1"
        );
        assert!(ja.ends_with("不足: f=0 に 1 事業者, f=1 に 2 事業者"), "{ja}");
    }
}
