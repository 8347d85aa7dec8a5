//! The command line: `sekisho NOUN VERB`. Each noun's verbs stand with the noun under [`crate::command`].

use crate::command::{
    approval, audit, break_glass, budget, context, error, escrow, job, key, landmark, login,
    member, node, offer, operation, operator, pki, policy, quota, reservation, residency,
    scheduler, site, snapshot, status, support, tenant, veto, watch,
};
use crate::complete::Shell;
use crate::dev::DevCommand;
use crate::language::Text;
use crate::output::Format;
use sekisho_types::error_code::Language;
use sekisho_types::id::RequestId;
use std::path::PathBuf;

/// Below the help of the whole program.
pub const EXAMPLES: Text = Text::new(
    "\
Examples:
  sekisho dev                        start a federation of three operators here
  sekisho context check              who am I, which members answer
  sekisho status                     health on one screen, worst first
  sekisho job plan job.yaml          what would happen to this job now
  sekisho job submit job.yaml --wait running
  sekisho job explain sapporo/train  why a job waits
  sekisho job list --watch           jobs, and what becomes of them
  sekisho residency status           where each node is proven to be
  sekisho audit verify bundle.bin    check every placement again, offline
  sekisho help exit-codes            what a script can tell apart",
    "\
例:
  sekisho dev                        このマシンで3事業者の連合を起動
  sekisho context check              自分の資格と、応答するメンバーを確認
  sekisho status                     連合の状態を1画面で(悪い順)
  sekisho job plan job.yaml          このジョブが今どうなるか
  sekisho job submit job.yaml --wait running
  sekisho job explain sapporo/train  ジョブが待っている理由
  sekisho job list --watch           ジョブの一覧と、その変化
  sekisho residency status           各ノードの所在の証明
  sekisho audit verify bundle.bin    すべての配置をオフラインで再検証
  sekisho help exit-codes            スクリプト向けの終了コード",
);

/// Sovereign GPU compute in Japan: the federation's command line.
#[derive(Debug, clap::Parser)]
#[command(name = "sekisho", version, propagate_version = true)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Contexts file; else $SEKISHO_CONFIG, $SEKISHO_HOME/contexts.toml, the XDG configuration folder
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Context to act in
    #[arg(long, global = true, value_name = "NAME", env = "SEKISHO_CONTEXT")]
    pub context: Option<String>,
    /// Sign as this context too; only in federations made by `sekisho dev`
    #[arg(long, global = true, value_name = "NAME")]
    pub cosign: Vec<String>,
    /// How long a change that takes two operators waits for the other one's signature, at most 7d; else 1d
    #[arg(long, global = true, value_name = "TIME", value_parser = crate::duration::seconds)]
    pub approval_wait: Option<u64>,
    /// Form of the result
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub output: Format,
    /// Language of messages: en or ja; else by LC_ALL, LC_MESSAGES, LANG
    #[arg(long, global = true, value_name = "LANG", value_parser = language)]
    pub lang: Option<Language>,
    /// Id of the intention, 32 hexadecimal digits: repeat a command with it to get the same answer
    #[arg(long, global = true, value_name = "ID")]
    pub request_id: Option<RequestId>,
    /// Read from the asked member's own state, without asking the leader
    #[arg(long, global = true)]
    pub local: bool,
    /// Check everything, change nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Longest wait for an answer, e.g. 15s
    #[arg(long, global = true, value_name = "TIME", default_value = "15s", value_parser = crate::duration::seconds)]
    pub timeout: u64,
    /// No colour; also with NO_COLOR set or output to a file
    #[arg(long, global = true)]
    pub no_color: bool,
}

fn language(text: &str) -> Result<Language, String> {
    match text {
        "en" => Ok(Language::En),
        "ja" => Ok(Language::Ja),
        _ => Err("must be en or ja".to_owned()),
    }
}

/// The nouns.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Run a federation of three operators on this machine
    Dev(DevCommand),
    /// Get a certificate and a key for half a day, with the operator's identity provider or by a file
    Login(login::LoginArgs),
    /// Take that key back and remove the files
    Logout(login::LogoutArgs),
    /// Keys and certificates of one operator
    #[command(subcommand)]
    Pki(pki::PkiCommand),
    /// Where nodes are proven to be, and what landmarks could prove
    #[command(subcommand)]
    Residency(residency::ResidencyCommand),
    /// Places with nodes, controllers or both
    #[command(subcommand)]
    Site(site::SiteCommand),
    /// GPU hosts
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// Hosts of known position that measure where nodes are
    #[command(subcommand)]
    Landmark(landmark::LandmarkCommand),
    /// Customers
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Named residency policies
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// GPUs that a tenant may hold at once
    #[command(subcommand)]
    Quota(quota::QuotaCommand),
    /// What a tenant may use over time: GPU-hours or yen for each period
    #[command(subcommand)]
    Budget(budget::BudgetCommand),
    /// GPUs that operators offer at their sites: nothing is granted beyond them
    #[command(subcommand)]
    Offer(offer::OfferCommand),
    /// GPUs of what is offered that are promised to a tenant, for a time or without an end
    #[command(subcommand)]
    Reservation(reservation::ReservationCommand),
    /// Tenants and jobs of which an operator takes no work
    #[command(subcommand)]
    Veto(veto::VetoCommand),
    /// Slices of tenants' quotas that sites hold
    #[command(subcommand)]
    Escrow(escrow::EscrowCommand),
    /// Registered signing keys: who may do what
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Changes that wait for the signature of another operator
    #[command(subcommand)]
    Approval(approval::ApprovalCommand),
    /// The emergency right: stop and narrow beyond one's own borders, alone and for hours
    #[command(subcommand)]
    BreakGlass(break_glass::BreakGlassCommand),
    /// Jobs
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Controllers
    #[command(subcommand)]
    Member(member::MemberCommand),
    /// Companies: who takes part, with which keys
    #[command(subcommand)]
    Operator(operator::OperatorCommand),
    /// The federation's health on one screen, worst first
    Status(status::StatusCommand),
    /// Follow rows as they change, newline JSON with `-o json`; it goes on at another member by itself
    Watch(watch::WatchArgs),
    /// What goes on after a command was answered: drains, enforcement of policies, members, revoked sites
    #[command(subcommand)]
    Operation(operation::OperationCommand),
    /// The audit log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Backups
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotCommand),
    /// What the planner reads, in a file to plan on again: for a placement that looks wrong
    #[command(subcommand)]
    Scheduler(scheduler::SchedulerCommand),
    /// Error codes: what each means, and what to do
    #[command(subcommand)]
    Error(error::ErrorCommand),
    /// Federations to act in: through which members, as whom
    #[command(subcommand)]
    Context(context::ContextCommand),
    /// Write what an engineer needs to see to one file: no payload, log or key, and without --names no name
    SupportBundle(support::SupportArgs),
    /// Print a shell's completion, which offers the federation's names too
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages
    Man {
        /// Folder: English goes to man1, Japanese to ja/man1
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Version of this program
    Version,
}

impl Command {
    /// Whether `--dry-run` means something to it. Verbs that make keys or files here would do so all the same.
    #[must_use]
    pub fn takes_dry_run(&self) -> bool {
        use audit::AuditCommand;
        use member::MemberCommand;
        use operator::OperatorCommand;
        use scheduler::SchedulerCommand;
        use snapshot::SnapshotCommand;
        match self {
            Self::Dev(_)
            | Self::Login(_)
            | Self::Logout(_)
            | Self::SupportBundle(_)
            | Self::Man { .. } => false,
            Self::Pki(command) => matches!(command, pki::PkiCommand::Show { .. }),
            Self::Operator(command) => match command {
                OperatorCommand::Prepare(_) | OperatorCommand::Install { .. } => false,
                OperatorCommand::Trust(trust) => !trust.writes(),
                OperatorCommand::List(_)
                | OperatorCommand::Get { .. }
                | OperatorCommand::Sign { .. }
                | OperatorCommand::Add { .. }
                | OperatorCommand::Remove { .. }
                | OperatorCommand::Rotate { .. } => true,
            },
            Self::Member(command) => !matches!(
                command,
                MemberCommand::Prepare(_)
                    | MemberCommand::Package { .. }
                    | MemberCommand::Founder(_)
            ),
            Self::Snapshot(command) => !matches!(command, SnapshotCommand::Save { .. }),
            Self::Scheduler(command) => matches!(command, SchedulerCommand::Replay { .. }),
            Self::Audit(command) => {
                matches!(command, AuditCommand::Show(_) | AuditCommand::Verify(_))
            }
            Self::Residency(command) => command.takes_dry_run(),
            Self::Site(_)
            | Self::Node(_)
            | Self::Landmark(_)
            | Self::Tenant(_)
            | Self::Policy(_)
            | Self::Quota(_)
            | Self::Budget(_)
            | Self::Offer(_)
            | Self::Reservation(_)
            | Self::Veto(_)
            | Self::Escrow(_)
            | Self::Key(_)
            | Self::Approval(_)
            | Self::BreakGlass(_)
            | Self::Job(_)
            | Self::Status(_)
            | Self::Watch(_)
            | Self::Operation(_)
            | Self::Error(_)
            | Self::Context(_)
            | Self::Completion { .. }
            | Self::Version => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser as _};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_dry_run_is_refused_where_it_would_not_be_one() {
        let takes = |line: &str| {
            let line = line.split(' ');
            Cli::try_parse_from(line).unwrap().command.takes_dry_run()
        };
        let sign = "sekisho operator sign f --operator-dir d --fingerprint";
        for line in [
            &*format!("{sign} {}", "0".repeat(64)),
            "sekisho operator trust --genesis g",
            "sekisho pki show",
            "sekisho audit verify f",
            "sekisho job list",
            "sekisho residency status",
            "sekisho scheduler replay f",
        ] {
            assert!(takes(line), "{line}");
        }
        for line in [
            "sekisho operator install --operator-dir d",
            "sekisho operator trust --genesis g --write",
            "sekisho member package f",
            "sekisho audit export f",
            "sekisho audit prove 7",
            "sekisho audit watch --head f",
            "sekisho snapshot save f",
            "sekisho scheduler snapshot f",
            "sekisho residency prove a/n",
            "sekisho residency map f.svg",
        ] {
            assert!(!takes(line), "{line}");
        }
    }

    #[test]
    fn global_options_stand_before_and_after_the_verb() {
        let id = "ab".repeat(16);
        let line = [
            "sekisho",
            "-o",
            "json",
            "site",
            "list",
            "--context",
            "kanto",
            "--request-id",
            &id,
            "--timeout",
            "1m",
        ];
        let cli = Cli::try_parse_from(line).unwrap();
        assert_eq!((cli.global.output, cli.global.timeout), (Format::Json, 60));
        assert_eq!(cli.global.context.as_deref(), Some("kanto"));
        assert_eq!(cli.global.request_id, Some(RequestId([0xab; 16])));
        for bad in
            [["--timeout", "5"], ["--request-id", "zz"], ["--lang", "fr"], ["--output", "csv"]]
        {
            assert!(
                Cli::try_parse_from(["sekisho", "site", "list"].iter().chain(&bad)).is_err(),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn no_option_takes_a_secret() {
        fn walk(command: &clap::Command, found: &mut Vec<String>) {
            let names = command.get_arguments().filter_map(|arg| arg.get_long()).map(str::to_owned);
            found.extend(names);
            command.get_subcommands().for_each(|inner| walk(inner, found));
        }
        let mut names = Vec::new();
        walk(&Cli::command(), &mut names);
        for word in ["secret", "password", "passphrase", "private"] {
            assert!(!names.iter().any(|name| name.contains(word)), "{word}: {names:?}");
        }
    }
}
