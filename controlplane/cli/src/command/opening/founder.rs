//! An operator's founder of a new incarnation: its keys are made in the operator's directory, its description is a file.

use super::{internal, load, not_there, write};
use crate::app::App;
use crate::failure::{Failure, of_file};
use crate::pki::{OperatorDir, SIGN_FILE};
use sekisho_evidence::bundle::Endorser;
use sekisho_evidence::canonical::encode;
use sekisho_evidence::genesis::{GenesisMember, GenesisSite};
use sekisho_evidence::key::Purpose;
use sekisho_evidence::terms::IssuedKey;
use sekisho_fsm::State;
use sekisho_transport::address::Address;
use sekisho_transport::pki::signing;
use sekisho_types::id::{MemberId, OperatorId, SiteId};
use sekisho_types::name::Name;
use sekisho_types::principal::{KeyRecord, Principal, Role, Workload};
use sekisho_types::revision::Incarnation;
use sekisho_types::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Life of an administrator's key that is named anew: a working year, as at its making.
const KEY_LIFETIME: Duration = Duration::from_secs(365 * 86_400);

/// What an operator brings into a new incarnation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Founder {
    /// Its controller; a company may go on without one.
    pub(super) seat: Option<Seat>,
    /// Who acts for the operator from the first entry on.
    pub(super) keys: Vec<IssuedKey>,
}

/// A first controller.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seat {
    /// The controller.
    pub(super) member: GenesisMember,
    /// Its checkpoint key.
    pub(super) endorser: Endorser,
}

/// A founder to prepare.
#[derive(Debug, clap::Args)]
pub struct FounderArgs {
    /// File to write
    file: PathBuf,
    /// The operator's directory; the founder's keys are made there
    #[arg(long, value_name = "DIR")]
    operator_dir: PathBuf,
    /// Its number, one of the incarnation to be: 1001 and on for the second. Without it the file only says who acts for
    /// a company that brings no controller
    #[arg(long, value_name = "N", value_parser = crate::command::member::number)]
    #[arg(requires_all = ["site", "address", "from"])]
    number: Option<MemberId>,
    /// The site where it stands
    #[arg(long, requires = "number")]
    site: Option<SiteId>,
    /// Where it is found, HOST:PORT
    #[arg(long, requires = "number")]
    address: Option<String>,
    /// A backup, which knows the site
    #[arg(long, value_name = "BACKUP", requires = "number")]
    from: Option<PathBuf>,
    /// Secret half of one of the backup keys; `backup.key` of the operator's directory if left out
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// A federation-admin of this operator, from its directory
    #[arg(long, value_name = "NAME", required = true)]
    admin: Vec<Name>,
}

fn site(state: &State, id: &SiteId) -> Result<GenesisSite, Failure> {
    let row = state.site(id).ok_or_else(|| Failure::invalid(format!("no site {id} is known")))?;
    Ok(GenesisSite {
        site: id.clone(),
        operator: row.operator.clone(),
        area: row.area,
        display_name: row.display_name.clone(),
    })
}

/// The person's key, vouched for anew.
fn issue(
    dir: &OperatorDir,
    operator: &OperatorId,
    name: &Name,
    now: Timestamp,
) -> Result<IssuedKey, Failure> {
    let path = dir.user(name).join(SIGN_FILE);
    let key = signing::read(&path).map_err(|error| of_file(&path, &error))?;
    let lifetime = u64::try_from(KEY_LIFETIME.as_millis()).unwrap_or(u64::MAX);
    let record = KeyRecord {
        principal: Principal {
            operator: operator.clone(),
            workload: Workload::User { name: name.clone() },
        },
        role: Role::FederationAdmin,
        public_key: key.public(),
        expires: now.plus_ms(lifetime),
    };
    let bytes = encode(&record).map_err(|error| internal(&error))?;
    let issuer = dir.issuer_key()?.sign(Purpose::KeyRecord, &bytes);
    Ok(IssuedKey { record, issuer })
}

/// The controller, its keys and certificate made now.
fn seat(args: &FounderArgs, dir: &OperatorDir, now: Timestamp) -> Result<Option<Seat>, Failure> {
    let asked = (args.number, &args.site, &args.address, &args.from);
    let (Some(number), Some(site_id), Some(address), Some(from)) = asked else { return Ok(None) };
    let good = load(from, dir, args.identity.as_deref())?;
    let next = Incarnation(good.head.incarnation.0.saturating_add(1));
    let numbers = next.members();
    if !numbers.contains(&number.0) {
        let (first, last) = (numbers.start(), numbers.end());
        let why = format!("founders of incarnation {next} have numbers {first} to {last}");
        return Err(Failure::invalid(why));
    }
    let address: Address =
        address.parse().map_err(|e| Failure::invalid(format!("--address: {e}")))?;
    let site = site(&good.state, site_id)?;
    let endorser = dir.add_member(&site, number, &address, now)?;
    let member = GenesisMember {
        member: number,
        operator: site.operator,
        site: site.site,
        address: address.to_string(),
    };
    Ok(Some(Seat { member, endorser }))
}

pub(in crate::command) fn founder(app: &mut App<'_>, args: &FounderArgs) -> Result<(), Failure> {
    not_there(&args.file)?;
    let dir = OperatorDir::new(&args.operator_dir);
    let (operator, now) = (dir.card()?.keys.operator, app.now());
    let seat = seat(args, &dir, now)?;
    let keys: Result<Vec<_>, _> =
        args.admin.iter().map(|name| issue(&dir, &operator, name, now)).collect();
    write(&args.file, &Founder { seat, keys: keys? })?;
    let path = args.file.display();
    let line = app.output.pick(
        format!("{path}: give it to the operator that prepares the opening"),
        format!("{path}: 新しい世代を準備する事業者に渡してください"),
    );
    app.output.line(&line)?;
    let dir = dir.path().display();
    app.output.next(&format!(
        "sekisho snapshot restore OPENING --from BACKUP --founder {path} --founder OTHER --operator-dir {dir} --stopped N,..."
    ))
}
