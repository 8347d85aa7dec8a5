//! Joining, and renewing what a join gave.
//!
//! Must hold: the only service that an unproven peer reaches; a host outside Japan is refused here and leaves no trace
//! in the log (D2); nothing is issued before apply enrolled the node; the same key gets its answer again for a while,
//! and no other key ever does (P1).

use crate::call::Call;
use crate::core::{Core, federation};
use crate::issuer::IssueError;
use crate::journal::refuses;
use crate::limit::{READ_DEADLINE, TAG_BACKDATE};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::operator::BundleRoot;
use sekisho_evidence::tag::{SignedTag, SiteTag, TagArea};
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::state::{Node, Site};
use sekisho_proto::convert::agent::Join;
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::internal::v1::join_service_server::JoinService;
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_transport::deadline::Deadline;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, NodeId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::limit::{CERTIFICATE_LIFETIME, JOIN_REPEAT};
use sekisho_types::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct JoinApi(pub(crate) Arc<Core>);

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn refused(code: ErrorCode, why: impl Into<String>) -> ApiError {
    ApiError::new(code, why)
}

/// Whether a host was refused for who or where it is, and not because a member could not serve it.
fn is_denial(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::ResidencyOutsideJp
            | ErrorCode::TagInvalid
            | ErrorCode::TokenUnknown
            | ErrorCode::TokenUsed
            | ErrorCode::TokenExpired
            | ErrorCode::BundleMismatch
            | ErrorCode::NodeRevoked
            | ErrorCode::PermissionDenied
    )
}

fn issue(error: IssueError) -> ApiError {
    match error {
        IssueError::Request(why) => {
            refused(ErrorCode::InvalidArgument, why.clone()).with_field("csr", why)
        }
        IssueError::Issuer(why) => refused(ErrorCode::Internal, why),
    }
}

/// The area that a join names, if it lies in Japan and in its site.
fn area_at(join: &Join, site: &Site) -> Result<Area, ApiError> {
    let area = match &join.area {
        TagArea::Domestic(area) => *area,
        TagArea::Foreign(code) => return Err(foreign(code)),
    };
    if !site.area.contains(area) {
        let why = format!("{area} does not lie in {}, where the site stands", site.area.label());
        return Err(refused(ErrorCode::TagInvalid, why));
    }
    Ok(area)
}

fn foreign(code: &str) -> ApiError {
    metrics::counter!("sekisho_api_joins_outside_japan_total").increment(1);
    tracing::warn!(area = code, "a host outside Japan tried to join");
    refused(ErrorCode::ResidencyOutsideJp, format!("{code} is not inside Japan")).with("area", code)
}

/// What of the state a join is judged by.
#[derive(Debug)]
struct Admission {
    area: Area,
    /// The key enrolled the node with this token before, lately.
    again: Option<SignedTag>,
}

impl Core {
    /// Judges a join by applied state; the token must be there already.
    fn admit(&self, state: &State, join: &Join, key: &Digest) -> Result<Admission, ApiError> {
        let unknown = || refused(ErrorCode::TokenUnknown, "no such token for this node");
        let token = state.token(&join.token).filter(|token| token.node == join.node);
        let token = token.ok_or_else(unknown)?;
        let site = state.site(&join.node.site).ok_or_else(unknown)?;
        if site.revoked {
            return Err(refused(ErrorCode::NodeRevoked, format!("{} was revoked", join.node.site)));
        }
        self.own_operator(state, site)?;
        let area = area_at(join, site)?;
        let Some((user, at)) = token.used else {
            let hash = federation(state)?.bundle.hash();
            let hash = hash.map_err(|error| refused(ErrorCode::Internal, error.to_string()))?;
            if token.bundle != hash {
                let why = "the members have changed since the token was made: make a new one";
                return Err(refused(ErrorCode::BundleMismatch, why));
            }
            let over = token.expires <= state.clock().max(self.clock.wall());
            let why = || format!("expired at {}", token.expires);
            let expired = || refused(ErrorCode::TokenExpired, why());
            return if over { Err(expired()) } else { Ok(Admission { area, again: None }) };
        };
        let node = state
            .node(&join.node)
            .filter(|node| user == *key && node.node_key == *key && !node.revoked);
        let lately = state.clock().since_ms(at) <= ms(JOIN_REPEAT);
        let node = node.filter(|_| lately);
        let node = node.ok_or_else(|| refused(ErrorCode::TokenUsed, "the token was used"))?;
        let area = node.tag.area.domestic().unwrap_or(area);
        Ok(Admission { area, again: Some(node.signed_tag.clone()) })
    }

    /// Only a member of the site's own operator has the keys that its nodes need.
    pub(crate) fn own_operator(&self, state: &State, site: &Site) -> Result<(), ApiError> {
        if site.operator == self.identity.operator {
            return Ok(());
        }
        let why = format!("a node of {} joins and renews through its own members", site.operator);
        let error = refused(ErrorCode::PermissionDenied, why);
        let members = federation(state)?.members.values();
        let own = members.filter(|member| member.operator == site.operator).map(|m| &m.address);
        Err(own.take(1).fold(error, |error, address| error.with("endpoint", address.clone())))
    }

    fn tag(
        &self,
        state: &State,
        node: &NodeId,
        key: Digest,
        at: (Area, u64),
    ) -> Result<SignedTag, ApiError> {
        let (area, after) = at;
        let now = self.clock.wall();
        let tag = SiteTag {
            cluster: federation(state)?.cluster,
            operator: self.identity.operator.clone(),
            node: node.clone(),
            area: TagArea::Domestic(area),
            node_key: key,
            issued: Timestamp(now.0.saturating_sub(ms(TAG_BACKDATE))),
            expires: now.plus_ms(ms(CERTIFICATE_LIFETIME)),
            // Milliseconds grow, and from one issuer's clock to another's so does the one in force.
            serial: now.0.max(after.saturating_add(1)),
        };
        self.issuer.sign_tag(&tag).map_err(issue)
    }

    fn package(
        &self,
        state: &State,
        node: &NodeId,
        issued: (&[u8], Area),
        tag: SignedTag,
    ) -> Result<internal::JoinResponse, ApiError> {
        let (csr, area) = issued;
        let chain = self.issuer.issue_agent(csr, node, area).map_err(issue)?;
        let federation = federation(state)?;
        let bundle = encode(&federation.bundle);
        let bundle = bundle.map_err(|error| refused(ErrorCode::Internal, error.to_string()))?;
        let member = |m: &sekisho_evidence::genesis::GenesisMember| internal::MemberEndpoint {
            member: m.member.0,
            operator: m.operator.to_string(),
            site: m.site.to_string(),
            address: m.address.clone(),
        };
        let root = |root: &BundleRoot| {
            let keys = federation.bundle.keys(&root.operator)?;
            Some(internal::OperatorRoot {
                operator: root.operator.to_string(),
                trust_domain: keys.trust_domain.to_string(),
                root: root.der.clone().into(),
            })
        };
        Ok(internal::JoinResponse {
            certificate_chain: chain.into_iter().map(Into::into).collect(),
            site_tag: tag.0.into(),
            bundle: bundle.into(),
            members: federation.members.values().map(member).collect(),
            roots: federation.roots.iter().filter_map(root).collect(),
        })
    }

    /// Enrols a host that holds a token.
    async fn join(&self, join: &Join) -> Result<internal::JoinResponse, ApiError> {
        // Before the token is even looked at: nobody outside Japan learns whether it exists.
        if let TagArea::Foreign(code) = &join.area {
            return Err(foreign(code));
        }
        let key = self.issuer.key_of(&join.csr).map_err(issue)?;
        if self.replica.state().token(&join.token).is_none() {
            // It may have been made through another member a moment ago.
            let deadline = Deadline::after(READ_DEADLINE);
            let read = self.replica.read_index(deadline).await;
            read.map_err(crate::admission::unanswered)?;
        }
        let state = self.replica.state();
        if let Some(retired) = state.retired(&key) {
            let why = format!("the key was {}'s, which was decommissioned", retired.node);
            return Err(refused(ErrorCode::NodeRevoked, why));
        }
        let Admission { area, again } = self.admit(&state, join, &key)?;
        let tag = match again {
            Some(tag) => tag,
            None => self.enroll(&state, join, key, area).await?,
        };
        let state = self.replica.state();
        self.package(&state, &join.node, (&join.csr, area), tag)
    }

    async fn enroll(
        &self,
        state: &State,
        join: &Join,
        key: Digest,
        area: Area,
    ) -> Result<SignedTag, ApiError> {
        let tag = self.tag(state, &join.node, key, (area, 0))?;
        let command = Command::EnrollNode {
            token: join.token,
            node: join.node.clone(),
            node_key: key,
            receipt_key: join.receipt_key,
            tag: tag.clone(),
        };
        let revision = self.write_for(self.identity.principal(), command, None).await?;
        tracing::info!(node = %join.node, %revision, "node enrolled");
        // A race with itself: the tag that apply kept is the one in force.
        let state = self.replica.state();
        Ok(state.node(&join.node).map_or(tag, |node| node.signed_tag.clone()))
    }

    /// Renews certificate and tag of an enrolled node, for the same key.
    pub(crate) async fn renew_node(
        &self,
        call: &Call,
        id: &NodeId,
        csr: &[u8],
    ) -> Result<internal::JoinResponse, ApiError> {
        let state = self.replica.state();
        let gone = || refused(ErrorCode::NodeRevoked, format!("{id} is not enrolled"));
        let node: &Node = state.node(id).ok_or_else(gone)?;
        let site = state.site(&id.site).ok_or_else(gone)?;
        self.own_operator(&state, site)?;
        if self.issuer.key_of(csr).map_err(issue)? != node.node_key {
            let must = "must be for the key that the node enrolled with";
            return Err(refused(ErrorCode::InvalidArgument, must).with_field("csr", must));
        }
        let area = node.tag.area.domestic();
        let area = area.ok_or_else(|| foreign(&node.tag.area.to_string()))?;
        let tag = self.tag(&state, id, node.node_key, (area, node.tag.serial))?;
        let command = Command::RenewTag { node: id.clone(), tag: tag.clone() };
        self.write_for(self.identity.principal(), command, Some(call)).await?;
        self.package(&self.replica.state(), id, (csr, area), tag)
    }
}

#[tonic::async_trait]
impl JoinService for JoinApi {
    async fn join(
        &self,
        request: Request<internal::JoinRequest>,
    ) -> Result<Response<internal::JoinResponse>, Status> {
        let join = Join::try_from(request.get_ref())?;
        let told = self.0.join(&join).await.map_err(|error| {
            if is_denial(error.code) { refuses(error, join.node.name()) } else { error }
        });
        Ok(Response::new(told?))
    }
}
