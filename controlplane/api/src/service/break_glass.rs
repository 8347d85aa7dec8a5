//! Emergency rights: taken, ended, and shown to everybody.

use crate::admission::Admitted;
use crate::call::{Call, not_found};
use crate::core::Core;
use crate::list::{Field, Kind, List, wish};
use sekisho_fsm::State;
use sekisho_fsm::break_glass::BreakGlass;
use sekisho_fsm::command::Command;
use sekisho_fsm::role::{Target, Verb};
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::name::{BreakGlassId, Resource as _};
use sekisho_proto::v1::{self, break_glass_service_server::BreakGlassService};
use sekisho_types::revision::Revision;
use sekisho_types::time::Timestamp;
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct BreakGlassApi(pub(crate) Arc<Core>);

type Row<'s> = (Revision, &'s BreakGlass, bool);

fn fields<'s>() -> [Field<Row<'s>>; 6] {
    [
        Field::new("name", Kind::Text, |(opened, ..)| BreakGlassId(*opened).name().into()),
        Field::new("by", Kind::Text, |(_, row, _)| row.by.to_string().into()),
        Field::new("open", Kind::Flag, |(.., open)| (*open).into()),
        Field::new("since_ms", Kind::Number, |(_, row, _)| row.since.0.into()),
        Field::new("until_ms", Kind::Number, |(_, row, _)| row.until.0.into()),
        Field::new("uses", Kind::Number, |(_, row, _)| row.uses.into()),
    ]
}

pub(crate) fn message(state: &State, opened: Revision, row: &BreakGlass) -> v1::BreakGlass {
    let ended = row.ended.as_ref();
    v1::BreakGlass {
        name: BreakGlassId(opened).name(),
        by: row.by.to_string(),
        reason: row.reason.clone(),
        since_ms: row.since.0,
        until_ms: row.until.0,
        open: row.is_open(state.clock()),
        ended_by: ended.map(|(by, _)| by.to_string()).unwrap_or_default(),
        ended_ms: ended.map(|(_, at)| at.0),
        uses: row.uses,
        revisions: row.revisions.iter().map(|revision| revision.0).collect(),
        etag: row.revision.to_string(),
    }
}

#[tonic::async_trait]
impl BreakGlassService for BreakGlassApi {
    async fn list_break_glasses(
        &self,
        request: Request<v1::ListBreakGlassesRequest>,
    ) -> Result<Response<v1::ListBreakGlassesResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let list = List::of("breakGlasses", &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        call.may(&state, Verb::ReadFederation, Target::Federation)?;
        let now = state.clock();
        let rows =
            state.break_glasses().map(|(opened, row)| (opened, (*opened, row, row.is_open(now))));
        let (rows, next_page_token) = list.take(state.revision(), rows);
        let rows = rows.into_iter().map(|(opened, row, _)| message(&state, opened, row));
        Ok(Response::new(v1::ListBreakGlassesResponse {
            break_glasses: rows.collect(),
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
        }))
    }

    async fn get_break_glass(
        &self,
        request: Request<v1::GetBreakGlassRequest>,
    ) -> Result<Response<v1::BreakGlass>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let BreakGlassId(opened) = BreakGlassId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadFederation;
        call.may_on(&state, read, read, Target::Federation, &ask.name)?;
        let row = state.break_glass(opened).ok_or_else(|| not_found(&ask.name))?;
        Ok(Response::new(message(&state, opened, row)))
    }

    async fn create_break_glass(
        &self,
        request: Request<v1::CreateBreakGlassRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let v1::CreateBreakGlassRequest { reason, until_ms, intent } = request.into_inner();
        let intent = Intent::of(intent.as_ref())?;
        call.may(&self.0.replica.state(), Verb::BreakGlass, Target::Federation)?;
        let command = Command::BreakGlass { reason, until: Timestamp(until_ms) };
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }

    async fn end_break_glass(
        &self,
        request: Request<v1::EndBreakGlassRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let BreakGlassId(opened) = BreakGlassId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, None).await?;
        let own = state.break_glass(opened).is_some_and(|row| row.by == *call.principal());
        if !own {
            let (verb, read) = (Verb::EndBreakGlass, Verb::ReadFederation);
            call.may_on(&state, verb, read, Target::Federation, &ask.name)?;
        }
        let admitted = Admitted::new(intent, Command::EndBreakGlass { opened });
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }
}
