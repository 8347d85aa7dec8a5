//! `--switches` and `--reservation`: where members stand to one another, and out of what.
//!
//! Must hold: a switch is a rack or a site only if the command line says so.

use super::super::draft::{Told, Why};
use super::super::given::Given;
use super::Asked;
use super::option::{Field, NEAR};
use crate::failure::Failure;
use sekisho_types::name::Name;
use sekisho_types::topology::Topology;

/// What the command line calls what `--switches` counts.
const SWITCH: &str = "switch";

/// Where members stand.
pub(super) fn topology(
    asked: &Asked,
    members: u32,
    given: &Given,
    told: &mut Vec<Told>,
) -> Result<Topology, Failure> {
    let Some(set) = asked.get(&Field::Switches) else { return Ok(Topology::default()) };
    let (count, _) = set.value.split_once('@').unwrap_or((&set.value, ""));
    let is_digits = count.bytes().all(|b| b.is_ascii_digit());
    let count = count.parse::<u32>().ok().filter(|count| is_digits && *count > 0);
    let why = || set.at.refuse(format!("`{}` is no count of switches like 1 or 2@60", set.value));
    let count = count.ok_or_else(why)?;
    if members <= count {
        // So few members never reach more of them.
        return Ok(Topology::default());
    }
    let within = given.within(SWITCH).filter(|_| count == 1);
    told.push(set.told(match within {
        None => NEAR.into(),
        Some(within) => Why::new(
            format!(
                "carried over as within: {within}, which binds as long as the job waits: Slurm gives it up after a while"
            ),
            format!(
                "within: {within} として移しました。待つ間ずっと必須です(Slurm では一定時間で諦めます)"
            ),
        ),
    }));
    Ok(Topology { within, ..Topology::default() })
}

/// The reservation that the job is placed out of.
pub(super) fn reservation(asked: &Asked, told: &mut Vec<Told>) -> Option<Name> {
    let set = asked.get(&Field::Reservation)?;
    let name = Name::parse(&set.value).ok();
    told.push(set.told(match name {
        Some(_) => Why::new(
            "carried over by its name: one of that name has to be made here, for the tenant, by an operator",
            "同じ名前で移しました。テナント用の同名の予約を事業者に作成してもらう必要があります",
        ),
        None => Why::new(
            "is no name that a reservation has here: where one is made for the tenant, write `reservation: NAME`",
            "予約の名前として使えません。テナントの予約があれば `reservation: 名前` と書いてください",
        ),
    }));
    name
}
