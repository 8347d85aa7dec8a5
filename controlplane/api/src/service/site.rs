//! `SiteService`: registers sites, caps their power and takes them out. Says of a silent site that it is unreachable, never that it is empty.

use super::count;
use crate::admission::Admitted;
use crate::call::{Call, not_found};
use crate::core::Core;
use crate::list::{Field, Kind, List, wish};
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::role::{Target, Verb};
use sekisho_fsm::state::Site;
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::site::{NewSite, SetPowerCap, UpdateSite};
use sekisho_proto::name::Resource as _;
use sekisho_proto::v1::{self, site_service_server::SiteService};
use sekisho_types::id::SiteId;
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct SiteApi(pub(crate) Arc<Core>);

pub(crate) fn message(state: &State, id: &SiteId, site: &Site, nodes: u32) -> v1::Site {
    let power = state.power(id);
    let key = state.site_keys(id).and_then(|keys| keys.current.bytes().ok());
    v1::Site {
        name: id.name(),
        operator: site.operator.to_string(),
        area: site.area.to_string(),
        display_name: site.display_name.clone(),
        revoked: site.revoked,
        etag: site.revision.to_string(),
        nodes,
        area_label: site.area.label(),
        sealing_key: key.unwrap_or_default().into(),
        power_cap_watts: power.cap,
        power_used_watts: power.used,
    }
}

/// A site, and how many nodes stand there.
pub(super) type Row<'s> = (&'s SiteId, &'s Site, u32);

pub(super) fn fields<'s>() -> [Field<Row<'s>>; 5] {
    [
        Field::new("name", Kind::Text, |(id, ..)| id.name().into()),
        Field::new("operator", Kind::Text, |(_, site, _)| site.operator.as_str().into()),
        Field::new("area", Kind::Text, |(_, site, _)| site.area.to_string().into()),
        Field::new("display_name", Kind::Text, |(_, site, _)| site.display_name.as_str().into()),
        Field::new("revoked", Kind::Flag, |(_, site, _)| site.revoked.into()),
    ]
}

pub(crate) fn nodes_at(state: &State, site: &SiteId) -> u32 {
    count(state.nodes().filter(|(id, _)| id.site == *site).count())
}

#[tonic::async_trait]
impl SiteService for SiteApi {
    async fn list_sites(
        &self,
        request: Request<v1::ListSitesRequest>,
    ) -> Result<Response<v1::ListSitesResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let list = List::of("sites", &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        call.may(&state, Verb::ReadFederation, Target::Federation)?;
        let mut nodes: BTreeMap<&SiteId, u32> = BTreeMap::new();
        for (id, _) in state.nodes() {
            let at = nodes.entry(&id.site).or_default();
            *at = at.saturating_add(1);
        }
        let at = |id: &SiteId| nodes.get(id).copied().unwrap_or_default();
        let rows = state.sites().map(|(id, site)| (id, (id, site, at(id))));
        let (rows, next_page_token) = list.take(state.revision(), rows);
        let message = |(id, site, nodes): Row<'_>| message(&state, id, site, nodes);
        Ok(Response::new(v1::ListSitesResponse {
            sites: rows.into_iter().map(message).collect(),
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
        }))
    }

    async fn get_site(
        &self,
        request: Request<v1::GetSiteRequest>,
    ) -> Result<Response<v1::Site>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let id = SiteId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadFederation;
        call.may_on(&state, read, read, Target::Federation, &ask.name)?;
        let site = state.site(&id).ok_or_else(|| not_found(&ask.name))?;
        Ok(Response::new(message(&state, &id, site, nodes_at(&state, &id))))
    }

    async fn create_site(
        &self,
        request: Request<v1::CreateSiteRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let NewSite { site, operator, area, display_name } = NewSite::try_from(&ask)?;
        let state = self.0.replica.state();
        call.may(&state, Verb::CreateSite, Target::Federation)?;
        let command = Command::CreateSite { site, operator, area, display_name };
        let written = self.0.write(&call, Admitted::new(intent, command)).await?;
        Ok(Response::new(written))
    }

    async fn update_site(
        &self,
        request: Request<v1::UpdateSiteRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let UpdateSite { site, display_name, expected } = UpdateSite::try_from(&ask)?;
        let (state, name) = (self.0.replica.state(), site.name());
        let operator = state.site(&site).map(|site| site.operator.clone());
        let operator = operator.ok_or_else(|| not_found(&name))?;
        let target = Target::Operator(&operator);
        call.may_on(&state, Verb::UpdateSite, Verb::ReadFederation, target, &name)?;
        let command = Command::UpdateSite { site, display_name, expected };
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }

    async fn set_power_cap(
        &self,
        request: Request<v1::SetPowerCapRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let SetPowerCap { site, watts, expected } = SetPowerCap::try_from(&ask)?;
        let state = self.0.replica.state();
        let operator = state.site(&site).map(|site| site.operator.clone());
        let operator = operator.ok_or_else(|| not_found(&ask.name))?;
        let target = Target::Operator(&operator);
        call.may_on(&state, Verb::SetPowerCap, Verb::ReadFederation, target, &ask.name)?;
        let command = Command::SetPowerCap { site, watts, expected };
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }

    async fn revoke_site(
        &self,
        request: Request<v1::RevokeSiteRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let site = SiteId::from_field("name", &ask.name)?;
        let state = self.0.replica.state();
        let operator = state.site(&site).map(|site| site.operator.clone());
        let operator = operator.ok_or_else(|| not_found(&ask.name))?;
        let target = Target::Operator(&operator);
        call.may_on(&state, Verb::RevokeSite, Verb::ReadFederation, target, &ask.name)?;
        let admitted = Admitted::new(intent, Command::RevokeSite { site });
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }
}
