//! `sekisho member`: controllers, who votes, and who leads.
//!
//! A change of who takes part changes the endorser bundle, which issuers of k operators sign: `prepare` makes the change
//! as a file at the operator that asks for it, `operator sign` adds another operator's signature, `add` or `remove` sends it.

pub(super) mod file;
mod list;

pub(super) use list::MemberView;

use super::list::ListArgs;
use super::opening::{FounderArgs, OpenArgs};
use super::{agreement, approval, opening, short};
use crate::app::App;
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::Text;
use sekisho_evidence::terms::Terms;
use sekisho_proto::convert::member::{SetMemberAddress, SetVoter};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_transport::part;
use sekisho_types::id::{MemberId, SiteId};
use sekisho_types::joint::Joint;
use std::path::PathBuf;

/// Verbs of a member.
#[derive(Debug, clap::Subcommand)]
pub enum MemberCommand {
    /// List controllers
    List(ListArgs),
    /// Show one controller
    Get {
        /// Its number
        #[arg(value_parser = number)]
        member: MemberId,
    },
    /// Write a change of who takes part to a file, signed by this operator
    Prepare(PrepareArgs),
    /// Write the trust package that a new controller, or a host that was away, begins with
    Package {
        /// File to write
        file: PathBuf,
    },
    /// Take in the controller of a change, as a learner
    Add {
        /// The change
        file: PathBuf,
    },
    /// Give a controller its vote once it has caught up; federation-admins of two operators sign
    Promote {
        /// Its number
        #[arg(value_parser = number)]
        member: MemberId,
        /// With fewer than three operators: one of them may hold a quorum alone
        #[arg(long)]
        accept_quorum_in_one_hand: bool,
    },
    /// Take a controller's vote; federation-admins of two operators sign
    Demote {
        /// Its number
        #[arg(value_parser = number)]
        member: MemberId,
        /// With fewer than three operators: one of them may hold a quorum alone
        #[arg(long)]
        accept_quorum_in_one_hand: bool,
    },
    /// Say where a controller is found from now on; federation-admins of two operators sign
    Address {
        /// Its number
        #[arg(value_parser = number)]
        member: MemberId,
        /// HOST:PORT
        address: String,
    },
    /// Take a controller out for good, dead or alive
    Remove {
        /// Its number
        #[arg(value_parser = number)]
        member: MemberId,
        /// The change
        file: PathBuf,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
    /// Write this operator's founder of a new incarnation to a file
    Founder(FounderArgs),
    /// Begin anew from what a stopped survivor saved, when too few controllers are left for good
    Recover {
        /// What it begins with
        #[command(flatten)]
        open: OpenArgs,
        /// Controllers that are lost for good
        #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = number, required = true)]
        dead: Vec<MemberId>,
    },
    /// Have a controller lead
    Transfer {
        /// Its number
        #[arg(value_parser = number)]
        member: MemberId,
    },
}

/// A change to prepare.
#[derive(Debug, clap::Args)]
pub struct PrepareArgs {
    /// File to write
    file: PathBuf,
    /// The directory of the operator that asks for it; a new controller's keys are made there
    #[arg(long, value_name = "DIR")]
    operator_dir: PathBuf,
    /// Number of a new controller; never used before
    #[arg(long, value_name = "N", value_parser = number, requires_all = ["site", "address"])]
    #[arg(required_unless_present = "remove", conflicts_with = "remove")]
    add: Option<MemberId>,
    /// The site where it stands
    #[arg(long, requires = "add")]
    site: Option<SiteId>,
    /// Where it is found, HOST:PORT
    #[arg(long, requires = "add")]
    address: Option<String>,
    /// Number of a controller that leaves
    #[arg(long, value_name = "N", value_parser = number)]
    remove: Option<MemberId>,
}

pub(super) fn number(text: &str) -> Result<MemberId, String> {
    let number = text.parse::<u64>().ok().filter(|number| *number > 0);
    number.map(MemberId).ok_or_else(|| "must be a member's number".to_owned())
}

pub(super) async fn run(app: &mut App<'_>, command: MemberCommand) -> Result<Exit, Failure> {
    match command {
        MemberCommand::List(args) => list::list(app, &args).await?,
        MemberCommand::Get { member } => list::get(app, member).await?,
        MemberCommand::Prepare(args) => file::prepare(app, args).await?,
        MemberCommand::Package { file } => write_package(app, &file).await?,
        MemberCommand::Add { file } => add(app, &file).await?,
        MemberCommand::Promote { member, accept_quorum_in_one_hand } => {
            set_voter(app, SetVoter { member, voter: true, accept_quorum_in_one_hand }).await?;
        }
        MemberCommand::Demote { member, accept_quorum_in_one_hand } => {
            set_voter(app, SetVoter { member, voter: false, accept_quorum_in_one_hand }).await?;
        }
        MemberCommand::Address { member, address } => {
            set_address(app, SetMemberAddress { member, address }).await?;
        }
        MemberCommand::Remove { member, file, yes } => remove(app, member, &file, yes).await?,
        MemberCommand::Founder(args) => opening::founder(app, &args)?,
        MemberCommand::Recover { open, dead } => opening::recover(app, &open, &dead)?,
        MemberCommand::Transfer { member } => transfer(app, member).await?,
    }
    Ok(Exit::Ok)
}

const LIST: &str = "sekisho member list";

async fn write_package(app: &mut App<'_>, file: &std::path::Path) -> Result<(), Failure> {
    agreement::not_there(file)?;
    let session = app.session()?;
    let package = agreement::package(app, &session).await?;
    let bytes = package.bytes().map_err(|error| Failure::invalid(error.to_string()))?;
    part::replace(file, &bytes)?;
    let path = file.display();
    let line = app.output.pick(
        format!("{path}: name it in the new controller's settings as `package`"),
        format!("{path}: 新しいコントローラーの設定の `package` に指定してください"),
    );
    app.output.line(&line)
}

async fn add(app: &mut App<'_>, file: &std::path::Path) -> Result<(), Failure> {
    let agreed = agreement::read(file)?;
    let Terms::AddMember(member) = &agreed.terms else {
        return Err(Failure::invalid(format!("{}: not one that adds", file.display())));
    };
    let name = member.member.name();
    let done = Text::new("added as a learner", "を学習者として追加しました");
    agreement::send(app, agreed, &name, done, LIST).await
}

async fn set_voter(app: &mut App<'_>, set: SetVoter) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let SetVoter { member, voter, accept_quorum_in_one_hand } = set;
    let joint = Joint::SetVoter { member, voter, accept_quorum_in_one_hand };
    let Some(prepared) = approval::prepare(app, &session, joint, &member.name()).await? else {
        return Ok(());
    };
    let request = set.request(prepared.intent);
    let written =
        ask!(session.client, member_service_client::MemberServiceClient, set_voter, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let done = if voter {
        Text::new("votes as soon as it has caught up", "は追いつき次第、投票者になります")
    } else {
        Text::new("votes no longer as soon as the others agree", "はまもなく投票しなくなります")
    };
    let next = Some(LIST.to_owned());
    app.changed(&member.name(), prepared.request, written.revision, done, next)
}

async fn set_address(app: &mut App<'_>, set: SetMemberAddress) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let (member, address) = (set.member, set.address.clone());
    let joint = Joint::SetMemberAddress { member, address };
    let Some(prepared) = approval::prepare(app, &session, joint, &member.name()).await? else {
        return Ok(());
    };
    let request = set.request(prepared.intent);
    let written = ask!(
        session.client,
        member_service_client::MemberServiceClient,
        set_member_address,
        request
    )
    .map_err(|failure| failure.of_request(prepared.request))?;
    let (done, next) = (Text::new("moved", "のアドレスを変更しました"), Some(LIST.to_owned()));
    app.changed(&member.name(), prepared.request, written.revision, done, next)
}

async fn remove(
    app: &mut App<'_>,
    member: MemberId,
    file: &std::path::Path,
    yes: bool,
) -> Result<(), Failure> {
    let agreed = agreement::read(file)?;
    if agreed.terms != Terms::RemoveMember(member) {
        let why = format!("{}: not one that removes member {member}", file.display());
        return Err(Failure::invalid(why));
    }
    app.confirm(yes, &member.name())?;
    let done = Text::new("removed", "を削除しました");
    agreement::send(app, agreed, &member.name(), done, LIST).await
}

async fn transfer(app: &mut App<'_>, member: MemberId) -> Result<(), Failure> {
    let session = app.session()?;
    let request = v1::TransferLeaderRequest { name: member.name() };
    let handed =
        ask!(session.client, member_service_client::MemberServiceClient, transfer_leader, request)?;
    if !app.output.format.is_for_people() {
        #[derive(serde::Serialize)]
        struct Handed {
            leader: String,
            term: u64,
        }
        return app.output.data(&Handed { leader: handed.leader, term: handed.term });
    }
    let (leader, term) = (short(&handed.leader), handed.term);
    let line = app.output.pick(
        format!("member {leader} leads since term {term}"),
        format!("メンバー {leader} が第 {term} 期からリーダーです"),
    );
    app.output.line(&line)?;
    if handed.leader != member.name() {
        let note = app.output.pick(
            format!("member {member} did not win the election"),
            format!("メンバー {member} は選出されませんでした"),
        );
        app.output.note(&note)?;
    }
    Ok(())
}
