//! Filling the new federation through its API, by signed requests, as its users would.

use super::distance::office;
use super::found;
use super::layout::Layout;
use super::plan::{Operator, Plan};
use super::process::Children;
use crate::app::{App, PAGE};
use crate::ask;
use crate::client::Client;
use crate::command::list::ListArgs;
use crate::command::quota::Wanted;
use crate::command::{key, landmark, node, offer, policy, quota, tenant};
use crate::context::{Context, Contexts};
use crate::failure::{Failure, of_file};
use crate::output::Output;
use crate::pki::OperatorDir;
use sekisho_evidence::location::landmark::Landmark;
use sekisho_proto::convert::landmark::Reached;
use sekisho_proto::convert::offer::PutOffer;
use sekisho_proto::convert::policy::PutPolicy;
use sekisho_proto::convert::tenant::PutTenant;
use sekisho_proto::name::{ANY, OfferId, QuotaId, Resource as _};
use sekisho_proto::v1;
use sekisho_transport::pki::signing;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::NodeId;
use sekisho_types::jurisdiction::Area;
use sekisho_types::offer::{OfferSpec, OnLower};
use sekisho_types::patch::Patch;
use sekisho_types::quota::Limit;
use sekisho_types::residency::Rules;
use sekisho_types::time::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// For controllers to answer, and for nodes to be ready.
const READY: Duration = Duration::from_secs(60);
/// Between two tries.
const TRY_EVERY: Duration = Duration::from_millis(200);
/// One try: an answer on loopback takes a millisecond.
const TRY: Duration = Duration::from_secs(2);
/// For one write; the first ones wait for the first leader.
const WRITE_S: u64 = 60;
/// A landmark of the imitation stands in the office that it is said to stand in, within this, m.
const SURVEY_M: u32 = 100;
/// Life of the join tokens: they are used at once.
const TOKEN_S: u64 = 3600;

/// Acts in the federation as its people.
#[derive(Debug)]
pub(super) struct Seeder<'s> {
    layout: &'s Layout,
    plan: &'s Plan,
    contexts: Contexts,
    global: crate::args::Global,
}

impl<'s> Seeder<'s> {
    pub(super) fn new(
        app: &App<'_>,
        layout: &'s Layout,
        plan: &'s Plan,
        contexts: Contexts,
    ) -> Self {
        let mut global = app.global.clone();
        global.timeout = WRITE_S;
        global.dry_run = false;
        global.local = false;
        global.request_id = None;
        Self { layout, plan, contexts, global }
    }

    /// With the contexts as they lie there now.
    pub(super) fn again(
        app: &App<'_>,
        layout: &'s Layout,
        plan: &'s Plan,
    ) -> Result<Self, Failure> {
        Ok(Self::new(app, layout, plan, Contexts::load(&layout.contexts())?))
    }

    fn admin(&self) -> Result<&Context, Failure> {
        let first = self.contexts.context.values().next();
        first.ok_or_else(|| Failure::new(ErrorCode::NotFound, "contexts"))
    }

    /// Waits until every controller answers.
    pub(super) async fn controllers_ready(&self, children: &mut Children) -> Result<(), Failure> {
        let until = tokio::time::Instant::now().checked_add(READY);
        for endpoint in self.admin()?.endpoints.clone() {
            let mut one = self.admin()?.clone();
            one.endpoints = vec![endpoint.clone()];
            let (client, _) = Client::open(&one, TRY)?;
            while let Err(failure) = client.hello().await {
                children.check(self.layout)?;
                if until.is_some_and(|until| tokio::time::Instant::now() >= until) {
                    return Err(
                        failure.remedy(format!("see {}", self.layout.dir().join("logs").display()))
                    );
                }
                tokio::time::sleep(TRY_EVERY).await;
            }
        }
        Ok(())
    }

    /// An application whose output is dropped, acting as `context` with `cosign`.
    fn act<'w>(
        &self,
        sinks: &'w mut (Vec<u8>, Vec<u8>),
        context: &str,
        cosign: &[&str],
    ) -> App<'w> {
        let mut global = self.global.clone();
        global.context = Some(context.to_owned());
        global.cosign = cosign.iter().map(|name| (*name).to_owned()).collect();
        let mut app = App::new(Output::new(&mut sinks.0, &mut sinks.1), global);
        app.use_contexts(self.contexts.clone());
        app
    }

    /// Registers policies, tenants, quotas and the tenant's persons. What exists is left as it is.
    pub(super) async fn register(&self) -> Result<(), Failure> {
        let mut sinks = (Vec::new(), Vec::new());
        let mut app = self.act(&mut sinks, "kanto", &["naniwa"]);
        let known = self.known().await?;
        for (policy, areas) in &self.plan.policies {
            if known.contains(&policy.name()) {
                continue;
            }
            let rules = Rules { areas: areas.iter().copied().collect(), ..Rules::default() };
            let put = PutPolicy { policy: policy.clone(), rules, expected: None };
            Box::pin(policy::create(&mut app, put)).await?;
            app.next_request();
        }
        for wanted in self.plan.tenants.iter().filter(|wanted| !known.contains(&wanted.id.name())) {
            let put = PutTenant {
                tenant: wanted.id.clone(),
                display_name: Patch::Set(wanted.display_name.to_owned()),
                policy: Patch::Set(Some(wanted.policy.clone())),
                parent: Patch::Set(None),
                expected: None,
            };
            tenant::create(&mut app, put).await?;
            app.next_request();
            let (tenant, class) = (wanted.id.clone(), self.plan.class.clone());
            let id = QuotaId { tenant, class, area: Area::Japan };
            let nominal = Limit::Gpus(wanted.gpus);
            let wanted = Wanted { nominal, borrowing: None, lending: None };
            Box::pin(quota::set(&mut app, id, wanted)).await?;
            app.next_request();
        }
        for user in &self.plan.users {
            let record = found::tenant_user(self.layout, self.plan, user, app.now())?;
            let Some(record) = record else { continue };
            let issuer = OperatorDir::new(self.layout.operator(&user.operator)).issuer_key()?;
            let mut sinks = (Vec::new(), Vec::new());
            let mut app = self.act(&mut sinks, user.operator.as_str(), &[]);
            key::register(&mut app, record, &issuer).await?;
        }
        Ok(())
    }

    /// Registers landmarks, each by the administrator of its operator. What exists is left as it is.
    pub(super) async fn register_landmarks(&self) -> Result<(), Failure> {
        let known = self.landmarks().await?;
        let missing = self.plan.landmarks.iter().filter(|at| !known.contains(&at.id.name()));
        for wanted in missing {
            let path = self.layout.landmark_key(&wanted.id);
            let key = signing::read(&path).map_err(|error| of_file(&path, &error))?.public();
            let (id, position) = (wanted.id.clone(), office(wanted.area)?);
            let landmark = Landmark { id, position, survey_m: SURVEY_M, key };
            let (address, datagrams) = (wanted.address.to_string(), wanted.address.to_string());
            let mut sinks = (Vec::new(), Vec::new());
            let mut app = self.act(&mut sinks, wanted.id.operator.as_str(), &[]);
            Box::pin(landmark::create(&mut app, Reached { landmark, address, datagrams })).await?;
        }
        Ok(())
    }

    /// Makes each operator's offer for its site, by its own administrator: without one nothing is placed there. One that exists
    /// is left as it is.
    pub(super) async fn register_offers(&self) -> Result<(), Failure> {
        let known = self.offers().await?;
        for operator in &self.plan.operators {
            let put = self.offer(operator);
            if known.contains(&put.offer.name()) {
                continue;
            }
            let mut sinks = (Vec::new(), Vec::new());
            let mut app = self.act(&mut sinks, operator.id.as_str(), &[]);
            Box::pin(offer::create(&mut app, put)).await?;
        }
        Ok(())
    }

    fn offer(&self, operator: &Operator) -> PutOffer {
        let (name, gpus) = self.plan.offer.clone();
        let spec = OfferSpec {
            class: self.plan.class.clone(),
            gpus,
            from: Timestamp(0),
            until: None,
            excluded: BTreeSet::new(),
            yen_per_gpu_hour: operator.yen_per_gpu_hour,
            on_lower: OnLower::Drain,
        };
        PutOffer { offer: OfferId { site: operator.site.clone(), name }, spec, expected: None }
    }

    async fn offers(&self) -> Result<BTreeSet<String>, Failure> {
        let mut sinks = (Vec::new(), Vec::new());
        let mut app = self.act(&mut sinks, "kanto", &[]);
        let session = app.session()?;
        let (offers, _) = offer::all(&app, &session, None, &ListArgs::default()).await?;
        Ok(offers.into_iter().map(|offer| offer.name).collect())
    }

    async fn landmarks(&self) -> Result<BTreeSet<String>, Failure> {
        let mut sinks = (Vec::new(), Vec::new());
        let mut app = self.act(&mut sinks, "kanto", &[]);
        let session = app.session()?;
        let request = v1::ListLandmarksRequest {
            parent: format!("operators/{ANY}"),
            page_size: PAGE,
            read: app.read(),
            ..v1::ListLandmarksRequest::default()
        };
        let client = &session.client;
        let found =
            ask!(client, landmark_service_client::LandmarkServiceClient, list_landmarks, request)?;
        Ok(found.landmarks.into_iter().map(|landmark| landmark.name).collect())
    }

    /// Names of the policies and tenants that an earlier run registered. Asking first leaves no rejections in the
    /// audit log.
    async fn known(&self) -> Result<BTreeSet<String>, Failure> {
        let mut sinks = (Vec::new(), Vec::new());
        let mut app = self.act(&mut sinks, "kanto", &[]);
        let session = app.session()?;
        let (page_size, read) = (PAGE, app.read());
        let request =
            v1::ListPoliciesRequest { page_size, read, ..v1::ListPoliciesRequest::default() };
        let client = &session.client;
        let policies =
            ask!(client, policy_service_client::PolicyServiceClient, list_policies, request)?;
        let request =
            v1::ListTenantsRequest { page_size, read, ..v1::ListTenantsRequest::default() };
        let tenants =
            ask!(client, tenant_service_client::TenantServiceClient, list_tenants, request)?;
        let names = policies.policies.into_iter().map(|policy| policy.name);
        Ok(names.chain(tenants.tenants.into_iter().map(|tenant| tenant.name)).collect())
    }

    /// Makes a join token for every node that is not enrolled, by its own operator. Returns those nodes.
    pub(super) async fn tokens(&self) -> Result<BTreeSet<NodeId>, Failure> {
        let enrolled = self.nodes().await?;
        let known: BTreeSet<String> = enrolled.into_iter().map(|node| node.name).collect();
        let mut made = BTreeSet::new();
        for node in self.plan.nodes.iter().filter(|node| !known.contains(&node.id.name())) {
            crate::pki::private_dir(&self.layout.agent(&node.id))?;
            let mut sinks = (Vec::new(), Vec::new());
            let mut app = self.act(&mut sinks, node.operator.as_str(), &[]);
            let out = self.layout.token(&node.id);
            let node_id = node.id.clone();
            // What starts the hosts is this very program.
            let joining = node::Joining { node: node_id, lifetime: TOKEN_S, approved: true };
            node::create_token(&mut app, joining, &out).await?;
            made.insert(node.id.clone());
        }
        Ok(made)
    }

    async fn nodes(&self) -> Result<Vec<v1::Node>, Failure> {
        let mut sinks = (Vec::new(), Vec::new());
        let mut app = self.act(&mut sinks, "kanto", &[]);
        let session = app.session()?;
        node::all(&app, &session, None, &ListArgs::default()).await.map(|(nodes, _)| nodes)
    }

    /// Waits until every node is ready.
    pub(super) async fn nodes_ready(&self, children: &mut Children) -> Result<(), Failure> {
        let until = tokio::time::Instant::now().checked_add(READY);
        loop {
            let nodes = self.nodes().await?;
            let ready = |name: &str| {
                nodes.iter().any(|n| n.name == name && n.state() == v1::node::State::Ready)
            };
            let missing: Vec<String> = self
                .plan
                .nodes
                .iter()
                .map(|node| node.id.name())
                .filter(|name| !ready(name))
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            children.check(self.layout)?;
            if until.is_some_and(|until| tokio::time::Instant::now() >= until) {
                let why = format!("not ready: {}", missing.join(", "));
                let fix = format!("see {}", self.layout.dir().join("logs").display());
                return Err(Failure::new(ErrorCode::Deadline, why).remedy(fix));
            }
            tokio::time::sleep(TRY_EVERY).await;
        }
    }
}
