//! What is written down, how it is bounded, and where its head goes.

use super::*;
use crate::fake::{self, fake, request};
use crate::service::audit::AuditApi;
use crate::service::quota::QuotaApi;
use sekisho_fsm::testing::{self, admin, cluster, user};
use sekisho_proto::v1;
use sekisho_proto::v1::audit_service_server::AuditService as _;
use sekisho_proto::v1::quota_service_server::QuotaService as _;
use sekisho_types::id::MemberId;
use sekisho_types::principal::Principal;
use tower::ServiceExt as _;

fn denial(peer: &str, at: u64) -> Denial {
    Denial {
        at: Timestamp(at),
        peer: Who::Address(peer.to_owned()),
        method: "/a/B".to_owned(),
        target: String::new(),
        code: ErrorCode::PermissionDenied,
        request: None,
    }
}

/// Sums of what is due, by peer.
fn sums(entries: &[Entry]) -> Vec<(Option<Who>, u64)> {
    let sum = |entry: &Entry| match entry {
        Entry::Summed(sum) => Some((sum.peer.clone(), sum.count)),
        Entry::Denied(_) => None,
    };
    entries.iter().filter_map(sum).collect()
}

#[test]
fn a_flood_of_one_peer_is_counted_and_takes_nobodys_share() {
    let journal = Journal::default();
    for at in 0..1000 {
        journal.take(denial("192.0.2.1", at));
    }
    journal.take(denial("192.0.2.2", 5));
    assert_eq!(journal.due().len(), DENIALS_EACH + 1);
    journal.end_minute();
    let entries = journal.due();
    let flood = Who::Address("192.0.2.1".into());
    let above = 1000 - u64::try_from(DENIALS_EACH).unwrap();
    assert_eq!(sums(&entries), [(Some(flood), above)]);
    let Entry::Summed(sum) = &entries[0] else { panic!() };
    assert_eq!((sum.from, sum.to), (Timestamp(30), Timestamp(999)));
    // A new minute, a new share.
    journal.take(denial("192.0.2.1", 2000));
    assert_eq!(journal.due(), [Entry::Denied(denial("192.0.2.1", 2000))]);
}

#[test]
fn a_flood_of_many_peers_is_bounded_and_nothing_is_lost_from_the_count() {
    let journal = Journal::default();
    let all = 5000_u64;
    for at in 0..all {
        journal.take(denial(&format!("peer-{}", at % 500), at));
    }
    journal.uncounted(Timestamp(9), 7);
    journal.end_minute();
    let mut entries = Vec::new();
    loop {
        let due = journal.due();
        if due.is_empty() {
            break;
        }
        entries.extend(due);
    }
    let told = entries.iter().filter(|entry| matches!(entry, Entry::Denied(_))).count();
    assert_eq!(told, DENIALS_OF_ALL);
    let summed: u64 = sums(&entries).iter().map(|(_, count)| count).sum();
    assert_eq!(u64::try_from(told).unwrap() + summed, all + 7);
    assert!(entries.len() <= DENIALS_OF_ALL + DENIALS_PEERS + 1);
}

#[tokio::test]
async fn denials_are_chained_and_the_head_is_recorded_once() {
    let fake = fake();
    let core = &fake.core;
    let me = MemberId(2);
    let (start, mut head) = (JournalHead::start(&cluster(), me), None);
    core.write_due(&mut head).await.unwrap();
    assert_eq!(head, Some(start));
    core.record_journal(start).await;
    assert!(core.replica.state().journal(me).is_none(), "nothing happened yet");
    for at in 0..3 {
        core.journal.take(denial("192.0.2.1", at));
    }
    core.write_due(&mut head).await.unwrap();
    core.record_journal(head.unwrap()).await;
    let recorded = core.replica.state().journal(me).unwrap().head;
    let audit = AuditApi::new(Arc::clone(core));
    let list = |start, page_size| {
        let ask = v1::ListDenialsRequest { start, page_size };
        audit.list_denials(request(&admin("kanto"), ask))
    };
    let page = list(0, 0).await.unwrap().into_inner();
    assert_eq!((page.member, page.start, page.count), (2, 0, 3));
    let read = start.leads_to(&recorded, &page.entries).unwrap();
    assert_eq!(read[2], Entry::Denied(denial("192.0.2.1", 2)));
    // From the middle, by the hash before it.
    let tail = list(1, 2).await.unwrap().into_inner();
    let before = Digest::try_from(tail.before.as_ref()).unwrap();
    let middle = JournalHead { member: me, count: 1, head: before };
    assert_eq!(middle.leads_to(&recorded, &tail.entries).unwrap(), read[1..]);
    // After a start it goes on where the disk says, and an unchanged head makes no entry.
    let mut again = None;
    core.write_due(&mut again).await.unwrap();
    assert_eq!(again, Some(recorded));
    let revision = core.replica.state().revision();
    core.record_journal(recorded).await;
    assert_eq!(core.replica.state().revision(), revision);
    let refused = audit.list_denials(request(&user("kanto", "sapporo"), Default::default())).await;
    assert_eq!(ApiError::from_status(&refused.unwrap_err()).code, ErrorCode::PermissionDenied);
}

/// Calls a service as `principal`, through the layer.
async fn through(fake: &fake::Fake, principal: &Principal, path: &str) {
    let core = Arc::clone(&fake.core);
    let service = tower::service_fn(move |asked: Request<Principal>| {
        let (quota, audit) = (QuotaApi(Arc::clone(&core)), AuditApi::new(Arc::clone(&core)));
        let auditor = asked.into_body();
        async move {
            tokio::task::yield_now().await;
            let ask = v1::ListQuotasRequest::default();
            let _answer = quota.list_quotas(request(&auditor, ask)).await;
            let ask = v1::ListRecordsRequest::default();
            Ok::<_, std::convert::Infallible>(
                audit.list_records(request(&auditor, ask)).await.is_ok(),
            )
        }
    });
    let mut call = Request::builder().uri(path).body(principal.clone()).unwrap();
    call.extensions_mut().insert(fake::peer(principal));
    fake.core.journaling().layer(service).oneshot(call).await.unwrap();
}

#[tokio::test]
async fn what_a_handler_refuses_is_told_with_who_called_what() {
    let fake = fake();
    let who = user("kanto", "sapporo");
    through(&fake, &who, "/sekisho.v1.AuditService/ListRecords").await;
    let due = fake.core.journal.due();
    let [Entry::Denied(denial)] = due.as_slice() else { panic!("{due:?}") };
    assert_eq!(denial.peer, Who::Principal(who));
    assert_eq!(denial.method, "/sekisho.v1.AuditService/ListRecords");
    assert_eq!((denial.code, denial.target.as_str()), (ErrorCode::PermissionDenied, "federation"));
    assert_eq!(denial.at, testing::BEGIN);
    // Who may, leaves no trace here.
    through(&fake, &admin("kanto"), "/sekisho.v1.AuditService/ListRecords").await;
    assert_eq!(fake.core.journal.due(), []);
}

#[test]
fn outside_of_a_call_a_denial_is_nobodys() {
    denied(ErrorCode::PermissionDenied, "x");
}
