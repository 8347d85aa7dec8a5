//! `sekisho pki`: an operator's own keys and certificates. Works on files alone; nothing secret is shown.

use super::instant;
use super::site::area;
use crate::app::App;
use crate::client::identity;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Column, Shown, column};
use crate::pki::{Card, OperatorDir, Plan, ips};
use sekisho_evidence::genesis::GenesisSite;
use sekisho_transport::pki::backup::recipient;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::{MemberId, OperatorId, SiteId};
use sekisho_types::name::Name;
use sekisho_types::principal::{Principal, TrustDomain};
use serde::Serialize;
use std::path::PathBuf;

mod login;

/// Verbs of an operator's keys.
#[derive(Debug, clap::Subcommand)]
pub enum PkiCommand {
    /// Make root, issuers, member and administrator keys of a new operator
    Init(Box<InitArgs>),
    /// Make a fresh certificate from this operator's own issuers: a controller's or landmark's for seven days, a person's for twelve hours
    Renew(RenewArgs),
    /// Make a registrar, by which the operator's controllers register people who log in
    Registrar(login::RegistrarArgs),
    /// Sign the request of somebody who logs in by a file
    SignRequest(login::SignArgs),
    /// Show the public part of an operator's directory, or with no directory the context's identity
    Show {
        /// The operator's directory
        dir: Option<PathBuf>,
    },
}

/// A new operator.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// Directory to make
    dir: PathBuf,
    /// The operator's id
    #[arg(long)]
    operator: OperatorId,
    /// Its SPIFFE trust domain, a DNS name
    #[arg(long, value_parser = trust_domain)]
    trust_domain: TrustDomain,
    /// Its first site
    #[arg(long)]
    site: SiteId,
    /// Where the site stands: six-digit code, JP-01 to JP-47, or a prefecture's name
    #[arg(long)]
    area: String,
    /// Name of the site for people
    #[arg(long, default_value = "")]
    display_name: String,
    /// A controller at the site, NUMBER=HOST:PORT; repeatable. None for a company that joins a federation under way
    #[arg(long = "member", value_name = "N=ADDRESS", value_parser = member)]
    members: Vec<(MemberId, String)>,
    /// Login name of the first administrator
    #[arg(long, default_value = "admin")]
    admin: Name,
}

/// Whose certificate is renewed.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("who").required(true).multiple(true))]
pub struct RenewArgs {
    /// The operator's directory
    dir: PathBuf,
    /// A person of it; repeatable
    #[arg(long, value_name = "NAME", group = "who")]
    user: Vec<Name>,
    /// A controller, NUMBER=HOST:PORT
    #[arg(long, value_name = "N=ADDRESS", value_parser = member, group = "who", requires = "site")]
    member: Option<(MemberId, String)>,
    /// A landmark that runs apart from a controller; repeatable. A new one gets a key to sign with, too
    #[arg(long, value_name = "NAME", group = "who")]
    landmark: Vec<Name>,
    /// The site where the controller stands
    #[arg(long, requires = "member")]
    site: Option<SiteId>,
    /// Where that site stands, if it is none of the operator's first: six-digit code, JP-01 to JP-47, or a prefecture's name
    #[arg(long, requires = "site")]
    area: Option<String>,
}

fn trust_domain(text: &str) -> Result<TrustDomain, String> {
    TrustDomain::parse(text).map_err(|error| error.to_string())
}

fn member(text: &str) -> Result<(MemberId, String), String> {
    let bad = || "must be NUMBER=HOST:PORT".to_owned();
    let (number, address) = text.split_once('=').ok_or_else(bad)?;
    let address: sekisho_transport::address::Address =
        address.parse().map_err(|error| format!("{error}"))?;
    Ok((MemberId(number.parse().map_err(|_digits| bad())?), address.to_string()))
}

#[derive(Debug, Serialize)]
struct CardView {
    operator: String,
    trust_domain: String,
    root_sha256: String,
    issuer_key: String,
    site_tag_key: String,
    backup_key: String,
    fingerprint: String,
    sites: Vec<String>,
    members: Vec<String>,
    admins: Vec<String>,
}

impl From<Card> for CardView {
    fn from(card: Card) -> Self {
        let site = |s: &GenesisSite| format!("{} {}", s.site, s.area.label());
        let members = card.members.iter().map(|m| format!("{} {}", m.member, m.address)).collect();
        let admins = card.admins.iter().map(|a| &a.record);
        let admins = admins.map(|a| format!("{} {}", a.principal, a.public_key)).collect();
        Self {
            operator: card.keys.operator.to_string(),
            trust_domain: card.keys.trust_domain.to_string(),
            root_sha256: card.keys.roots.current.to_string(),
            issuer_key: card.keys.issuers.current.to_string(),
            site_tag_key: card.keys.site_tags.current.to_string(),
            backup_key: recipient(&card.keys.backups.current),
            fingerprint: card.fingerprint().to_string(),
            sites: card.sites.iter().map(site).collect(),
            members,
            admins,
        }
    }
}

impl Shown for CardView {
    const COLUMNS: &'static [Column] = &[
        column("operator", "事業者"),
        column("trust domain", "信頼ドメイン"),
        column("root sha-256", "ルート指紋"),
        column("issuer key", "発行者の鍵"),
        column("site-tag key", "拠点タグの鍵"),
        column("backup key", "バックアップの鍵"),
        column("fingerprint", "指紋"),
        column("sites", "拠点"),
        column("members", "メンバー"),
        column("administrators", "管理者"),
    ];
    fn cells(&self, _language: Language) -> Vec<String> {
        vec![
            self.operator.clone(),
            self.trust_domain.clone(),
            self.root_sha256.clone(),
            self.issuer_key.clone(),
            self.site_tag_key.clone(),
            self.backup_key.clone(),
            self.fingerprint.clone(),
            self.sites.join(", "),
            self.members.join(", "),
            self.admins.join(", "),
        ]
    }
}

#[derive(Debug, Serialize)]
struct IdentityView {
    principal: String,
    trust_domain: String,
    not_before_ms: u64,
    not_after_ms: u64,
    signs: bool,
    file: String,
}

impl Shown for IdentityView {
    const COLUMNS: &'static [Column] = &[
        column("principal", "主体"),
        column("trust domain", "信頼ドメイン"),
        column("from", "開始"),
        column("until", "期限"),
        column("signs", "署名鍵"),
        column("file", "ファイル"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        vec![
            self.principal.clone(),
            self.trust_domain.clone(),
            instant(self.not_before_ms),
            instant(self.not_after_ms),
            super::yes_no(language, self.signs),
            self.file.clone(),
        ]
    }
}

pub(super) fn run(app: &mut App<'_>, command: PkiCommand) -> Result<Exit, Failure> {
    match command {
        PkiCommand::Init(args) => init(app, *args)?,
        PkiCommand::Renew(args) => renew(app, &args)?,
        PkiCommand::Registrar(args) => login::registrar(app, args)?,
        PkiCommand::SignRequest(args) => login::sign_request(app, args)?,
        PkiCommand::Show { dir: Some(dir) } => {
            app.output.one(&CardView::from(OperatorDir::new(dir).card()?))?;
        }
        PkiCommand::Show { dir: None } => {
            let named = app.global.context.clone();
            let language = app.output.language;
            let (_, context) = app.contexts()?.pick(named.as_deref(), language)?;
            let view = of_context(&context.clone())?;
            app.output.one(&view)?;
        }
    }
    Ok(Exit::Ok)
}

fn renew(app: &mut App<'_>, args: &RenewArgs) -> Result<(), Failure> {
    let (dir, now) = (OperatorDir::new(&args.dir), app.now());
    let card = dir.card()?;
    let mut renewed = Vec::new();
    for name in &args.user {
        let path = dir.user(name);
        if !path.exists() {
            return Err(Failure::new(ErrorCode::NotFound, path.display().to_string()));
        }
        dir.renew_user(name, now)?;
        renewed.push(path);
    }
    if let (Some((number, address)), Some(id)) = (&args.member, &args.site) {
        let path = dir.member(*number);
        if !path.exists() {
            return Err(Failure::new(ErrorCode::NotFound, path.display().to_string())
                .remedy("a new controller is prepared: `sekisho member prepare`"));
        }
        let known = card.sites.iter().find(|site| site.site == *id).map(|site| site.area);
        let named = args.area.as_deref().map(area).transpose()?;
        let area = named.or(known).ok_or_else(|| {
            Failure::invalid(format!("{id} is not on the card"))
                .remedy("say where it stands: --area")
        })?;
        let operator = card.keys.operator;
        let site = GenesisSite { site: id.clone(), operator, area, display_name: String::new() };
        dir.renew_member(&site, *number, &ips(address), now)?;
        renewed.push(path);
    }
    for name in &args.landmark {
        renewed.push(dir.renew_landmark(name, now)?);
    }
    for path in renewed {
        let path = path.display();
        let line = app.output.pick(
            format!(
                "{path}: fresh key and certificate; a controller or landmark takes them when it is restarted"
            ),
            format!("{path}: 鍵と証明書を更新しました。コントローラーやランドマークは再起動で反映されます"),
        );
        app.output.line(&line)?;
    }
    Ok(())
}

fn of_context(context: &Context) -> Result<IdentityView, Failure> {
    let identity = identity(context)?;
    let (from, until) = identity.validity();
    let principal = Principal { operator: context.operator.clone(), workload: identity.workload() };
    Ok(IdentityView {
        principal: principal.to_string(),
        trust_domain: identity.trust_domain().to_string(),
        not_before_ms: from.0,
        not_after_ms: until.0,
        signs: context.signing_key.is_some(),
        file: context.identity.display().to_string(),
    })
}

fn init(app: &mut App<'_>, args: InitArgs) -> Result<(), Failure> {
    let area = area(&args.area)?;
    area.valid_on(app.today()).map_err(|e| Failure::new(ErrorCode::AreaRetired, e.to_string()))?;
    let plan = Plan {
        site: GenesisSite {
            site: args.site,
            operator: args.operator.clone(),
            area,
            display_name: args.display_name,
        },
        operator: args.operator,
        trust_domain: args.trust_domain,
        members: args.members,
        admin: args.admin,
    };
    let dir = OperatorDir::new(args.dir);
    let card = dir.init(&plan, &[], app.now())?;
    app.output.one(&CardView::from(card))?;
    let card = dir.path().join(crate::pki::CARD_FILE);
    let note = app.output.pick(
        format!("give {} to your partners; keep every .key file, root.key offline", card.display()),
        format!("{} をパートナーに渡し、.key ファイルは外に出さず、root.key はオフラインで保管してください", card.display()),
    );
    app.output.note(&note)
}
