//! `sekisho residency coverage`: a forecast by the verifier's own geometry, asked of no cluster.

use crate::app::App;
use crate::command::site::area;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Column, Listed, Shown, column};
use sekisho_evidence::location::coverage::{
    Coverage, Delay, Model, Site, capitals, cover, offices,
};
use sekisho_evidence::location::landmark::LANDMARKS_MAX;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::OperatorId;
use sekisho_types::jurisdiction::Area;
use sekisho_types::position::Position;
use serde::Serialize;
use std::collections::BTreeSet;
use std::str::FromStr;

/// Longest fixed delay that a forecast makes sense for, µs: with more, no landmark proves anything anywhere.
const FIXED_MAX_US: u64 = 10_000;

/// What to forecast.
#[derive(Debug, clap::Args)]
pub struct CoverageArgs {
    /// A landmark: a municipality by code or name, `AREA=OPERATOR,OPERATOR` if several stand there; else each has its own
    #[arg(long = "at", value_name = "AREA", required_unless_present = "capitals")]
    at: Vec<Place>,
    /// A landmark in each of the 47 prefectural capitals, too
    #[arg(long)]
    capitals: bool,
    /// Operators with a landmark at each place that names none
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    operators: u8,
    /// Length of the fibre by that of the way over ground, thousandths
    #[arg(long, value_name = "PERMILLE", default_value_t = Delay::ORDINARY.inflation_permille, value_parser = clap::value_parser!(u32).range(1000..=10_000))]
    inflation: u32,
    /// What both ends and the equipment take, microseconds
    #[arg(long, value_name = "MICROSECONDS", default_value_t = Delay::ORDINARY.fixed_ns / 1000, value_parser = clap::value_parser!(u64).range(..=FIXED_MAX_US))]
    fixed: u64,
    /// List the municipalities that stay unproven with this many lying operators, instead of counting them
    #[arg(long, value_name = "F", value_parser = clap::value_parser!(u32).range(..=3))]
    unproven: Option<u32>,
}

/// A place and whose landmarks stand there.
#[derive(Debug, Clone)]
struct Place {
    area: String,
    operators: Vec<OperatorId>,
}

impl FromStr for Place {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (area, operators) = text.split_once('=').unwrap_or((text, ""));
        let names = operators.split(',').filter(|name| !name.is_empty());
        let operators: Result<Vec<OperatorId>, _> = names.map(str::parse).collect();
        let operators = operators.map_err(|error| format!("after `=`: {error}"))?;
        let distinct: BTreeSet<_> = operators.iter().collect();
        if distinct.len() < operators.len() {
            return Err("an operator counts once at a place".to_owned());
        }
        Ok(Self { area: area.to_owned(), operators })
    }
}

/// What so many liars leave.
#[derive(Debug, Serialize)]
struct CoverageView {
    f: u32,
    proven: usize,
    municipalities: usize,
    percent: String,
    /// Where landmarks of f + 1 operators would prove most in addition, among the prefectural capitals.
    next: String,
    next_gains: usize,
}

impl Shown for CoverageView {
    const COLUMNS: &'static [Column] = &[
        column("f", "f"),
        column("proven", "証明可能"),
        column("of", "全体"),
        column("percent", "割合 %"),
        column("next landmark", "次の設置先"),
        column("gains", "増加"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        vec![
            self.f.to_string(),
            self.proven.to_string(),
            self.municipalities.to_string(),
            self.percent.clone(),
            self.next.clone(),
            self.next_gains.to_string(),
        ]
    }
}

/// A municipality that stays unproven.
#[derive(Debug, Serialize)]
struct UnprovenView {
    area: String,
    name: String,
}

impl Shown for UnprovenView {
    const COLUMNS: &'static [Column] = &[column("area", "コード"), column("name", "名称")];
    fn cells(&self, _language: Language) -> Vec<String> {
        vec![self.area.clone(), self.name.clone()]
    }
}

/// Operators that nobody has named, each another.
fn nameless(count: u8, from: usize) -> Result<Vec<OperatorId>, Failure> {
    let numbers = from..from.saturating_add(count.into());
    let named = numbers.map(|number| format!("operator-{number}").parse());
    let named: Result<Vec<OperatorId>, _> = named.collect();
    named.map_err(|error| Failure::new(ErrorCode::Internal, format!("a name: {error}")))
}

fn position(text: &str) -> Result<Position, Failure> {
    area(text)?.info().and_then(|info| info.office).ok_or_else(|| {
        let why = format!("--at {text}: name a municipality or a ward that has an office");
        Failure::new(ErrorCode::InvalidArgument, why)
    })
}

fn sites(args: &CoverageArgs) -> Result<Vec<Site>, Failure> {
    let mut places = Vec::new();
    for place in &args.at {
        places.push((position(&place.area)?, place.operators.clone()));
    }
    if args.capitals {
        places.extend(capitals().into_iter().map(|(_, office)| (office, Vec::new())));
    }
    let mut sites: Vec<Site> = Vec::new();
    for (position, mut operators) in places {
        if operators.is_empty() {
            operators = nameless(args.operators, sites.len())?;
        }
        sites.extend(operators.into_iter().map(|operator| Site { operator, position }));
    }
    if sites.len() > LANDMARKS_MAX {
        let why = format!("{} landmarks, at most {LANDMARKS_MAX} are taken", sites.len());
        return Err(Failure::new(ErrorCode::InvalidArgument, why));
    }
    Ok(sites)
}

/// What the sites prove of the points with `threshold` liars.
fn forecast(args: &CoverageArgs, points: &[Position], sites: &[Site], threshold: u32) -> Coverage {
    let fixed_ns = args.fixed.saturating_mul(1000);
    let delay = Delay { inflation_permille: args.inflation, fixed_ns };
    cover(Model { delay, threshold }, points, sites)
}

fn row(
    args: &CoverageArgs,
    points: &[Position],
    sites: &[Site],
    f: u8,
) -> Result<CoverageView, Failure> {
    let now = forecast(args, points, sites, f.into());
    let left: Vec<Position> =
        now.unproven.iter().filter_map(|at| points.get(*at).copied()).collect();
    let newcomers = nameless(f.saturating_add(1), LANDMARKS_MAX)?;
    let mut best = (0, String::new());
    for (area, position) in capitals() {
        let more = newcomers.iter().map(|of| Site { operator: of.clone(), position });
        let with: Vec<Site> = sites.iter().cloned().chain(more).collect();
        let gains = forecast(args, &left, &with, f.into()).proven();
        if gains > best.0 {
            best = (gains, area.label());
        }
    }
    let permille = now.permille();
    let percent = format!("{}.{}", permille / 10, permille % 10);
    let (next_gains, next) = best;
    let (proven, municipalities) = (now.proven(), now.points);
    Ok(CoverageView { f: f.into(), proven, municipalities, percent, next, next_gains })
}

pub(super) fn run(app: &mut App<'_>, args: &CoverageArgs) -> Result<Exit, Failure> {
    let sites = sites(args)?;
    let (all, points): (Vec<Area>, Vec<Position>) = offices().into_iter().unzip();
    match args.unproven {
        Some(f) => {
            let open = forecast(args, &points, &sites, f).unproven;
            let open = open.iter().filter_map(|at| all.get(*at));
            let views: Vec<UnprovenView> = open
                .map(|area| UnprovenView { area: area.to_string(), name: area.full_name() })
                .collect();
            app.output.list(&views, &Listed::default())?;
        }
        None => {
            let rows: Result<Vec<CoverageView>, Failure> =
                [0, 1].into_iter().map(|f| row(args, &points, &sites, f)).collect();
            app.output.list(&rows?, &Listed::default())?;
        }
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: CoverageArgs,
    }

    fn args(line: &str) -> Result<CoverageArgs, String> {
        let words = ["coverage"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.args).map_err(|error| error.to_string())
    }

    #[test]
    fn capitals_are_one_of_each_prefecture_and_have_an_office() {
        let of: BTreeSet<_> = capitals().into_iter().map(|(area, _)| area.prefecture()).collect();
        assert_eq!((capitals().len(), of.len()), (47, 47));
    }

    #[test]
    fn a_second_operator_at_each_place_is_what_one_liar_costs() {
        let three = "--at 東京都千代田区 --at 大阪市北区 --at 012351";
        let alone = args(three).unwrap();
        let points: Vec<Position> = offices().into_iter().map(|(_, position)| position).collect();
        let (f0, f1) =
            [0, 1].map(|f| row(&alone, &points, &sites(&alone).unwrap(), f).unwrap()).into();
        assert!(f0.proven > 1000 && f0.next_gains > 0, "{f0:?}");
        assert!(f1.proven < f0.proven / 2);
        let pairs = args(&format!("{three} --operators 2")).unwrap();
        let pairs = row(&pairs, &points, &sites(&pairs).unwrap(), 1).unwrap();
        assert_eq!(pairs.proven, f0.proven);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for (line, why) in [
            ("", "--at"),
            ("--at 東京都千代田区=kanto,kanto", "counts once"),
            ("--at 東京都千代田区=Kanto", "after `=`"),
            ("--capitals --inflation 900", "900"),
            ("--capitals --fixed 10001", "10001"),
            ("--capitals --operators 0", "0"),
        ] {
            let refused = args(line).unwrap_err();
            assert!(refused.contains(why), "{line}: {refused}");
        }
        for (at, code) in [
            ("東京都", ErrorCode::InvalidArgument),
            ("中央区", ErrorCode::AreaAmbiguous),
            ("アトランティス", ErrorCode::AreaUnknown),
            ("KR-26", ErrorCode::ResidencyOutsideJp),
        ] {
            let refused = sites(&args(&format!("--at {at}")).unwrap()).unwrap_err();
            assert_eq!(refused.code, code, "{at}");
        }
        let many = args("--capitals --operators 8").unwrap();
        assert_eq!(sites(&many).unwrap_err().code, ErrorCode::InvalidArgument);
    }
}
