//! Records, checkpoints, bundles.

use super::*;
use crate::limit::{CHUNK_DEADLINE, EXPORT_QUEUE, EXPORTS_MAX};
use crate::service::audit::AuditApi;
use crate::service::peer::PeerApi;
use sekisho_evidence::audit_bundle::AuditBundle;
use sekisho_evidence::checkpoint::verify_note;
use sekisho_evidence::merkle::Frontier;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, admin, member, user};
use sekisho_proto::internal::v1 as internal;
use sekisho_proto::internal::v1::peer_service_server::PeerService as _;
use sekisho_proto::v1;
use sekisho_proto::v1::audit_service_server::AuditService as _;
use sekisho_types::id::MemberId;
use std::sync::Arc;
use std::time::Duration;
use tokio_stream::StreamExt as _;

/// What member `id` of `operator` would tell about the newest checkpoint.
fn word(fake: &Fake, operator: &str, id: u64) -> internal::ExchangeRequest {
    let head = fake.core.heads.latest().unwrap();
    let key = testing::checkpoint_key(MemberId(id));
    let line = head.checkpoint.sign(&operator.parse().unwrap(), MemberId(id), &key).unwrap();
    let revision = head.checkpoint.revision.0;
    let signed = internal::SignedCheckpoint { text: head.text.clone(), line: line.0, revision };
    internal::ExchangeRequest {
        applied_revision: revision,
        signed: vec![signed],
        ..Default::default()
    }
}

#[tokio::test]
async fn what_members_sign_together_covers_a_bundle_that_stands_alone() {
    let fake = fake();
    let (audit, peer) = (AuditApi::new(Arc::clone(&fake.core)), PeerApi(Arc::clone(&fake.core)));
    fake.replica.elsewhere(|federation| federation.accept(member("kanto"), Command::Tick));
    let auditor = admin("kanto");
    let checkpoint = || audit.get_checkpoint(request(&auditor, v1::GetCheckpointRequest {}));
    assert_eq!(code(checkpoint().await), ErrorCode::GrantSigners);
    for (operator, id) in [("hokuto", 1), ("naniwa", 3)] {
        let told = peer.exchange(request(&member(operator), word(&fake, operator, id))).await;
        let applied = told.unwrap().into_inner().applied_revision;
        assert_eq!(applied, fake.core.replica.applied().0);
    }
    let note = checkpoint().await.unwrap().into_inner().note;
    let state = fake.core.replica.state();
    let verified = verify_note(&state.federation().unwrap().bundle, &note).unwrap();
    assert_eq!(verified.operators.len(), 2);

    let stream = audit.export_bundle(request(&auditor, v1::ExportBundleRequest {})).await;
    let mut stream = stream.unwrap().into_inner();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend(chunk.unwrap().chunk);
    }
    let bundle = AuditBundle::open(&bytes).unwrap();
    assert_eq!(bundle.head.genesis, testing::genesis());
    assert_eq!(bundle.head.note.as_slice(), note.as_ref());
    let mut frontier = Frontier::default();
    for record in &bundle.records {
        frontier.append(record).unwrap();
    }
    let head = verified.checkpoint.head;
    assert_eq!((frontier.size(), frontier.root().unwrap()), (head.size, head.root));
}

/// Whoever reads nothing holds a place for a minute, and no thread.
#[tokio::test(start_paused = true)]
async fn exports_are_few_at_a_time_and_one_that_nobody_reads_ends() {
    let fake = fake();
    let (audit, peer) = (AuditApi::new(Arc::clone(&fake.core)), PeerApi(Arc::clone(&fake.core)));
    // More than the queue holds: the fake archive gives fifty records at a time.
    fake.replica.elsewhere(|federation| {
        for n in 0..50 * (EXPORT_QUEUE + 4) {
            let node = "tokyo-1/n-01".parse().unwrap();
            let command = Command::SetSchedulable { node, schedulable: n % 2 == 1 };
            federation.accept(admin("kanto"), command);
        }
        federation.accept(member("kanto"), Command::Tick);
    });
    for (operator, id) in [("hokuto", 1), ("naniwa", 3)] {
        peer.exchange(request(&member(operator), word(&fake, operator, id))).await.unwrap();
    }
    let ask = || audit.export_bundle(request(&admin("kanto"), v1::ExportBundleRequest {}));
    let mut unread = Vec::new();
    for _ in 0..EXPORTS_MAX {
        unread.push(ask().await.unwrap().into_inner());
    }
    assert_eq!(code(ask().await.map(|_| Response::new(()))), ErrorCode::Overloaded);
    // waits: for the readers to be given up, on a clock that jumps.
    tokio::time::sleep(CHUNK_DEADLINE + Duration::from_secs(1)).await;
    for mut stream in unread {
        let mut left = 0;
        while stream.next().await.is_some() {
            left += 1;
        }
        assert_eq!(left, EXPORT_QUEUE, "what was queued, and then the end");
    }
    // One that is read is written whole.
    let mut stream = ask().await.unwrap().into_inner();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend(chunk.unwrap().chunk);
    }
    AuditBundle::open(&bytes).unwrap();
}

#[tokio::test]
async fn records_come_in_order_and_to_auditors_only() {
    let fake = fake();
    let audit = AuditApi::new(Arc::clone(&fake.core));
    let list = |principal, start| {
        let ask = v1::ListRecordsRequest { start, page_size: 5 };
        audit.list_records(request(&principal, ask))
    };
    let page = list(admin("kanto"), 3).await.unwrap().into_inner();
    assert_eq!(page.records.iter().map(|r| r.index).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
    assert_eq!(page.size, fake.core.replica.state().audit_size());
    assert_eq!(list(admin("kanto"), u64::MAX).await.unwrap().into_inner().records, []);
    assert_eq!(code(list(user("kanto", "sapporo"), 0).await), ErrorCode::PermissionDenied);
    // D3: a company that has no place in Japan any more is sent nothing, whatever its people may otherwise.
    let site = "tokyo-1".parse().unwrap();
    fake.replica
        .elsewhere(|federation| federation.accept(admin("kanto"), Command::RevokeSite { site }));
    assert_eq!(code(list(admin("kanto"), 0).await), ErrorCode::PermissionDenied);
    list(admin("naniwa"), 0).await.unwrap();
}

#[tokio::test]
async fn only_members_exchange_and_a_fork_is_not_combined() {
    let fake = fake();
    let peer = PeerApi(Arc::clone(&fake.core));
    fake.replica.elsewhere(|federation| federation.accept(member("kanto"), Command::Tick));
    let tell = |principal, word| peer.exchange(request(&principal, word));
    let stranger = tell(admin("kanto"), word(&fake, "hokuto", 1)).await;
    assert_eq!(code(stranger), ErrorCode::PermissionDenied);
    // Member 3 passes on the word of member 1: heard, not counted.
    tell(member("naniwa"), word(&fake, "hokuto", 1)).await.unwrap();
    tell(member("hokuto"), word(&fake, "hokuto", 1)).await.unwrap();
    assert!(fake.core.notes.newest().is_none());
    let mut many = word(&fake, "hokuto", 1);
    many.signed = vec![many.signed[0].clone(); 65];
    assert_eq!(code(tell(member("hokuto"), many).await), ErrorCode::InvalidArgument);
}
