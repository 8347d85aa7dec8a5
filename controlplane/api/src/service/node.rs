//! Nodes and join tokens.

pub(super) mod fields;

use crate::admission::Admitted;
use crate::call::{Call, not_found};
use crate::contact::Contact;
use crate::core::{Core, federation};
use crate::limit::READ_DEADLINE;
use crate::list::{List, wish};
use crate::service::landmark::{fix_evidence, location};
use fields::{Row, fields, tiers};
use sekisho_evidence::canonical::CanonicalError;
use sekisho_fsm::State;
use sekisho_fsm::command::{Command, Item};
use sekisho_fsm::quarantine::{Quarantine, Twin};
use sekisho_fsm::role::{Target, Verb};
use sekisho_fsm::state::{Drain, Node};
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::node::{NewToken, shown};
use sekisho_proto::field::{FieldError, names};
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::quarantine::Why;
use sekisho_proto::v1::{self, node_service_server::NodeService};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{Digest, NodeId, SiteId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::name::Name;
use sekisho_types::placement::Phase;
use sekisho_types::revision::PlacementId;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// What showed that there are two hosts.
fn quarantine(row: &Quarantine) -> v1::Quarantine {
    let why = match row.why {
        Twin::Sessions { open, wanted, named } => Why::Sessions(v1::quarantine::Sessions {
            open: open.to_string(),
            wanted: wanted.to_string(),
            named: named.to_string(),
        }),
        Twin::Instances { session, first, second } => Why::Instances(v1::quarantine::Instances {
            session: session.to_string(),
            first: first.to_string(),
            second: second.to_string(),
        }),
    };
    v1::Quarantine { since_ms: row.since.0, revision: row.revision.0, why: Some(why) }
}

#[derive(Debug)]
pub(crate) struct NodeApi(pub(crate) Arc<Core>);

pub(crate) fn drain_message(state: &State, node: &Node, drain: &Drain) -> v1::Drain {
    let rows = node.placements.iter().filter_map(|id| state.placement(id));
    let stopping = rows.filter(|row| row.phase == Phase::Stopping).count();
    let left = !node.placements.is_empty();
    let phase = if left { v1::drain::State::Draining } else { v1::drain::State::Drained };
    v1::Drain {
        state: phase.into(),
        since_ms: drain.since.0,
        deadline_ms: drain.deadline.map(|deadline| deadline.0),
        message: drain.message.clone(),
        by: drain.by.to_string(),
        revision: drain.revision.0,
        stopping: u32::try_from(stopping).unwrap_or(u32::MAX),
    }
}

impl Core {
    /// Where a node is in its life, as far as this member can tell.
    pub(crate) fn node_phase(&self, state: &State, id: &NodeId, node: &Node) -> v1::node::State {
        if node.revoked || state.site(&id.site).is_none_or(|site| site.revoked) {
            return v1::node::State::Revoked;
        }
        if node.quarantine.is_some() {
            return v1::node::State::Quarantined;
        }
        match &node.session {
            None => v1::node::State::Enrolled,
            Some(session) if session.expired => v1::node::State::Lost,
            Some(_) => match self.contact(id) {
                Contact::Live => v1::node::State::Ready,
                Contact::Silent(_) => v1::node::State::Unreachable,
                Contact::Unknown => v1::node::State::Unspecified,
            },
        }
    }

    pub(crate) fn node_message(&self, state: &State, id: &NodeId, node: &Node) -> v1::Node {
        let place = node.place(state.clock());
        let (country_tier, area_tier) = tiers(state, node);
        let bucket = |(at, bucket): (u16, &sekisho_types::device::Bucket)| {
            shown(bucket, node.used.get(&at).copied().unwrap_or_default())
        };
        v1::Node {
            name: id.name(),
            operator: node.operator.to_string(),
            area: node.tag.area.to_string(),
            area_label: place.area.map(Area::label).unwrap_or_default(),
            country_tier: country_tier.to_string(),
            area_tier: area_tier.to_string(),
            state: self.node_phase(state, id, node).into(),
            buckets: (0u16..).zip(&node.buckets).map(bucket).collect(),
            schedulable: node.schedulable,
            tag_expires_ms: node.tag.expires.0,
            placements: node.placements.iter().map(PlacementId::to_string).collect(),
            etag: node.revision.to_string(),
            node_key: node.node_key.to_string(),
            drain: node.drain.as_ref().map(|drain| drain_message(state, node, drain)),
            pending: !node.approved,
            joined_ms: node.joined.0,
            findings: node.findings.iter().map(v1::Unfit::from).collect(),
            quarantine: node.quarantine.as_ref().map(quarantine),
            contact: node.live_session().map(|_| self.contact(id).into()),
            location: state.fix(id).map(|kept| location(kept, node, state.clock())),
            rack: node.rack.as_ref().map(Name::to_string).unwrap_or_default(),
        }
    }

    async fn on_node(
        &self,
        call: &Call,
        name: &str,
        intent: Option<&v1::Intent>,
        change: (Verb, impl FnOnce(NodeId) -> Command + Send),
    ) -> Result<Response<v1::Written>, Status> {
        let (verb, command) = change;
        let intent = Intent::of(intent)?;
        let id = NodeId::from_field("name", name)?;
        let state = self.replica.state();
        let operator = state.node(&id).map(|node| node.operator.clone());
        let admitted = Admitted::new(intent, command(id));
        let Some(operator) = operator else {
            return Ok(Response::new(self.of_gone(&state, call, &admitted, name)?));
        };
        let target = Target::Operator(&operator);
        call.may_on(&state, verb, Verb::ReadFederation, target, name)?;
        Ok(Response::new(self.write(call, admitted).await?))
    }

    /// The answer to a command about a node that is no more: a repeat gets the first one again (R3), as where it was this
    /// command that took the node out. Row and answer change in one entry, so whoever lacks the row has the answer.
    fn of_gone(
        &self,
        state: &State,
        call: &Call,
        admitted: &Admitted,
        name: &str,
    ) -> Result<v1::Written, ApiError> {
        let read = Verb::ReadFederation;
        call.may_on(state, read, read, Target::Federation, name)?;
        self.answered(state, call, admitted)?.ok_or_else(|| not_found(name))
    }

    async fn on_nodes(
        &self,
        call: &Call,
        (parent, all): (&str, &[String]),
        intent: Option<&v1::Intent>,
        change: (Verb, impl Fn(NodeId) -> Item + Send),
    ) -> Result<Response<v1::Written>, Status> {
        let (verb, item) = change;
        let intent = Intent::of(intent)?;
        let site = SiteId::from_parent("parent", parent)?;
        let within = |id: &NodeId| site.as_ref().is_none_or(|site| id.site == *site);
        let nodes = names(all, within)?;
        let state = self.replica.state();
        let command = Command::Batch(nodes.iter().cloned().map(item).collect());
        let admitted = Admitted::new(intent, command);
        for (id, name) in nodes.iter().zip(all) {
            let Some(operator) = state.node(id).map(|node| &node.operator) else {
                return Ok(Response::new(self.of_gone(&state, call, &admitted, name)?));
            };
            let target = Target::Operator(operator);
            call.may_on(&state, verb, Verb::ReadFederation, target, name)?;
        }
        Ok(Response::new(self.write(call, admitted).await?))
    }

    fn token_answer(
        &self,
        state: &State,
        written: v1::Written,
        node: &NodeId,
    ) -> Result<v1::CreateJoinTokenResponse, ApiError> {
        let federation = federation(state)?;
        let internal = |e: CanonicalError| ApiError::new(ErrorCode::Internal, e.to_string());
        let bundle = federation.bundle.hash().map_err(internal)?;
        let unknown = || not_found(&node.site.name());
        let operator = state.site(&node.site).map(|site| &site.operator).ok_or_else(unknown)?;
        let keys = federation.bundle.keys(operator);
        let keys =
            keys.ok_or_else(|| ApiError::new(ErrorCode::OperatorUnknown, operator.as_str()))?;
        // A node joins through its own operator's members.
        let own = federation.members.values().filter(|member| member.operator == *operator);
        Ok(v1::CreateJoinTokenResponse {
            written: Some(written),
            bundle_sha256: bundle.0.to_vec().into(),
            root_sha256: keys.roots.current.0.to_vec().into(),
            endpoints: own.map(|member| member.address.clone()).collect(),
            cluster: federation.cluster.0.to_vec().into(),
        })
    }
}

#[tonic::async_trait]
impl NodeService for NodeApi {
    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let site = SiteId::from_parent("parent", &ask.parent)?;
        let list = List::of(&format!("nodes/{}", ask.parent), &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        call.may(&state, Verb::ReadFederation, Target::Federation)?;
        let wanted = |id: &NodeId| site.as_ref().is_none_or(|site| id.site == *site);
        let rows = state.nodes().filter(|(id, _)| wanted(id));
        let rows = rows.map(|(id, node)| (id, Row { core: &self.0, state: &state, id, node }));
        let (rows, next_page_token) = list.take(state.revision(), rows);
        let message = |row: Row<'_>| self.0.node_message(&state, row.id, row.node);
        Ok(Response::new(v1::ListNodesResponse {
            nodes: rows.into_iter().map(message).collect(),
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
        }))
    }

    async fn get_node(
        &self,
        request: Request<v1::GetNodeRequest>,
    ) -> Result<Response<v1::Node>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let id = NodeId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadFederation;
        call.may_on(&state, read, read, Target::Federation, &ask.name)?;
        let node = state.node(&id).ok_or_else(|| not_found(&ask.name))?;
        Ok(Response::new(self.0.node_message(&state, &id, node)))
    }

    async fn create_join_token(
        &self,
        request: Request<v1::CreateJoinTokenRequest>,
    ) -> Result<Response<v1::CreateJoinTokenResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let NewToken { token, node, expires, approved } = NewToken::try_from(&ask)?;
        let state = self.0.replica.state();
        let site = node.site.name();
        let operator = state.site(&node.site).map(|site| site.operator.clone());
        let operator = operator.ok_or_else(|| not_found(&site))?;
        let target = Target::Operator(&operator);
        call.may_on(&state, Verb::CreateToken, Verb::ReadFederation, target, &site)?;
        let command = Command::CreateToken { token, node: node.clone(), expires, approved };
        let written = self.0.write(&call, Admitted::new(intent, command)).await?;
        let answer = self.0.token_answer(&self.0.replica.state(), written, &node)?;
        Ok(Response::new(answer))
    }

    async fn cordon_node(
        &self,
        request: Request<v1::CordonNodeRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let command = |node| Command::SetSchedulable { node, schedulable: false };
        self.0.on_node(&call, &ask.name, ask.intent.as_ref(), (Verb::Cordon, command)).await
    }

    async fn uncordon_node(
        &self,
        request: Request<v1::UncordonNodeRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let command = |node| Command::SetSchedulable { node, schedulable: true };
        self.0.on_node(&call, &ask.name, ask.intent.as_ref(), (Verb::Uncordon, command)).await
    }

    async fn batch_cordon_nodes(
        &self,
        request: Request<v1::BatchCordonNodesRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let (of, intent) = ((ask.parent.as_str(), ask.names.as_slice()), ask.intent.as_ref());
        let item = |node| Item::SetSchedulable { node, schedulable: false };
        self.0.on_nodes(&call, of, intent, (Verb::Cordon, item)).await
    }

    async fn batch_uncordon_nodes(
        &self,
        request: Request<v1::BatchUncordonNodesRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let (of, intent) = ((ask.parent.as_str(), ask.names.as_slice()), ask.intent.as_ref());
        let item = |node| Item::SetSchedulable { node, schedulable: true };
        self.0.on_nodes(&call, of, intent, (Verb::Uncordon, item)).await
    }

    async fn approve_node(
        &self,
        request: Request<v1::ApproveNodeRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let v1::ApproveNodeRequest { name, node_key, intent } = request.into_inner();
        let bad = |error: &dyn std::fmt::Display| FieldError::new("node_key", error.to_string());
        let node_key: Digest = node_key.parse().map_err(|error| bad(&error))?;
        let command = |node| Command::ApproveNode { node, node_key };
        self.0.on_node(&call, &name, intent.as_ref(), (Verb::ApproveNode, command)).await
    }

    async fn decommission_node(
        &self,
        request: Request<v1::DecommissionNodeRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let command = |node| Command::DecommissionNode { node };
        self.0.on_node(&call, &ask.name, ask.intent.as_ref(), (Verb::Decommission, command)).await
    }

    async fn drain_node(
        &self,
        request: Request<v1::DrainNodeRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let v1::DrainNodeRequest { name, within_s, message, intent } = request.into_inner();
        let command = |node| Command::DrainNode { node, within_s, message };
        self.0.on_node(&call, &name, intent.as_ref(), (Verb::Drain, command)).await
    }

    async fn undrain_node(
        &self,
        request: Request<v1::UndrainNodeRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let v1::UndrainNodeRequest { name, keep_cordoned, intent } = request.into_inner();
        let command = |node| Command::UndrainNode { node, keep_cordoned };
        self.0.on_node(&call, &name, intent.as_ref(), (Verb::Undrain, command)).await
    }

    async fn batch_drain_nodes(
        &self,
        request: Request<v1::BatchDrainNodesRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let (of, intent) = ((ask.parent.as_str(), ask.names.as_slice()), ask.intent.as_ref());
        let item =
            |node| Item::DrainNode { node, within_s: ask.within_s, message: ask.message.clone() };
        self.0.on_nodes(&call, of, intent, (Verb::Drain, item)).await
    }

    async fn batch_undrain_nodes(
        &self,
        request: Request<v1::BatchUndrainNodesRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let (of, intent) = ((ask.parent.as_str(), ask.names.as_slice()), ask.intent.as_ref());
        let item = |node| Item::UndrainNode { node, keep_cordoned: ask.keep_cordoned };
        self.0.on_nodes(&call, of, intent, (Verb::Undrain, item)).await
    }

    async fn revoke_node(
        &self,
        request: Request<v1::RevokeNodeRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let command = |node| Command::RevokeNode { node };
        self.0.on_node(&call, &ask.name, ask.intent.as_ref(), (Verb::RevokeNode, command)).await
    }

    async fn release_node(
        &self,
        request: Request<v1::ReleaseNodeRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let command = |node| Command::ReleaseNode { node };
        self.0.on_node(&call, &ask.name, ask.intent.as_ref(), (Verb::ReleaseNode, command)).await
    }

    async fn prove_node(
        &self,
        request: Request<v1::ProveNodeRequest>,
    ) -> Result<Response<v1::ProveNodeResponse>, Status> {
        let call = Call::of(&request)?;
        let v1::ProveNodeRequest { name } = request.into_inner();
        let id = NodeId::from_field("name", &name)?;
        // Up to date: a fix that is kept already must not pass for the new one.
        let state = self.0.read(&call, None).await?;
        let node = state.node(&id).ok_or_else(|| not_found(&name))?;
        let target = Target::Operator(&node.operator);
        call.may_on(&state, Verb::ProveNode, Verb::ReadFederation, target, &name)?;
        let revision = state.fix(&id).map_or(0, |kept| kept.revision.0);
        let running = self.0.prove_node(&state, &id, call.deadline(READ_DEADLINE)).await?;
        Ok(Response::new(v1::ProveNodeResponse { revision, running }))
    }

    async fn get_fix(
        &self,
        request: Request<v1::GetFixRequest>,
    ) -> Result<Response<v1::GetFixResponse>, Status> {
        let call = Call::of(&request)?;
        let v1::GetFixRequest { name, read } = request.into_inner();
        let id = NodeId::from_field("name", &name)?;
        let state = self.0.read(&call, read.as_ref()).await?;
        let node = state.node(&id).ok_or_else(|| not_found(&name))?;
        let target = Target::Operator(&node.operator);
        call.may_on(&state, Verb::ReadFix, Verb::ReadFederation, target, &name)?;
        Ok(Response::new(fix_evidence(&state, &id, node)?))
    }
}
