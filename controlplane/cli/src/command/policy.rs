//! `sekisho policy`: named residency policies.

mod plan;
pub(super) use plan::{NodeVerdictView, bound as plan_bound};
mod status;

use super::list::{ListArgs, beside, pages};
use super::{approval, etag, instant, short, yes_no};
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::duration::text;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::Text;
use crate::output::{Column, Shown, column, wide};
use crate::spec::read_text;
use crate::spec::residency::{Raw, parse, placeless, unplaced};
use sekisho_fsm::command::Command;
use sekisho_proto::convert::policy::{DeletePolicy, PutPolicy};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::PolicyId;
use sekisho_types::joint::Joint;
use sekisho_types::jurisdiction::Area;
use sekisho_types::residency::{PROOF_F_DEFAULT, Rules};
use sekisho_types::time::Date;
use serde::Serialize;
use std::path::PathBuf;

/// Verbs of a policy.
#[derive(Debug, clap::Subcommand)]
pub enum PolicyCommand {
    /// List policies
    List(ListArgs),
    /// Show one policy
    Get {
        /// Its id
        policy: PolicyId,
    },
    /// Create a policy; federation-admins of two operators sign, at once or by an approval
    Create {
        /// Its id
        policy: PolicyId,
        /// Its rules
        #[command(flatten)]
        rules: RuleArgs,
    },
    /// Replace a policy's rules; federation-admins of two operators sign
    Update {
        /// Its id
        policy: PolicyId,
        /// Its new rules, all of them
        #[command(flatten)]
        rules: RuleArgs,
    },
    /// Take out a policy that no tenant and no open job names
    Delete {
        /// Its id
        policy: PolicyId,
        /// Do it: it cannot be undone
        #[arg(long)]
        yes: bool,
    },
    /// What an update with these rules would do now: what would leave, wait for ever, be lost or gained. Changes nothing
    Plan {
        /// Its id
        policy: PolicyId,
        /// Its new rules, all of them
        #[command(flatten)]
        rules: RuleArgs,
    },
    /// How many nodes enforce a policy's version, and what has to leave yet
    Status {
        /// Its id; without it, of each
        policy: Option<PolicyId>,
        /// Which of them
        #[command(flatten)]
        args: ListArgs,
    },
}

/// What a file of rules stands in place of.
const OPTIONS: [&str; 10] = [
    "areas",
    "denied_areas",
    "operators",
    "denied_operators",
    "country_tier",
    "area_tier",
    "forbid_run_to_completion",
    "proof_f",
    "max_proof_age",
    "on_stale_proof",
];

/// Residency rules on the command line. What is left out does not restrict; Japan always binds.
#[derive(Debug, clap::Args)]
pub struct RuleArgs {
    /// A file with all of them, YAML or JSON, in place of the options; `-` = stdin
    #[arg(short, long, value_name = "FILE", conflicts_with_all = OPTIONS)]
    file: Option<PathBuf>,
    /// Area allowed: JP-01, Hokkaido, 北海道 or a six-digit code; repeatable
    #[arg(long = "area", value_name = "AREA")]
    areas: Vec<String>,
    /// Area denied; repeatable
    #[arg(long = "deny-area", value_name = "AREA")]
    denied_areas: Vec<String>,
    /// Operator allowed; repeatable
    #[arg(long = "operator", value_name = "OPERATOR")]
    operators: Vec<String>,
    /// Operator denied; repeatable
    #[arg(long = "deny-operator", value_name = "OPERATOR")]
    denied_operators: Vec<String>,
    /// How well "inside Japan" must be established: T1, T2 or T3
    #[arg(long, value_name = "TIER")]
    country_tier: Option<String>,
    /// How well the area must be established
    #[arg(long, value_name = "TIER")]
    area_tier: Option<String>,
    /// Jobs may not outlive the contact to their node
    #[arg(long)]
    forbid_run_to_completion: bool,
    /// Least f at which country_tier T2 or T3 counts: so many operators may lie; without it 1
    #[arg(long, value_name = "F")]
    proof_f: Option<u32>,
    /// How old a proof may be: 3m to 1h
    #[arg(long, value_name = "TIME")]
    max_proof_age: Option<String>,
    /// What becomes of a running job when the proof is over: keep, or drain, which moves it after five minutes
    #[arg(long, value_name = "MODE")]
    on_stale_proof: Option<String>,
}

impl RuleArgs {
    /// Whether any is given.
    pub(super) fn is_given(&self) -> bool {
        let lists = [&self.areas, &self.denied_areas, &self.operators, &self.denied_operators];
        let texts =
            [&self.country_tier, &self.area_tier, &self.max_proof_age, &self.on_stale_proof];
        self.file.is_some()
            || self.forbid_run_to_completion
            || self.proof_f.is_some()
            || lists.iter().any(|list| !list.is_empty())
            || texts.iter().any(|text| text.is_some())
    }

    /// Reads them.
    pub(super) fn rules(&self, today: Date) -> Result<Rules, Failure> {
        if let Some(file) = &self.file {
            return parse(&read_text(file)?, today);
        }
        let all = |texts: &[String]| texts.iter().map(|text| unplaced(text)).collect();
        let raw = Raw {
            areas: all(&self.areas),
            denied_areas: all(&self.denied_areas),
            operators: all(&self.operators),
            denied_operators: all(&self.denied_operators),
            country_tier: self.country_tier.as_deref().map(unplaced),
            area_tier: self.area_tier.as_deref().map(unplaced),
            allow_run_to_completion: Some(!self.forbid_run_to_completion),
            proof_f: self.proof_f.map(placeless),
            max_proof_age: self.max_proof_age.as_deref().map(unplaced),
            on_stale_proof: self.on_stale_proof.as_deref().map(unplaced),
        };
        raw.read("", today)
    }
}

#[derive(Debug, Serialize)]
pub(super) struct PolicyView {
    name: String,
    areas: Vec<String>,
    denied_areas: Vec<String>,
    operators: Vec<String>,
    denied_operators: Vec<String>,
    country_tier: String,
    area_tier: String,
    allow_run_to_completion: bool,
    proof_f: u32,
    max_proof_age_s: Option<u64>,
    on_stale_proof: String,
    etag: String,
    since_ms: u64,
}

impl From<v1::Policy> for PolicyView {
    fn from(policy: v1::Policy) -> Self {
        let rules = policy.rules.unwrap_or_default();
        Self {
            name: policy.name,
            areas: rules.areas,
            denied_areas: rules.denied_areas,
            operators: rules.operators,
            denied_operators: rules.denied_operators,
            country_tier: rules.country_tier,
            area_tier: rules.area_tier,
            allow_run_to_completion: rules.allow_run_to_completion,
            proof_f: rules.proof_f.unwrap_or(PROOF_F_DEFAULT),
            max_proof_age_s: rules.max_proof_age_s,
            on_stale_proof: rules.on_stale_proof,
            etag: policy.etag,
            since_ms: policy.since_ms,
        }
    }
}

fn labels(areas: &[String], empty: &str) -> String {
    let label =
        |text: &String| Area::resolve(text).map_or_else(|_unknown| text.clone(), Area::label);
    if areas.is_empty() {
        empty.to_owned()
    } else {
        areas.iter().map(label).collect::<Vec<_>>().join(", ")
    }
}

impl Shown for PolicyView {
    const COLUMNS: &'static [Column] = &[
        column("policy", "ポリシー"),
        column("areas", "許可地域"),
        column("denied", "禁止地域"),
        column("operators", "事業者"),
        column("tiers", "証明段階"),
        wide("run to completion", "切断後の完走"),
        wide("proof", "証明の条件"),
        wide("since", "適用開始"),
        wide("etag", "etag"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let mut operators = self.operators.clone();
        operators.extend(self.denied_operators.iter().map(|operator| format!("!{operator}")));
        let any = crate::language::pick(language, "any", "すべて");
        vec![
            short(&self.name).to_owned(),
            labels(&self.areas, &Area::Japan.label()),
            labels(&self.denied_areas, "-"),
            if operators.is_empty() { any.to_owned() } else { operators.join(", ") },
            format!("{}/{}", self.country_tier, self.area_tier),
            yes_no(language, self.allow_run_to_completion),
            self.proof(),
            instant(self.since_ms),
            self.etag.clone(),
        ]
    }
}

impl PolicyView {
    /// What is asked of proofs; nothing where none is asked for.
    fn proof(&self) -> String {
        let is_proof = |tier: &str| tier >= "T2";
        if !is_proof(&self.country_tier) && !is_proof(&self.area_tier) {
            return String::new();
        }
        let f = is_proof(&self.country_tier).then(|| format!("f={}", self.proof_f));
        let age = self.max_proof_age_s.map(text);
        let parts = [f, age, Some(self.on_stale_proof.clone())];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

pub(super) async fn run(app: &mut App<'_>, command: PolicyCommand) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::List(args) => list(app, args).await?,
        PolicyCommand::Get { policy } => {
            let session = app.session()?;
            let found = get(app, &session, &policy).await?;
            app.output.one(&PolicyView::from(found))?;
        }
        PolicyCommand::Create { policy, rules } => {
            let rules = rules.rules(app.today())?;
            Box::pin(create(app, PutPolicy { policy, rules, expected: None })).await?;
        }
        PolicyCommand::Update { policy, rules } => {
            let rules = rules.rules(app.today())?;
            let session = app.signing_session().await?;
            let read = get(app, &session, &policy).await?;
            let put = PutPolicy { policy, rules, expected: Some(etag(&read.etag)?) };
            Box::pin(update(app, &session, put)).await?;
        }
        PolicyCommand::Plan { policy, rules } => {
            let rules = rules.rules(app.today())?;
            Box::pin(plan::run(app, &policy, &rules)).await?;
        }
        PolicyCommand::Delete { policy, yes } => delete(app, policy, yes).await?,
        PolicyCommand::Status { policy, args } => {
            Box::pin(status::run(app, policy.as_ref(), args)).await?;
        }
    }
    Ok(Exit::Ok)
}

async fn get(app: &App<'_>, session: &Session, policy: &PolicyId) -> Result<v1::Policy, Failure> {
    let request = v1::GetPolicyRequest { name: policy.name(), read: app.read() };
    ask!(session.client, policy_service_client::PolicyServiceClient, get_policy, request)
}

async fn list(app: &mut App<'_>, ListArgs { filter, sort }: ListArgs) -> Result<(), Failure> {
    let session = app.session()?;
    let (policies, page) = pages!(policies, |page_token| {
        let request = v1::ListPoliciesRequest {
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(session.client, policy_service_client::PolicyServiceClient, list_policies, request)
    });
    let items: Vec<PolicyView> = policies.into_iter().map(PolicyView::from).collect();
    app.output.list(&items, &beside!(page))
}

fn joint(put: &PutPolicy) -> Joint {
    Joint::PutPolicy {
        policy: put.policy.clone(),
        rules: put.rules.clone(),
        expected: put.expected,
    }
}

/// Creates a policy.
pub(crate) async fn create(app: &mut App<'_>, put: PutPolicy) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let of = put.policy.name();
    let Some(prepared) = approval::prepare(app, &session, joint(&put), &of).await? else {
        return Ok(());
    };
    let request = put.create_request(prepared.intent);
    let written =
        ask!(session.client, policy_service_client::PolicyServiceClient, create_policy, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let next = format!("sekisho tenant update TENANT --policy {}", put.policy);
    app.changed(
        &put.policy.name(),
        prepared.request,
        written.revision,
        Text::new("created", "を作成しました"),
        Some(next),
    )
}

async fn update(app: &mut App<'_>, session: &Session, put: PutPolicy) -> Result<(), Failure> {
    let of = put.policy.name();
    let Some(prepared) = approval::prepare(app, session, joint(&put), &of).await? else {
        return Ok(());
    };
    let request = put.update_request(prepared.intent);
    let written =
        ask!(session.client, policy_service_client::PolicyServiceClient, update_policy, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    app.changed(
        &put.policy.name(),
        prepared.request,
        written.revision,
        Text::new("updated", "を更新しました"),
        None,
    )
}

async fn delete(app: &mut App<'_>, policy: PolicyId, yes: bool) -> Result<(), Failure> {
    app.confirm(yes, &policy.name())?;
    let session = app.signing_session().await?;
    let read = get(app, &session, &policy).await?;
    let delete = DeletePolicy { policy, expected: etag(&read.etag)? };
    let command =
        Command::DeletePolicy { policy: delete.policy.clone(), expected: delete.expected };
    let prepared = app.prepare(&session, &command)?;
    let request = delete.request(prepared.intent);
    let written =
        ask!(session.client, policy_service_client::PolicyServiceClient, delete_policy, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let done = Text::new("deleted", "を削除しました");
    app.changed(&delete.policy.name(), prepared.request, written.revision, done, None)
}
