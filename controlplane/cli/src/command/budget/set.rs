//! `sekisho budget set`: one verb that makes a budget and changes one.
//!
//! Must hold: what a budget counts never changes under its name; an option that would change it is refused here, with what to
//! do in its place.

use super::{get, stands};
use crate::app::App;
use crate::ask;
use crate::command::quota::area_or_japan;
use crate::command::{approval, when};
use crate::failure::Failure;
use crate::language::Text;
use sekisho_proto::convert::budget::PutBudget;
use sekisho_proto::name::{BudgetId, Resource as _};
use sekisho_types::budget::{BudgetSpec, Exhausted, Period, Unit};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{DeviceClass, TenantId};
use sekisho_types::joint::Joint;
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;

/// A budget to set.
#[derive(Debug, clap::Args)]
pub struct SetArgs {
    /// The tenant
    tenant: TenantId,
    /// Its name
    #[arg(value_name = "NAME")]
    budget: Name,
    /// How much for each period, in whole units
    amount: u64,
    /// What is counted, of a new one: gpu-hours or yen
    #[arg(long, value_parser = unit)]
    unit: Option<Unit>,
    /// How often a new one begins anew, at midnight in Japan: day, month or fiscal-year, from 1 April
    #[arg(long, value_parser = period, conflicts_with_all = ["from", "until"])]
    period: Option<Period>,
    /// In place of a period, when a new one begins: 2027-04-01 or 2027-04-01T09:00+09:00
    #[arg(long, value_name = "TIME", value_parser = when::instant, requires = "until")]
    from: Option<Timestamp>,
    /// When that one ends
    #[arg(long, value_name = "TIME", value_parser = when::instant, requires = "from")]
    until: Option<Timestamp>,
    /// Only GPUs of this class, of a new one; all if left out
    #[arg(long)]
    class: Option<DeviceClass>,
    /// Only what runs in this area, of a new one: a code such as JP-13 or 131016, or a name
    #[arg(long)]
    area: Option<String>,
    /// When nothing is left: stop, so that nothing more is granted, or warn; a new one stops
    #[arg(long, value_name = "WHAT", value_parser = exhausted)]
    on_exhausted: Option<Exhausted>,
}

fn unit(text: &str) -> Result<Unit, String> {
    Unit::parse(text).ok_or_else(|| "must be gpu-hours or yen".to_owned())
}

fn period(text: &str) -> Result<Period, String> {
    let known = [Period::Day, Period::Month, Period::FiscalYear];
    let found = known.into_iter().find(|period| period.to_string() == text);
    found.ok_or_else(|| "must be day, month or fiscal-year".to_owned())
}

fn exhausted(text: &str) -> Result<Exhausted, String> {
    Exhausted::parse(text).ok_or_else(|| "must be stop or warn".to_owned())
}

/// What was asked for, with its area known.
#[derive(Debug)]
struct Asked {
    amount: u64,
    unit: Option<Unit>,
    period: Option<Period>,
    class: Option<DeviceClass>,
    area: Option<Area>,
    exhausted: Option<Exhausted>,
}

impl Asked {
    fn of(args: SetArgs) -> Result<(BudgetId, Self), Failure> {
        let once = args.from.zip(args.until).map(|(from, until)| Period::Once { from, until });
        let area = args.area.as_deref().map(|area| area_or_japan(Some(area))).transpose()?;
        let asked = Self {
            amount: args.amount,
            unit: args.unit,
            period: args.period.or(once),
            class: args.class,
            area,
            exhausted: args.on_exhausted,
        };
        Ok((BudgetId { tenant: args.tenant, name: args.budget }, asked))
    }

    /// The option that would change what a budget counts.
    fn changes(&self, stands: &BudgetSpec) -> Option<&'static str> {
        let class = self.class.as_ref();
        let options = [
            ("--unit", self.unit.is_some_and(|unit| unit != stands.unit)),
            ("--period/--from/--until", self.period.is_some_and(|period| period != stands.period)),
            ("--class", class.is_some_and(|class| stands.class.as_ref() != Some(class))),
            ("--area", self.area.is_some_and(|area| area != stands.area)),
        ];
        options.into_iter().find(|(_, changes)| *changes).map(|(option, _)| option)
    }

    /// A new one; else the option that is missing.
    fn made(self) -> Result<BudgetSpec, &'static str> {
        Ok(BudgetSpec {
            unit: self.unit.ok_or("--unit")?,
            amount: self.amount,
            period: self.period.ok_or("--period")?,
            class: self.class,
            area: self.area.unwrap_or(Area::Japan),
            exhausted: self.exhausted.unwrap_or(Exhausted::Stop),
        })
    }

    /// What becomes of one that stands.
    fn over(&self, stands: BudgetSpec) -> BudgetSpec {
        let exhausted = self.exhausted.unwrap_or(stands.exhausted);
        BudgetSpec { amount: self.amount, exhausted, ..stands }
    }
}

/// The budget as it shall be.
fn wanted(
    app: &App<'_>,
    budget: BudgetId,
    asked: Asked,
    found: Option<PutBudget>,
) -> Result<PutBudget, Failure> {
    let BudgetId { tenant, name } = &budget;
    let Some(found) = found else {
        let spec = asked.made().map_err(|option| {
            Failure::invalid(app.output.pick(
                format!("there is no budget {tenant}/{name}; a new one needs {option}"),
                format!("予算 {tenant}/{name} はありません。新しく作るには {option} が必要です"),
            ))
        })?;
        return Ok(PutBudget { budget, spec, expected: Revision(0) });
    };
    if let Some(option) = asked.changes(&found.spec) {
        let why = app.output.pick(
            format!("budget {tenant}/{name} is there, and {option} would change what it counts: only AMOUNT and --on-exhausted change"),
            format!("予算 {tenant}/{name} はすでにあり、{option} は変更できません。変更できるのは AMOUNT と --on-exhausted だけです"),
        );
        let fix = app.output.pick(
            format!(
                "See `sekisho budget get {tenant} {name}`; make another one under another name."
            ),
            format!(
                "`sekisho budget get {tenant} {name}` を確認し、別の名前で新しく作ってください。"
            ),
        );
        return Err(Failure::invalid(why).remedy(fix));
    }
    Ok(PutBudget { budget, spec: asked.over(found.spec), expected: found.expected })
}

pub(super) async fn run(app: &mut App<'_>, args: SetArgs) -> Result<(), Failure> {
    let (budget, asked) = Asked::of(args)?;
    let session = app.signing_session().await?;
    let found = match get(app, &session, &budget).await {
        Ok(read) => Some(stands(read)?),
        Err(failure) if failure.code == ErrorCode::NotFound => None,
        Err(failure) => return Err(failure),
    };
    let put = wanted(app, budget, asked, found)?;
    let PutBudget { budget: BudgetId { tenant, name }, spec, expected } = put.clone();
    let next = format!("sekisho budget get {tenant} {name}");
    let joint = Joint::SetBudget { tenant, name, budget: Some(spec), expected };
    let of = put.budget.name();
    let Some(prepared) = approval::prepare(app, &session, joint, &of).await? else {
        return Ok(());
    };
    let client = &session.client;
    let (done, written) = if expected == Revision(0) {
        let request = put.create_request(prepared.intent);
        let asked =
            ask!(client, budget_service_client::BudgetServiceClient, create_budget, request);
        (Text::new("created", "を作成しました"), asked)
    } else {
        let request = put.update_request(prepared.intent);
        let asked =
            ask!(client, budget_service_client::BudgetServiceClient, update_budget, request);
        (Text::new("updated", "を更新しました"), asked)
    };
    let written = written.map_err(|failure| failure.of_request(prepared.request))?;
    app.changed(&of, prepared.request, written.revision, done, Some(next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: SetArgs,
    }

    fn asked(line: &str) -> Asked {
        let words = ["set", "sapporo", "fy"].into_iter().chain(line.split(' '));
        Asked::of(Line::try_parse_from(words).unwrap().args).unwrap().1
    }

    #[test]
    fn a_new_one_needs_to_say_what_it_counts() {
        assert_eq!(asked("9").made(), Err("--unit"));
        assert_eq!(asked("9 --unit yen").made(), Err("--period"));
        let spec = asked("9 --unit yen --period month --area 東京都 --class h100").made().unwrap();
        assert_eq!(
            (spec.unit, spec.period, spec.exhausted),
            (Unit::Yen, Period::Month, Exhausted::Stop)
        );
        assert_eq!(spec.area, Area::resolve("JP-13").unwrap());
        let once = asked("9 --unit gpu-hours --from 2027-04-01 --until 2027-07-01").made().unwrap();
        assert!(matches!(once.period, Period::Once { from, until } if from < until));
        for bad in ["", "9 --period week", "9 --from 2027-04-01", "9 --unit hours", "-1"] {
            let words = ["set", "sapporo", "fy"].into_iter().chain(bad.split(' '));
            assert!(Line::try_parse_from(words).is_err(), "{bad}");
        }
    }

    #[test]
    fn of_one_that_is_there_only_the_amount_and_its_end_change() {
        let stands = asked("9 --unit yen --period month --class h100").made().unwrap();
        for (line, option) in [
            ("9 --unit gpu-hours", Some("--unit")),
            ("9 --period day", Some("--period/--from/--until")),
            ("9 --class h200", Some("--class")),
            ("9 --area JP-13", Some("--area")),
            ("9 --unit yen --period month --class h100 --area JP", None),
            ("9 --on-exhausted warn", None),
        ] {
            assert_eq!(asked(line).changes(&stands), option, "{line}");
        }
        let after = asked("12 --on-exhausted warn").over(stands.clone());
        assert_eq!((after.amount, after.exhausted), (12, Exhausted::Warn));
        assert_eq!(asked("9").over(stands.clone()), stands);
    }
}
