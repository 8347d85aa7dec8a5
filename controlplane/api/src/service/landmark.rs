//! `LandmarkService`: landmarks of one's own operator, and what the last fix of a node says.

use crate::admission::Admitted;
use crate::call::{Call, not_found};
use crate::core::{Core, federation};
use crate::list::{Field, Kind, List, wish};
use sekisho_evidence::canonical::CanonicalError;
use sekisho_evidence::location::beacon::Beacon;
use sekisho_evidence::location::evidence::Evidence;
use sekisho_evidence::location::fix::{Fix, proven};
use sekisho_evidence::location::landmark::{Landmark, LandmarkId};
use sekisho_evidence::location::verdict::{Contradiction, Verdict};
use sekisho_evidence::location::{foreign, prefecture};
use sekisho_fsm::State;
use sekisho_fsm::command::Command;
use sekisho_fsm::location::{KeptFix, Reach};
use sekisho_fsm::role::{Target, Verb};
use sekisho_fsm::state::Node;
use sekisho_proto::convert::intent::Intent;
use sekisho_proto::convert::landmark::{DeleteLandmark, Reached};
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::name::Resource as _;
use sekisho_proto::status::ApiError;
use sekisho_proto::v1::{self, landmark_service_server::LandmarkService};
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{NodeId, OperatorId};
use sekisho_types::residency::{PROOF_F_DEFAULT, PlaceProof};
use sekisho_types::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct LandmarkApi(pub(crate) Arc<Core>);

fn reached(landmark: &Landmark, reach: &Reach) -> Reached {
    let (address, datagrams) = (reach.address.clone(), reach.datagrams.clone());
    Reached { landmark: landmark.clone(), address, datagrams }
}

/// Which others each landmark contradicts, those that were taken out among them.
pub(crate) fn contradictions(state: &State) -> BTreeMap<&LandmarkId, BTreeSet<&LandmarkId>> {
    let mut found: BTreeMap<&LandmarkId, BTreeSet<&LandmarkId>> = BTreeMap::new();
    for ((by, of), _) in state.ranges().filter(|(_, range)| range.conviction.is_some()) {
        found.entry(by).or_default().insert(of);
        found.entry(of).or_default().insert(by);
    }
    found
}

pub(crate) fn message(
    state: &State,
    wrong: &BTreeMap<&LandmarkId, BTreeSet<&LandmarkId>>,
    (id, (landmark, reach)): (&LandmarkId, (&Landmark, &Reach)),
) -> v1::Landmark {
    let contradicts = wrong.get(id).into_iter().flatten().map(|other| other.name());
    v1::Landmark {
        etag: reach.revision.to_string(),
        reach_m: reach_m(state, id),
        contradicts: contradicts.collect(),
        convicted: state.convicted(id).is_some(),
        ..v1::Landmark::from(&reached(landmark, reach))
    }
}

/// A landmark that counts, or that was taken out.
pub(crate) fn known<'s>(state: &'s State, id: &LandmarkId) -> Option<(&'s Landmark, &'s Reach)> {
    let out = || state.convicted(id).map(|row| (&row.landmark, &row.reach));
    state.landmarks().get(id).or_else(out)
}

/// All that [`known`] knows, by id.
pub(crate) fn all(state: &State) -> BTreeMap<&LandmarkId, (&Landmark, &Reach)> {
    let out = state.convictions().map(|(id, row)| (id, (&row.landmark, &row.reach)));
    state.landmarks().iter().chain(out).collect()
}

pub(super) type Row<'s> = (&'s State, &'s LandmarkId, (&'s Landmark, &'s Reach));

pub(super) fn fields<'s>() -> [Field<Row<'s>>; 6] {
    [
        Field::new("name", Kind::Text, |(_, id, _)| id.name().into()),
        Field::new("operator", Kind::Text, |(_, id, _)| id.operator.as_str().into()),
        Field::new("position", Kind::Text, |(.., (at, _))| at.position.to_string().into()),
        Field::new("survey_m", Kind::Number, |(.., (at, _))| at.survey_m.into()),
        Field::new("reach_m", Kind::Number, |(state, id, _)| reach_m(state, id).into()),
        Field::new("convicted", Kind::Flag, |(state, id, _)| state.convicted(id).is_some().into()),
    ]
}

fn reach_m(state: &State, id: &LandmarkId) -> u64 {
    state.landmarks().table().nearest_foreign_m(id).unwrap_or_default()
}

/// All of them, for agents.
pub(crate) fn addresses(state: &State) -> internal::ListLandmarksResponse {
    let address = |(_, (landmark, reach)): (&LandmarkId, (&Landmark, &Reach))| {
        internal::LandmarkAddress::from(&reached(landmark, reach))
    };
    internal::ListLandmarksResponse { landmarks: state.landmarks().iter().map(address).collect() }
}

/// What the last fix of a node says at `now`.
pub(crate) fn location(kept: &KeptFix, node: &Node, now: Timestamp) -> v1::Location {
    let fix = &kept.fix;
    let tier = proven(node.tag.place(), fix.proof(now).map(PlaceProof::from)).country_tier;
    let heard: BTreeSet<String> =
        fix.transcripts.iter().map(|signed| signed.transcript.landmark.name()).collect();
    let shown = v1::Location {
        tier: tier.to_string(),
        measured_ms: fix.measured.0,
        landmarks: heard.into_iter().collect(),
        revision: kept.revision.0,
        ..v1::Location::default()
    };
    with_verdict(shown, fix)
}

fn beacon(measured: &Beacon) -> v1::location::Beacon {
    v1::location::Beacon {
        landmark: measured.landmark.name(),
        rtt_ns: measured.rtt_ns,
        enough_ns: measured.enough_ns,
    }
}

fn with_verdict(shown: v1::Location, fix: &Fix) -> v1::Location {
    match &fix.verdict {
        Verdict::Proven(proof) => v1::Location {
            f: proof.f,
            expires_ms: proof.expires.0,
            operators: proof.operators.iter().map(OperatorId::to_string).collect(),
            missing_operators: PROOF_F_DEFAULT.saturating_sub(proof.f),
            beacon: proof.beacon.as_ref().map(beacon),
            prefecture: proof.prefecture.map(|area| area.to_string()).unwrap_or_default(),
            ..shown
        },
        // It was judged with f = 0.
        Verdict::Unknown(missing) => v1::Location {
            missing_operators: missing.operators.saturating_add(PROOF_F_DEFAULT),
            ..shown
        },
        Verdict::Inconsistent(why) => {
            let inconsistent = contradicting(why).into_iter().map(LandmarkId::name).collect();
            v1::Location { inconsistent, ..shown }
        }
    }
}

/// The last fix of a node, and all that is needed to judge it again. Landmarks that came since change nothing: a verdict
/// asks for those that measured, and a fix is forgotten with any of them.
pub(crate) fn fix_evidence(
    state: &State,
    id: &NodeId,
    node: &Node,
) -> Result<v1::GetFixResponse, ApiError> {
    let none = || ApiError::new(ErrorCode::NotFound, format!("no fix of {id} is kept"));
    let kept = state.fix(id).ok_or_else(none)?;
    let federation = federation(state)?;
    let evidence = Evidence {
        cluster: federation.cluster,
        incarnation: federation.incarnation,
        node: id.clone(),
        node_key: node.node_key,
        receipt_key: node.receipt_key,
        area: node.tag.area.domestic(),
        landmarks: state.landmarks().table().clone(),
        foreign: foreign::table_hash(),
        prefectures: prefecture::table_hash(),
        fix: kept.fix.fix,
        transcripts: kept.fix.transcripts.clone(),
        verdict: kept.fix.verdict.clone(),
    };
    let bytes = evidence.bytes().map_err(|e| ApiError::new(ErrorCode::Internal, e.to_string()))?;
    Ok(v1::GetFixResponse { evidence: bytes.into(), revision: kept.revision.0 })
}

/// Who contradicts each other, or the tag.
pub(crate) fn contradicting(why: &Contradiction) -> Vec<&LandmarkId> {
    match why {
        Contradiction::Landmarks(a, b) => vec![a, b],
        Contradiction::Claim(landmark) => vec![landmark],
    }
}

#[tonic::async_trait]
impl LandmarkService for LandmarkApi {
    async fn list_landmarks(
        &self,
        request: Request<v1::ListLandmarksRequest>,
    ) -> Result<Response<v1::ListLandmarksResponse>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let operator = OperatorId::from_parent("parent", &ask.parent)?;
        let list = List::of(&format!("landmarks/{}", ask.parent), &wish!(ask), &fields())?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        call.may(&state, Verb::ReadFederation, Target::Federation)?;
        let wanted = |id: &LandmarkId| operator.as_ref().is_none_or(|own| id.operator == *own);
        let rows = all(&state).into_iter().filter(|(id, _)| wanted(id));
        let rows = rows.map(|(id, known)| (id, (&state, id, known)));
        let (rows, next_page_token) = list.take(state.revision(), rows);
        let wrong = contradictions(&state);
        let table = state.landmarks().table().hash();
        let broken = |e: CanonicalError| ApiError::new(ErrorCode::Internal, e.to_string());
        Ok(Response::new(v1::ListLandmarksResponse {
            landmarks: rows
                .into_iter()
                .map(|(state, id, known)| message(state, &wrong, (id, known)))
                .collect(),
            next_page_token,
            revision: state.revision().0,
            unreachable: self.0.unreachable_sites(&state),
            table: table.map_err(broken)?.to_string(),
        }))
    }

    async fn get_landmark(
        &self,
        request: Request<v1::GetLandmarkRequest>,
    ) -> Result<Response<v1::Landmark>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let id = LandmarkId::from_field("name", &ask.name)?;
        let state = self.0.read(&call, ask.read.as_ref()).await?;
        let read = Verb::ReadFederation;
        call.may_on(&state, read, read, Target::Federation, &ask.name)?;
        let found = known(&state, &id).ok_or_else(|| not_found(&ask.name))?;
        Ok(Response::new(message(&state, &contradictions(&state), (&id, found))))
    }

    async fn create_landmark(
        &self,
        request: Request<v1::CreateLandmarkRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let Reached { landmark, address, datagrams } = Reached::try_from(&ask)?;
        let target = Target::Operator(&landmark.id.operator);
        call.may(&self.0.replica.state(), Verb::RegisterLandmark, target)?;
        let landmark = Box::new(landmark);
        let command = Command::RegisterLandmark { landmark, address, datagrams };
        Ok(Response::new(self.0.write(&call, Admitted::new(intent, command)).await?))
    }

    async fn delete_landmark(
        &self,
        request: Request<v1::DeleteLandmarkRequest>,
    ) -> Result<Response<v1::Written>, Status> {
        let call = Call::of(&request)?;
        let ask = request.into_inner();
        let intent = Intent::of(ask.intent.as_ref())?;
        let DeleteLandmark { id, expected } = DeleteLandmark::try_from(&ask)?;
        let state = self.0.replica.state();
        let target = Target::Operator(&id.operator);
        call.may_on(&state, Verb::RemoveLandmark, Verb::ReadFederation, target, &ask.name)?;
        let admitted = Admitted::new(intent, Command::RemoveLandmark { id, expected });
        Ok(Response::new(self.0.write(&call, admitted).await?))
    }
}
