//! `sekisho site`: places with nodes, controllers or both.

use super::list::{ListArgs, beside, pages};
use super::{approval, etag, yes_no};
use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::Text;
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_evidence::sealed::SignedSiteKey;
use sekisho_fsm::command::Command;
use sekisho_proto::convert::site::{NewSite, SetPowerCap, UpdateSite};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::id::{OperatorId, SiteId};
use sekisho_types::joint::Joint;
use sekisho_types::jurisdiction::{Area, AreaError};
use serde::Serialize;

/// Verbs of a site.
#[derive(Debug, clap::Subcommand)]
pub enum SiteCommand {
    /// List sites
    List(ListArgs),
    /// Show one site
    Get {
        /// Its id
        site: SiteId,
    },
    /// Register a site; federation-admins of two operators sign
    Create {
        /// Its id
        site: SiteId,
        /// Who runs it
        #[arg(long)]
        operator: OperatorId,
        /// Where it stands: six-digit code, JP-01 to JP-47, or a prefecture's name
        #[arg(long)]
        area: String,
        /// Name for people
        #[arg(long, default_value = "")]
        display_name: String,
    },
    /// Change a site's name for people; an administrator of its operator or of the federation signs
    Update {
        /// Its id
        site: SiteId,
        /// New name for people
        #[arg(long)]
        display_name: String,
    },
    /// Cap what all granted devices of a site may draw together; an administrator of its own operator signs
    PowerCap {
        /// Its id
        site: SiteId,
        /// Watts; what runs beyond it goes on, and nothing more is granted until it fits
        #[arg(long, value_name = "N", required_unless_present = "none", conflicts_with = "none")]
        watts: Option<u64>,
        /// It is not capped any more
        #[arg(long)]
        none: bool,
    },
    /// Take a site out for good: no new grant, its jobs stop within the lease
    Revoke {
        /// Its id
        site: SiteId,
        /// Do it: it cannot be undone
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct SiteView {
    name: String,
    operator: String,
    area: String,
    area_label: String,
    display_name: String,
    nodes: u32,
    revoked: bool,
    /// Which of its keys payloads are sealed to.
    key_epoch: Option<u32>,
    /// What its granted devices may draw.
    power_used_watts: u64,
    /// What they may draw at most, if it is capped.
    power_cap_watts: Option<u64>,
    etag: String,
}

impl From<v1::Site> for SiteView {
    fn from(site: v1::Site) -> Self {
        let v1::Site { name, operator, area, display_name, revoked, etag, .. } = site;
        let (nodes, area_label) = (site.nodes, site.area_label);
        let (power_used_watts, power_cap_watts) = (site.power_used_watts, site.power_cap_watts);
        let key = SignedSiteKey::parse(&site.sealing_key).ok();
        let key_epoch = key.map(|key| key.record.key.epoch.0);
        Self {
            name,
            operator,
            area,
            area_label,
            display_name,
            nodes,
            revoked,
            key_epoch,
            power_used_watts,
            power_cap_watts,
            etag,
        }
    }
}

impl Shown for SiteView {
    const COLUMNS: &'static [Column] = &[
        column("site", "拠点"),
        column("operator", "事業者"),
        column("area", "地域"),
        column("name", "名称"),
        column("nodes", "ノード数"),
        column("revoked", "失効"),
        wide("key", "鍵"),
        wide("watts", "電力(W)"),
        wide("etag", "etag"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        vec![
            super::short(&self.name).to_owned(),
            self.operator.clone(),
            self.area_label.clone(),
            self.display_name.clone(),
            self.nodes.to_string(),
            yes_no(language, self.revoked),
            self.key_epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string()),
            self.watts(),
            self.etag.clone(),
        ]
    }
}

impl SiteView {
    /// What may be drawn, and of how much if it is capped.
    fn watts(&self) -> String {
        let used = self.power_used_watts;
        self.power_cap_watts.map_or_else(|| used.to_string(), |cap| format!("{used}/{cap}"))
    }
}

/// The area that a person named.
pub(super) fn area(text: &str) -> Result<Area, Failure> {
    Area::resolve(text).map_err(|error| {
        let code = match &error {
            AreaError::Foreign(_) => ErrorCode::ResidencyOutsideJp,
            AreaError::Unknown(_) => ErrorCode::AreaUnknown,
            AreaError::Ambiguous { .. } => ErrorCode::AreaAmbiguous,
            AreaError::Retired { .. } => ErrorCode::AreaRetired,
        };
        Failure::new(code, format!("--area: {error}"))
    })
}

pub(super) async fn run(app: &mut App<'_>, command: SiteCommand) -> Result<Exit, Failure> {
    match command {
        SiteCommand::List(args) => list(app, &args).await?,
        SiteCommand::Get { site } => {
            let session = app.session()?;
            let found = get(app, &session, &site).await?;
            app.output.one(&SiteView::from(found))?;
        }
        SiteCommand::Update { site, display_name } => {
            Box::pin(update(app, site, display_name)).await?;
        }
        SiteCommand::PowerCap { site, watts, none: _ } => {
            Box::pin(cap_power(app, site, watts)).await?;
        }
        SiteCommand::Create { site, operator, area: text, display_name } => {
            let area = area(&text)?;
            area.valid_on(app.today())
                .map_err(|e| Failure::new(ErrorCode::AreaRetired, e.to_string()))?;
            Box::pin(create(app, NewSite { site, operator, area, display_name })).await?;
        }
        SiteCommand::Revoke { site, yes } => {
            app.confirm(yes, &site.name())?;
            let session = app.signing_session().await?;
            let prepared = app.prepare(&session, &Command::RevokeSite { site: site.clone() })?;
            let request =
                v1::RevokeSiteRequest { name: site.name(), intent: Some(prepared.intent) };
            let written =
                ask!(session.client, site_service_client::SiteServiceClient, revoke_site, request)
                    .map_err(|failure| failure.of_request(prepared.request))?;
            let next = format!("sekisho node list --site {site}");
            app.changed(
                &site.name(),
                prepared.request,
                written.revision,
                Text::new("revoked", "を失効しました"),
                Some(next),
            )?;
        }
    }
    Ok(Exit::Ok)
}

async fn get(app: &App<'_>, session: &Session, site: &SiteId) -> Result<v1::Site, Failure> {
    let request = v1::GetSiteRequest { name: site.name(), read: app.read() };
    ask!(session.client, site_service_client::SiteServiceClient, get_site, request)
}

async fn update(app: &mut App<'_>, site: SiteId, display_name: String) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let read = get(app, &session, &site).await?;
    let update = UpdateSite { site, display_name, expected: etag(&read.etag)? };
    let command = Command::UpdateSite {
        site: update.site.clone(),
        display_name: update.display_name.clone(),
        expected: update.expected,
    };
    let prepared = app.prepare(&session, &command)?;
    let request = update.request(prepared.intent);
    let written =
        ask!(session.client, site_service_client::SiteServiceClient, update_site, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let done = Text::new("updated", "を更新しました");
    app.changed(&update.site.name(), prepared.request, written.revision, done, None)
}

async fn cap_power(app: &mut App<'_>, site: SiteId, watts: Option<u64>) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let read = get(app, &session, &site).await?;
    let cap = SetPowerCap { site, watts, expected: etag(&read.etag)? };
    let command = Command::SetPowerCap { site: cap.site.clone(), watts, expected: cap.expected };
    let prepared = app.prepare(&session, &command)?;
    let request = cap.request(prepared.intent);
    let written =
        ask!(session.client, site_service_client::SiteServiceClient, set_power_cap, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let done = match watts {
        Some(_) => Text::new("capped", "の電力上限を設定しました"),
        None => Text::new("not capped any more", "の電力上限を外しました"),
    };
    let next = format!("sekisho site get {}", cap.site);
    app.changed(&cap.site.name(), prepared.request, written.revision, done, Some(next))
}

/// Every site that is asked for.
pub(super) async fn all(
    app: &App<'_>,
    session: &Session,
    ListArgs { filter, sort }: &ListArgs,
) -> Result<(Vec<v1::Site>, Listed), Failure> {
    let (sites, page) = pages!(sites, |page_token| {
        let request = v1::ListSitesRequest {
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        ask!(session.client, site_service_client::SiteServiceClient, list_sites, request)
    });
    Ok((sites, beside!(page)))
}

async fn list(app: &mut App<'_>, args: &ListArgs) -> Result<(), Failure> {
    let session = app.session()?;
    let (sites, beside) = all(app, &session, args).await?;
    let items: Vec<SiteView> = sites.into_iter().map(SiteView::from).collect();
    app.output.list(&items, &beside)
}

/// Registers a site.
pub(crate) async fn create(app: &mut App<'_>, new: NewSite) -> Result<(), Failure> {
    let session = app.signing_session().await?;
    let joint = Joint::CreateSite {
        site: new.site.clone(),
        operator: new.operator.clone(),
        area: new.area,
        display_name: new.display_name.clone(),
    };
    let of = new.site.name();
    let Some(prepared) = approval::prepare(app, &session, joint, &of).await? else {
        return Ok(());
    };
    let request = new.request(prepared.intent);
    let written =
        ask!(session.client, site_service_client::SiteServiceClient, create_site, request)
            .map_err(|failure| failure.of_request(prepared.request))?;
    let next = format!("sekisho node token create {}/n-01", new.site);
    app.changed(
        &new.site.name(),
        prepared.request,
        written.revision,
        Text::new("created", "を作成しました"),
        Some(next),
    )
}
