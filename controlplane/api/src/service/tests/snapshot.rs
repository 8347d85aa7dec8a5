//! Backups: who may take one, and what is in it.

use super::*;
use crate::limit::{EXPORT_QUEUE, MOMENT_DEADLINE};
use crate::service::snapshot::{SnapshotApi, prepare, write};
use sekisho_evidence::canonical::encode;
use sekisho_evidence::checkpoint::verify_note;
use sekisho_evidence::key::Purpose;
use sekisho_evidence::merkle::{Frontier, check_consistency};
use sekisho_evidence::snapshot_file::SnapshotReader;
use sekisho_fsm::command::Command;
use sekisho_fsm::image::Image;
use sekisho_fsm::testing::{self, BEGIN, admin, member, user};
use sekisho_proto::v1;
use sekisho_proto::v1::snapshot_service_server::SnapshotService as _;
use sekisho_transport::deadline::Deadline;
use sekisho_transport::pki::backup::BackupIdentity;
use sekisho_transport::seal::open;
use sekisho_types::id::MemberId;
use sekisho_types::principal::{KeyRecord, Principal, Role};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;

/// kanto's archivist for Tokyo.
fn archivist(fake: &Fake) -> Principal {
    let principal = user("kanto", "archive");
    let record = KeyRecord {
        principal: principal.clone(),
        role: Role::Archivist("tokyo-1".parse().unwrap()),
        public_key: testing::user_key(&principal).public(),
        expires: BEGIN.plus_ms(1 << 40),
    };
    let issuer =
        testing::key("issuer", "kanto").sign(Purpose::KeyRecord, &encode(&record).unwrap());
    let register = Command::RegisterKey { record, issuer };
    fake.replica.elsewhere(|federation| federation.accept(admin("kanto"), register));
    principal
}

/// Two operators' words about the newest checkpoint.
fn sign(fake: &Fake) {
    fake.replica.elsewhere(|federation| federation.accept(member("kanto"), Command::Tick));
    let (state, head) = (fake.core.replica.state(), fake.core.heads.latest().unwrap());
    for (operator, id) in [("hokuto", 1), ("naniwa", 3)] {
        let key = testing::checkpoint_key(MemberId(id));
        let line = head.checkpoint.sign(&operator.parse().unwrap(), MemberId(id), &key).unwrap();
        let bundle = &state.federation().unwrap().bundle;
        fake.core.notes.add(bundle, MemberId(id), &head.text, &line).unwrap();
    }
}

async fn taken(api: &SnapshotApi, by: &Principal) -> Result<Vec<u8>, Status> {
    let stream = api.save(request(by, v1::SaveSnapshotRequest {})).await?;
    let mut stream = stream.into_inner();
    let mut bytes = Vec::new();
    let mut last = false;
    while let Some(chunk) = stream.next().await {
        assert!(!last, "nothing follows the end");
        let chunk = chunk?;
        last = chunk.last;
        bytes.extend(chunk.chunk);
    }
    assert!(last, "it ends as it should");
    Ok(bytes)
}

fn refusal(answer: Result<Vec<u8>, Status>) -> ErrorCode {
    code(answer.map(Response::new))
}

#[tokio::test]
async fn nobody_but_an_archivist_of_a_site_that_stands_gets_a_byte() {
    let fake = fake();
    let api = SnapshotApi::new(Arc::clone(&fake.core));
    let refused = |by: Principal| {
        let api = &api;
        async move { refusal(taken(api, &by).await) }
    };
    assert_eq!(refused(admin("kanto")).await, ErrorCode::PermissionDenied);
    assert_eq!(refused(user("kanto", "nobody")).await, ErrorCode::PermissionDenied);
    let principal = archivist(&fake);
    let site = "tokyo-1".parse().unwrap();
    fake.replica
        .elsewhere(|federation| federation.accept(admin("kanto"), Command::RevokeSite { site }));
    assert_eq!(refused(principal).await, ErrorCode::SnapshotDestination);
}

#[tokio::test(start_paused = true)]
async fn without_a_head_that_enough_operators_signed_there_is_no_backup() {
    let fake = fake();
    let api = SnapshotApi::new(Arc::clone(&fake.core));
    let principal = archivist(&fake);
    assert_eq!(refusal(taken(&api, &principal).await), ErrorCode::GrantSigners);
    sign(&fake);
    taken(&api, &principal).await.unwrap();
}

#[tokio::test]
async fn a_backup_is_one_moment_with_all_its_records_under_a_signed_head() {
    let fake = fake();
    let api = SnapshotApi::new(Arc::clone(&fake.core));
    let principal = archivist(&fake);
    sign(&fake);
    let sent = taken(&api, &principal).await.unwrap();
    assert!(sent.starts_with(b"age-encryption.org/v1\n"));
    let stanzas = sent.windows(11).filter(|window| window == b"\n-> X25519 ").count();
    assert_eq!(stanzas, 3, "one for each operator with a controller");
    let state = fake.core.replica.state();
    let federation = state.federation().unwrap();
    // Nobody holds the fixture's backup keys: the same again for a key of this test.
    let moment = fake.core.replica.moment(Deadline::after(MOMENT_DEADLINE)).await.unwrap();
    let mut prepared = prepare(&fake.core, &moment).await.unwrap();
    assert_eq!(prepared.recipients, federation.bundle.backup_keys());
    let identity = BackupIdentity::from_seed([7; 32]);
    prepared.recipients = vec![identity.public()];
    let (out, mut queue) = mpsc::channel(EXPORT_QUEUE);
    let core = Arc::clone(&fake.core);
    let written = tokio::task::spawn_blocking(move || write(&core, &prepared, &moment.image, out));
    let mut bytes = Vec::new();
    while let Some(chunk) = queue.recv().await {
        bytes.extend(chunk.unwrap().chunk);
    }
    written.await.unwrap().unwrap();
    let opened = open(&identity, bytes.as_slice()).unwrap();
    let reader = SnapshotReader::open(opened).unwrap();
    let head = reader.head().clone();
    let (image, mut records) = reader.image().unwrap();
    let mut frontier = Frontier::default();
    while let Some(record) = records.next_record().unwrap() {
        frontier.append(&record).unwrap();
    }
    assert_eq!((frontier.size(), frontier.root().unwrap()), (head.head.size, head.head.root));
    assert_eq!(Image::decode(&image).unwrap().state.digest(), state.digest());
    assert_eq!(head.package, federation.package());
    let note = verify_note(&federation.bundle, head.note.as_ref().unwrap()).unwrap();
    check_consistency(note.checkpoint.head, head.head, &head.consistency).unwrap();
}
