//! Companies as a member has them: controllers, sites, fingerprints.

use crate::app::{App, PAGE, Session};
use crate::ask;
use crate::command::list::{ListArgs, beside, pages};
use crate::command::{short, yes_no};
use crate::failure::Failure;
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1;
use sekisho_types::error_code::Language;
use sekisho_types::id::OperatorId;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct CompanyView {
    name: String,
    trust_domain: String,
    members: Vec<String>,
    sites: Vec<String>,
    root_sha256: Vec<String>,
    issuer_sha256: Vec<String>,
    site_tag_sha256: Vec<String>,
    rotating: bool,
    k: u32,
    bundle_version: u64,
}

impl From<v1::Operator> for CompanyView {
    fn from(operator: v1::Operator) -> Self {
        Self {
            name: operator.name,
            trust_domain: operator.trust_domain,
            members: operator.members,
            sites: operator.sites,
            root_sha256: operator.root_sha256,
            issuer_sha256: operator.issuer_sha256,
            site_tag_sha256: operator.site_tag_sha256,
            rotating: operator.rotating,
            k: operator.k,
            bundle_version: operator.bundle_version,
        }
    }
}

fn joined(names: &[String]) -> String {
    names.iter().map(|name| short(name)).collect::<Vec<_>>().join(", ")
}

impl Shown for CompanyView {
    const COLUMNS: &'static [Column] = &[
        column("operator", "事業者"),
        column("trust domain", "信頼ドメイン"),
        column("members", "メンバー"),
        column("sites", "拠点"),
        column("replaces keys", "鍵の交換中"),
        column("signers needed", "必要な署名"),
        column("bundle", "承認者束"),
        wide("root sha-256", "ルート指紋"),
        // No longer: a fingerprint stands whole beside them in 80 columns.
        wide("issuer sha-256", "発行者の指紋"),
        wide("tag sha-256", "タグの指紋"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        vec![
            short(&self.name).to_owned(),
            self.trust_domain.clone(),
            joined(&self.members),
            joined(&self.sites),
            yes_no(language, self.rotating),
            self.k.to_string(),
            self.bundle_version.to_string(),
            self.root_sha256.join(" <- "),
            self.issuer_sha256.join(" <- "),
            self.site_tag_sha256.join(" <- "),
        ]
    }
}

pub(super) async fn get(app: &mut App<'_>, operator: &OperatorId) -> Result<(), Failure> {
    let session = app.session()?;
    let request = v1::GetOperatorRequest { name: operator.name(), read: app.read() };
    let client = &session.client;
    let found =
        ask!(client, operator_service_client::OperatorServiceClient, get_operator, request)?;
    app.output.one(&CompanyView::from(found))
}

/// The ids of the companies that are asked for, in the order that is asked for.
pub(super) async fn names(
    app: &App<'_>,
    session: &Session,
    ListArgs { filter, sort }: &ListArgs,
) -> Result<(Vec<String>, Listed), Failure> {
    let (operators, page) = pages!(operators, |page_token| {
        let request = v1::ListOperatorsRequest {
            page_size: PAGE,
            page_token,
            filter: filter.clone(),
            order_by: sort.clone(),
            read: app.read(),
        };
        let client = &session.client;
        ask!(client, operator_service_client::OperatorServiceClient, list_operators, request)
    });
    let names = operators.iter().map(|operator| short(&operator.name).to_owned()).collect();
    Ok((names, beside!(page)))
}
