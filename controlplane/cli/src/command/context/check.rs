//! `sekisho context check`: each member of a context, asked by itself and all at once.
//!
//! The members' clocks are read off the `date` of their answers, which counts whole seconds: it finds what breaks certificates,
//! not what `status` says of leases.

use crate::app::App;
use crate::client::Client;
use crate::command::agreement;
use crate::context::Endpoint;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::language::pick;
use crate::output::{Column, Listed, Shown, column, wide};
use sekisho_proto::v1;
use sekisho_transport::clock::SystemClock;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::principal::Principal;
use sekisho_types::time::{Clock as _, Timestamp};
use serde::Serialize;
use std::time::{Duration, UNIX_EPOCH};

/// Longest wait for one member: they are asked at once, and one that takes longer is none to work through.
const EACH: Duration = Duration::from_secs(5);

/// From this difference on a clock is alarming, seconds: short certificates begin five minutes before they are issued.
const CLOCK_OFF: i64 = 30;

#[derive(Debug, Serialize)]
struct MemberCheck {
    address: String,
    site: String,
    operator: String,
    /// Code of what stands in the way.
    error: Option<&'static str>,
    detail: Option<String>,
    took_ms: u64,
    member: Option<String>,
    cluster: Option<String>,
    /// Whether it is the federation of the context.
    same_cluster: bool,
    incarnation: Option<u64>,
    bundle_version: Option<u64>,
    /// Of the member's clock before ours, whole seconds.
    clock_ahead_s: Option<i64>,
    principal: Option<String>,
    roles: Vec<String>,
    revision: Option<u64>,
}

impl MemberCheck {
    fn is_good(&self) -> bool {
        self.error.is_none() && self.same_cluster && !self.clock_is_off()
    }

    fn clock_is_off(&self) -> bool {
        self.clock_ahead_s.is_some_and(|ahead| ahead.abs() >= CLOCK_OFF)
    }

    /// What there is to say, for people.
    fn said(&self, language: Language) -> String {
        if let Some(error) = self.error {
            return format!("{error}: {}", self.detail.as_deref().unwrap_or_default());
        }
        if !self.same_cluster {
            return ErrorCode::WrongCluster.text(language).to_owned();
        }
        if self.clock_is_off() {
            let ahead = self.clock_ahead_s.unwrap_or_default();
            return pick(
                language,
                format!("its clock is {ahead} s ahead of this machine's"),
                format!("時計がこのマシンより {ahead} 秒進んでいます"),
            );
        }
        pick(language, "ok", "正常").to_owned()
    }
}

impl Shown for MemberCheck {
    const COLUMNS: &'static [Column] = &[
        column("site", "拠点"),
        column("operator", "事業者"),
        column("address", "アドレス"),
        column("ms", "ミリ秒"),
        column("result", "結果"),
        wide("member", "メンバー"),
        wide("cluster", "クラスター"),
        wide("incarnation", "世代"),
        wide("bundle version", "承認者束の版"),
        wide("clock ahead", "時計の進み"),
        wide("revision", "リビジョン"),
    ];
    fn cells(&self, language: Language) -> Vec<String> {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
        vec![
            self.site.clone(),
            self.operator.clone(),
            self.address.clone(),
            self.took_ms.to_string(),
            self.said(language),
            self.member.clone().unwrap_or_else(|| "-".to_owned()),
            self.cluster.clone().unwrap_or_else(|| "-".to_owned()),
            number(self.incarnation),
            number(self.bundle_version),
            self.clock_ahead_s.map_or_else(|| "-".to_owned(), |ahead| format!("{ahead} s")),
            number(self.revision),
        ]
    }
    fn is_alarming(&self) -> bool {
        !self.is_good()
    }
}

#[derive(Serialize)]
struct Whole {
    context: String,
    principal: String,
    certificate_ends_ms: u64,
    members: Vec<MemberCheck>,
}

pub(super) async fn run(app: &mut App<'_>, name: Option<String>) -> Result<Exit, Failure> {
    if name.is_some() {
        app.global.context = name;
    }
    let named = app.global.context.clone();
    let language = app.output.language;
    let context = app.contexts()?.pick(named.as_deref(), language)?.0.to_owned();
    let session = app.session()?;
    let identity = crate::client::identity(&session.context)?;
    let ends = identity.validity().1;
    let operator = session.context.operator.clone();
    let principal = Principal { operator, workload: identity.workload() }.to_string();
    let cluster = session.context.cluster.to_string();
    let asked = session.context.endpoints.iter().cloned().map(|endpoint| {
        let client = session.client.of_endpoint(&endpoint, EACH);
        probe(client, endpoint, &cluster)
    });
    let members: Vec<MemberCheck> = futures::future::join_all(asked).await;
    let is_good = members.iter().all(MemberCheck::is_good) && ends > app.now();
    let roles = members.iter().find(|member| !member.roles.is_empty());
    let roles = roles.map_or_else(|| "-".to_owned(), |member| member.roles.join(", "));
    if app.output.format.is_for_people() {
        app.output.list(&members, &Listed::default())?;
        let line = app.output.pick(
            format!("{principal}: {roles}; certificate until {ends}"),
            format!("{principal}: {roles}。証明書の期限 {ends}"),
        );
        app.output.line(&line)?;
    } else {
        let certificate_ends_ms = ends.0;
        app.output.data(&Whole { context, principal, certificate_ends_ms, members })?;
    }
    Ok(if is_good { Exit::Ok } else { Exit::Error })
}

async fn probe(client: Result<Client, Failure>, endpoint: Endpoint, cluster: &str) -> MemberCheck {
    let begun = tokio::time::Instant::now();
    let told = match client {
        Ok(client) => ask_all(&client).await,
        Err(failure) => Err(failure),
    };
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut check = MemberCheck {
        address: endpoint.address,
        site: endpoint.site.to_string(),
        operator: endpoint.operator.to_string(),
        error: None,
        detail: None,
        took_ms,
        member: None,
        cluster: None,
        same_cluster: false,
        incarnation: None,
        bundle_version: None,
        clock_ahead_s: None,
        principal: None,
        roles: Vec::new(),
        revision: None,
    };
    match told {
        Ok((hello, clock_ahead_s, bundle_version)) => {
            check.same_cluster = hello.cluster == cluster;
            check.member = Some(hello.member);
            check.cluster = Some(hello.cluster);
            check.incarnation = Some(hello.incarnation);
            check.bundle_version = bundle_version;
            check.clock_ahead_s = clock_ahead_s;
            check.principal = Some(hello.principal);
            check.roles = hello.roles;
            check.revision = Some(hello.revision);
        }
        Err(failure) => {
            check.error = Some(failure.code.as_str());
            check.detail = Some(failure.detail);
        }
    }
    check
}

async fn ask_all(
    client: &Client,
) -> Result<(v1::HelloResponse, Option<i64>, Option<u64>), Failure> {
    // The first call makes the connection, so that the second one's way is short.
    let hello = client.hello().await?;
    let request = v1::GetTrustPackageRequest { read: Some(v1::Read { local: true }) };
    let clock = std::sync::Mutex::new(None);
    let answer = client
        .call(|channel| {
            let clock = &clock;
            async move {
                let mut service = v1::trust_service_client::TrustServiceClient::new(channel);
                let answer = service.get_trust_package(request).await?;
                let date = answer.metadata().get("date").and_then(|date| date.to_str().ok());
                if let (Some(ahead), Ok(mut clock)) = (date.and_then(ahead), clock.lock()) {
                    *clock = Some(ahead);
                }
                Ok(answer)
            }
        })
        .await;
    let version = answer.ok().and_then(|answer| {
        let package = agreement::open(&answer.package).ok()?;
        let trust = package.walk(&package.genesis.genesis.bundle).ok()?;
        Some(trust.bundle.version)
    });
    Ok((hello, clock.into_inner().ok().flatten(), version))
}

/// Seconds by which a `date` is ahead of this machine's clock; 0 within the second that it leaves out.
fn ahead(date: &str) -> Option<i64> {
    let date = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let Timestamp(now) = SystemClock.wall();
    let now = i64::try_from(now / 1000).ok()?;
    let ahead = i64::try_from(date.as_secs()).ok()?.checked_sub(now)?;
    Some(if ahead.abs() <= 1 { 0 } else { ahead })
}
