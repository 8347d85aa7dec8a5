//! Registered signing keys.

use crate::admission::Admitted;
use crate::call::Call;
use crate::core::Core;
use crate::page::Page;
use sekisho_fsm::command::Command;
use sekisho_fsm::role::{Target, Verb};
use sekisho_fsm::state::Key;
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::key::{RegisterKey, RevokeKey};
use sekisho_proto::v1::{self, key_service_server::KeyService};
use sekisho_types::id::PublicKey;
use sekisho_types::principal::{KeyRecord, Principal};
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct KeyApi(pub(crate) Arc<Core>);

fn message(((principal, public_key), key): (&(Principal, PublicKey), &Key)) -> v1::Key {
    let record = KeyRecord {
        principal: principal.clone(),
        role: key.role.clone(),
        public_key: *public_key,
        expires: key.expires,
    };
    (&record).into()
}

#[tonic::async_trait]
impl KeyService for KeyApi {
    async fn list_keys(
        &self,
        request: Request<v1::ListKeysRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let page = Page::of("keys", ask.page_size, &ask.page_token)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        call.may(&state, Verb::ReadFederation, Target::Federation)?;
        let (rows, next_page_token) = page.take(state.revision(), state.keys());
        Ok(Response::new(v1::ListKeysResponse {
            keys: rows.into_iter().map(message).collect(),
            next_page_token,
            revision: state.revision().0,
        }))
    }

    async fn register_key(
        &self,
        request: Request<v1::RegisterKeyRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let RegisterKey { record, issuer } = RegisterKey::try_from(&ask)?;
        let target = Target::Operator(&record.principal.operator);
        call.may(&self.0.replica.state(), Verb::RegisterKey, target)?;
        let admitted = Admitted::new(intent, Command::RegisterKey { record, issuer });
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }

    async fn revoke_key(
        &self,
        request: Request<v1::RevokeKeyRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let RevokeKey { principal, key } = RevokeKey::try_from(&ask)?;
        let target = Target::Operator(&principal.operator);
        call.may(&self.0.replica.state(), Verb::RevokeKey, target)?;
        let admitted = Admitted::new(intent, Command::RevokeKey { principal, key });
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }
}
