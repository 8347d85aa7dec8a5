//! Scheduler snapshots: who may have one, and that it plans as the state does.

use super::*;
use crate::limit::{SCHEDULER_CHUNK, SCHEDULER_SNAPSHOTS_MAX};
use crate::service::scheduler::SchedulerApi;
use sekisho_fsm::planning::SchedulerSnapshot;
use sekisho_fsm::testing::{job, user};
use sekisho_proto::v1;
use sekisho_proto::v1::scheduler_service_server::SchedulerService as _;
use sekisho_types::principal::Principal;
use std::sync::Arc;
use tokio_stream::StreamExt as _;

async fn taken(api: &SchedulerApi, by: &Principal) -> Result<Vec<v1::GetSnapshotResponse>, Status> {
    let stream = api.get_snapshot(request(by, v1::GetSnapshotRequest {})).await?;
    stream.into_inner().collect::<Result<_, _>>().await
}

fn refusal(answer: Result<Vec<v1::GetSnapshotResponse>, Status>) -> ErrorCode {
    code(answer.map(Response::new))
}

#[tokio::test]
async fn a_snapshot_comes_in_small_chunks_and_plans_as_the_state_does() {
    let fake = fake();
    let api = SchedulerApi::new(Arc::clone(&fake.core));
    fake.replica.elsewhere(|federation| {
        for n in 0..1500 {
            federation.submit(job(&format!("a-job-with-a-long-name-{n}"), 1, 1, &["JP-13"]));
        }
    });
    let chunks = taken(&api, &admin("kanto")).await.unwrap();
    assert!(chunks.len() > 1, "{} bytes", chunks[0].chunk.len());
    assert!(chunks.iter().all(|chunk| (1..=SCHEDULER_CHUNK).contains(&chunk.chunk.len())));
    let bytes: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.chunk.iter().copied()).collect();
    let snapshot = SchedulerSnapshot::read(&bytes).unwrap();
    let state = fake.core.replica.state();
    assert_eq!(snapshot.cluster, testing::cluster());
    assert_eq!(snapshot.state.digest(), state.for_planning().digest());
    let plan = sekisho_scheduler::plan(&snapshot.state);
    assert!(!plan.groups.is_empty());
    assert_eq!(plan, sekisho_scheduler::plan(&state));
}

#[tokio::test]
async fn nobody_has_one_but_who_may_read_the_audit_log_and_few_at_a_time() {
    let fake = fake();
    let api = SchedulerApi::new(Arc::clone(&fake.core));
    let denied = ErrorCode::PermissionDenied;
    assert_eq!(refusal(taken(&api, &user("kanto", "sapporo")).await), denied);
    assert_eq!(refusal(taken(&api, &user("kanto", "nobody")).await), denied);
    taken(&api, &admin("kanto")).await.unwrap();
    let all = u32::try_from(SCHEDULER_SNAPSHOTS_MAX).unwrap();
    let held = Arc::clone(&api.snapshots).acquire_many_owned(all).await.unwrap();
    assert_eq!(refusal(taken(&api, &admin("kanto")).await), ErrorCode::Overloaded);
    drop(held);
    taken(&api, &admin("kanto")).await.unwrap();
    // D3: as with the audit log.
    let site = "tokyo-1".parse().unwrap();
    fake.replica
        .elsewhere(|federation| federation.accept(admin("kanto"), Command::RevokeSite { site }));
    assert_eq!(refusal(taken(&api, &admin("kanto")).await), denied);
}
