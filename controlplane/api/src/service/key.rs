//! Registered signing keys.

use crate::admission::Admitted;
use crate::call::{Call, not_found};
use crate::core::Core;
use crate::list::{Field, Kind, List, wish};
use sekisho_evidence::voucher::Voucher;
use sekisho_fsm::command::{Command, Login};
use sekisho_fsm::role::{Target, Verb};
use sekisho_fsm::state::Key;
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::key::RegisterKey;
use sekisho_proto::convert::login::AcceptKey;
use sekisho_proto::name::{KeyId, Resource as _};
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::{self, key_service_server::KeyService};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::PublicKey;
use sekisho_types::principal::{KeyRecord, Principal};
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct KeyApi(pub(crate) Arc<Core>);

pub(crate) fn message(((principal, public_key), key): Row<'_>) -> v1::Key {
    let record = KeyRecord {
        principal: principal.clone(),
        role: key.role.clone(),
        public_key: *public_key,
        expires: key.expires,
    };
    (&record).into()
}

pub(super) type Row<'s> = (&'s (Principal, PublicKey), &'s Key);

pub(super) fn fields<'s>() -> [Field<Row<'s>>; 5] {
    [
        Field::new("name", Kind::Text, |((principal, key), _)| {
            KeyId { principal: principal.clone(), key: *key }.name().into()
        }),
        Field::new("principal", Kind::Text, |((principal, _), _)| principal.to_string().into()),
        Field::new("operator", Kind::Text, |((principal, _), _)| {
            principal.operator.as_str().into()
        }),
        Field::new("role", Kind::Text, |(_, key)| key.role.to_string().into()),
        Field::new("expires_ms", Kind::Number, |(_, key)| key.expires.0.into()),
    ]
}

#[tonic::async_trait]
impl KeyService for KeyApi {
    async fn list_keys(
        &self,
        request: Request<v1::ListKeysRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let list = List::of("keys", &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        call.may(&state, Verb::ReadFederation, Target::Federation)?;
        let rows = state.keys().map(|(id, key)| (id, (id, key)));
        let (rows, next_page_token) = list.take(state.revision(), rows);
        Ok(Response::new(v1::ListKeysResponse {
            keys: rows.into_iter().map(message).collect(),
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
        }))
    }

    async fn get_key(
        &self,
        request: Request<v1::GetKeyRequest>,
    ) -> Result<Response<v1::Key>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let KeyId { principal, key } = KeyId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadFederation;
        call.may_on(&state, read, read, Target::Federation, &ask.name)?;
        let found = state.key(&principal, &key).ok_or_else(|| not_found(&ask.name))?;
        Ok(Response::new(message((&(principal, key), found))))
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
        let KeyId { principal, key } = KeyId::from_field("name", &ask.name)?;
        if principal != *call.principal() {
            let target = Target::Operator(&principal.operator);
            call.may(&self.0.replica.state(), Verb::RevokeKey, target)?;
        }
        let admitted = Admitted::new(intent, Command::RevokeKey { principal, key });
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }

    async fn accept_key(
        &self,
        request: Request<v1::AcceptKeyRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        call.in_force(&self.0.replica.state())?;
        let AcceptKey { record, issuer, possession } = AcceptKey::try_from(request.get_ref())?;
        if record.principal != *call.principal() {
            let must = "must be the caller's own";
            let error = ApiError::new(ErrorCode::InvalidArgument, must);
            return Err(error.with_field("key.principal", must).into());
        }
        let login = Login {
            record,
            voucher: Voucher::Issuer(issuer),
            certificate_key: call.peer.spki_sha256,
            possession,
        };
        let command = Command::Login(Box::new(login));
        let revision = self.0.write_for(call.principal().clone(), command, Some(&call)).await?;
        Ok(Response::new(v1::Written { revision: revision.0, operation: String::new() }))
    }
}
