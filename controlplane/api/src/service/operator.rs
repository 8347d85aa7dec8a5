//! Companies that take part, as the endorser bundle in force names them. Read only: an agreement of theirs changes it (`trust`).

use crate::call::{Call, not_found};
use crate::core::{Core, federation};
use crate::list::{Field, Kind, List, wish};
use sekisho_evidence::operator::{Keys, OperatorKeys};
use sekisho_fsm::State;
use sekisho_fsm::role::{Target, Verb};
use sekisho_fsm::state::Federation;
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1::{self, operator_service_server::OperatorService};
use sekisho_types::id::{Digest, OperatorId, PublicKey};
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct OperatorApi(pub(crate) Arc<Core>);

#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'s> {
    state: &'s State,
    federation: &'s Federation,
    keys: &'s OperatorKeys,
}

impl Row<'_> {
    fn members(&self) -> Vec<String> {
        let members = self.federation.members.values();
        let own = members.filter(|member| member.operator == self.keys.operator);
        own.map(|member| member.member.name()).collect()
    }

    fn sites(&self) -> Vec<String> {
        let sites = self.state.sites().filter(|(_, site)| !site.revoked);
        let own = sites.filter(|(_, site)| site.operator == self.keys.operator);
        own.map(|(id, _)| id.name()).collect()
    }

    fn is_rotating(&self) -> bool {
        self.federation.rotations.contains_key(&self.keys.operator)
    }
}

pub(super) fn fields<'s>() -> [Field<Row<'s>>; 5] {
    [
        Field::new("name", Kind::Text, |row| row.keys.operator.name().into()),
        Field::new("trust_domain", Kind::Text, |row| row.keys.trust_domain.as_str().into()),
        Field::new("members", Kind::Texts, |row| row.members().into()),
        Field::new("sites", Kind::Texts, |row| row.sites().into()),
        Field::new("rotating", Kind::Flag, |row| row.is_rotating().into()),
    ]
}

fn hashes(keys: &Keys<PublicKey>) -> Vec<String> {
    keys.iter().map(|key| Digest::of(&key.0).to_string()).collect()
}

fn message(row: Row<'_>) -> v1::Operator {
    let (keys, bundle) = (row.keys, &row.federation.bundle);
    v1::Operator {
        name: keys.operator.name(),
        trust_domain: keys.trust_domain.to_string(),
        members: row.members(),
        sites: row.sites(),
        root_sha256: keys.roots.iter().map(Digest::to_string).collect(),
        issuer_sha256: hashes(&keys.issuers),
        site_tag_sha256: hashes(&keys.site_tags),
        rotating: row.is_rotating(),
        k: bundle.k,
        bundle_version: bundle.version,
    }
}

#[tonic::async_trait]
impl OperatorService for OperatorApi {
    async fn list_operators(
        &self,
        request: Request<v1::ListOperatorsRequest>,
    ) -> Result<Response<v1::ListOperatorsResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let list = List::of("operators", &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        call.may(&state, Verb::ReadFederation, Target::Federation)?;
        let federation = federation(&state)?;
        let row = |keys| Row { state: &state, federation, keys };
        let rows = federation.bundle.operators.iter().map(|keys| (&keys.operator, row(keys)));
        let (rows, next_page_token) = list.take(state.revision(), rows);
        Ok(Response::new(v1::ListOperatorsResponse {
            operators: rows.into_iter().map(message).collect(),
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
        }))
    }

    async fn get_operator(
        &self,
        request: Request<v1::GetOperatorRequest>,
    ) -> Result<Response<v1::Operator>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let id = OperatorId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadFederation;
        call.may_on(&state, read, read, Target::Federation, &ask.name)?;
        let federation = federation(&state)?;
        let keys = federation.bundle.keys(&id).ok_or_else(|| not_found(&ask.name))?;
        Ok(Response::new(message(Row { state: &state, federation, keys })))
    }
}
