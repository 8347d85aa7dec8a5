//! Who may open what (R6), and that everything is there again.

use super::{MEMBER, append, entry, is_damaged, open, request, wait};
use crate::{Identity, MarkerError, Member, Store, StoreError, StoreResult};

fn refusal(outcome: StoreResult<Store>) -> MarkerError {
    match outcome {
        Err(StoreError::Marker(why)) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("opened"),
    }
}

#[test]
fn reopen_finds_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let directory = store.identity().directory;
    assert_eq!(store.identity(), Identity { directory, boot_seq: 1, durable_log_index: None });
    append(&store, 0..20, 100);
    wait(|done| store.log().save_vote(b"vote".to_vec(), done)).unwrap();
    wait(|done| store.log().save_committed(b"committed".to_vec(), done)).unwrap();
    wait(|done| store.log().purge(4, b"id4".to_vec(), done)).unwrap();
    wait(|done| store.log().truncate_after(Some(17), done)).unwrap();
    store
        .audit()
        .append(0, &[b"a".to_vec(), b"b".to_vec()], 0, &[[1; 32], [2; 32], [3; 32]])
        .unwrap();
    store.payloads().put(&[9; 32], b"payload").unwrap();
    store.snapshots().save(b"meta", b"data").unwrap();
    store.notes().put("head", b"note").unwrap();
    drop(store);

    let store = open(dir.path()).unwrap();
    let log = store.log();
    // The peak is not lowered by the truncation.
    assert_eq!(store.identity(), Identity { directory, boot_seq: 2, durable_log_index: Some(19) });
    assert_eq!((log.first_index(), log.last_index()), (Some(5), Some(17)));
    assert_eq!(log.vote().as_deref(), Some(b"vote".as_slice()));
    assert_eq!(log.committed().as_deref(), Some(b"committed".as_slice()));
    assert_eq!(log.purged().unwrap(), (4, b"id4".as_slice().into()));
    let read = log.read(5..100, usize::MAX).unwrap();
    let expected: Vec<_> = (5..18).map(|i| entry(i, 100)).map(|(i, e)| (i, e.into())).collect();
    assert_eq!(read, expected);
    assert!(matches!(log.read(4..6, 10), Err(StoreError::Purged { first: 5, .. })));
    assert_eq!((store.audit().size(), store.audit().next_hash()), (2, 3));
    assert_eq!(store.audit().record(1).unwrap().unwrap(), b"b");
    assert_eq!(store.audit().hashes(&[2, 0, 3]).unwrap(), [Some([3; 32]), Some([1; 32]), None]);
    assert_eq!(store.payloads().get(&[9; 32]).unwrap().unwrap(), b"payload");
    assert_eq!(store.snapshots().latest().unwrap().unwrap().data, b"data");
    assert_eq!(store.notes().get("head").unwrap().unwrap(), b"note");
    assert_eq!(store.notes().get("other").unwrap(), None);
}

#[test]
fn a_second_open_is_told_that_the_directory_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    assert!(matches!(open(dir.path()), Err(StoreError::Locked { .. })));
    // A handle of the log outlives the store and still holds its database.
    let log = first.log().clone();
    drop(first);
    assert!(matches!(open(dir.path()), Err(StoreError::Locked { .. })));
    drop(log);
    open(dir.path()).unwrap();
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let as_member =
        |member: Member| Store::open(&crate::OpenRequest { member, ..request(dir.path()) });
    let why = refusal(as_member(Member { cluster_id: [8; 16], ..MEMBER }));
    assert!(matches!(why, MarkerError::Foreign { .. }));
    let why = refusal(as_member(Member { incarnation: 3, ..MEMBER }));
    assert_eq!(why, MarkerError::OtherIncarnation { found: 2, expected: 3 });
    let why = refusal(as_member(Member { begun: [5; 32], ..MEMBER }));
    assert_eq!(why, MarkerError::OtherOpening(2));
    let why = refusal(as_member(Member { member_id: 4, ..MEMBER }));
    assert_eq!(why, MarkerError::OtherMember { found: 3, expected: 4 });
    open(dir.path()).unwrap();
}

#[test]
fn a_lost_marker_or_a_lost_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    std::fs::remove_file(dir.path().join("identity")).unwrap();
    assert_eq!(refusal(open(dir.path())), MarkerError::MissingWithData);
    let empty = tempfile::tempdir().unwrap();
    let known = crate::OpenRequest { create_at_ms: None, ..request(empty.path()) };
    assert_eq!(refusal(Store::open(&known)), MarkerError::Missing);
    let gone = crate::OpenRequest { dir: empty.path().join("unmounted"), ..known };
    assert_eq!(refusal(Store::open(&gone)), MarkerError::Missing);
}

#[test]
fn an_interrupted_creation_is_finished_but_a_lost_part_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    // As a crash just before the boot count leaves it.
    std::fs::remove_file(dir.path().join("boot")).unwrap();
    std::fs::remove_file(dir.path().join("data.mark")).unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(store.identity().boot_seq, 1);
    append(&store, 0..1, 10);
    drop(store);
    for part in ["boot", "log.mark", "data.mark", "log", "data"] {
        let (from, to) = (dir.path().join(part), dir.path().join("aside"));
        std::fs::rename(&from, &to).unwrap();
        assert!(is_damaged(&open(dir.path())), "{part}");
        if from.is_dir() {
            std::fs::remove_dir_all(&from).unwrap();
        }
        std::fs::rename(&to, &from).unwrap();
    }
    open(dir.path()).unwrap();
}
