//! The data tables: audit rows, payloads, notes and the rest keep what they were given, within their bounds.
//!
//! Must hold: A1 (no gap, no second text for a row) and L4. Damage on disk and sudden death have files of their own.

use super::{is_damaged, open};
use crate::limit::{
    EVIDENCE_BYTES, EVIDENCE_ROWS, HELD_OWNER_BYTES, JOURNAL_ENTRY_BYTES, NOTE_BYTES, PAYLOAD_BYTES,
};
use crate::{HeldRow, JournalRow, StoreError};

fn rows(range: std::ops::Range<u8>) -> Vec<Vec<u8>> {
    range.map(|i| vec![i; 10]).collect()
}

#[test]
fn audit_rows_repeat_but_never_differ_or_leave_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let audit = store.audit();
    audit.append(0, &rows(0..5), 0, &[[1; 32]; 8]).unwrap();
    // Replay: the same rows, and some beyond.
    audit.append(2, &rows(2..7), 6, &[[1; 32]; 4]).unwrap();
    assert_eq!((audit.first(), audit.size(), audit.next_hash()), (0, 7, 10));
    assert_eq!(audit.records(0..100, usize::MAX).unwrap(), rows(0..7));
    assert_eq!(audit.records(3..7, 25).unwrap(), rows(3..5));
    assert_eq!(audit.records(3..7, 1).unwrap(), rows(3..4));
    let gap = audit.append(8, &rows(8..9), 10, &[]).unwrap_err();
    assert!(matches!(gap, StoreError::NotContiguous { expected: 7, got: 8, .. }), "{gap}");
    audit.sync().unwrap();
    assert_eq!(audit.record(7).unwrap(), None);
    assert!(is_damaged(&audit.append(2, &rows(9..10), 0, &[])));
}

#[test]
fn audit_goes_on_after_an_installed_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    store.audit().append(0, &rows(0..5), 0, &[[1; 32]; 8]).unwrap();
    store.audit().restart_at(100, 190, &[(126, [4; 32]), (188, [5; 32])]).unwrap();
    drop(store);
    let store = open(dir.path()).unwrap();
    let audit = store.audit();
    assert_eq!((audit.first(), audit.size(), audit.next_hash()), (100, 100, 190));
    assert_eq!(audit.hashes(&[188, 126, 3]).unwrap(), [Some([5; 32]), Some([4; 32]), None]);
    assert!(matches!(audit.record(4), Err(StoreError::Purged { first: 100, .. })));
    audit.append(100, &rows(0..2), 190, &[[6; 32]]).unwrap();
    assert_eq!(audit.records(100..200, usize::MAX).unwrap(), rows(0..2));
    assert!(matches!(audit.append(99, &rows(0..1), 0, &[]), Err(StoreError::NotContiguous { .. })));
}

/// The newest stay in memory: what is read there is what the tables hold, at every length.
#[test]
fn a_hash_is_the_one_of_the_tables_however_many_came_after_it() {
    const STEP: u64 = 1_000;
    const STEPS: u64 = 80;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let audit = store.audit();
    let hash = |index: u64| {
        let mut hash = [7; 32];
        hash[..8].copy_from_slice(&index.to_be_bytes());
        hash
    };
    let agree = |indexes: &mut dyn Iterator<Item = u64>| {
        for index in indexes {
            assert_eq!(audit.hash(index).unwrap(), Some(hash(index)), "{index}");
            assert_eq!(audit.low_hash(index).unwrap(), Some(hash(index)), "{index}");
        }
    };
    for step in 0..STEPS {
        // Each run repeats the end of the one before, as a replayed log does.
        let from = (step * STEP).saturating_sub(3);
        let hashes: Vec<_> = (from..(step + 1) * STEP).map(hash).collect();
        audit.append(0, &[], from, &hashes).unwrap();
        assert_eq!(audit.hash((step + 1) * STEP).unwrap(), None, "beyond the end");
        agree(&mut ((step * STEP).saturating_sub(5)..(step + 1) * STEP));
    }
    agree(&mut (0..STEPS * STEP).step_by(7));
    audit.restart_at(100, 5_000_000, &[(126, hash(126))]).unwrap();
    assert_eq!(audit.hashes(&[STEPS * STEP - 1, 126]).unwrap(), [None, Some(hash(126))]);
    audit.append(100, &[], 5_000_000, &[hash(5_000_000)]).unwrap();
    agree(&mut [126, 5_000_000].into_iter());
}

#[test]
fn payloads_by_digest() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let payloads = store.payloads();
    payloads.put(&[2; 32], b"two").unwrap();
    payloads.put(&[1; 32], b"").unwrap();
    payloads.put(&[0xff; 32], b"last").unwrap();
    assert_eq!(payloads.keys().unwrap(), [[1; 32], [2; 32], [0xff; 32]]);
    payloads.delete(&[[2; 32], [3; 32]]).unwrap();
    assert_eq!(payloads.get(&[2; 32]).unwrap(), None);
    assert_eq!(payloads.get(&[1; 32]).unwrap().unwrap(), b"");
    let large = payloads.put(&[4; 32], &vec![0; PAYLOAD_BYTES + 1]);
    assert!(matches!(large, Err(StoreError::TooLarge { .. })));
}

#[test]
fn nothing_of_a_batch_is_written_if_one_row_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let keep: [([u8; 32], &[u8]); 2] = [([1; 32], b"one"), ([2; 32], b"two")];
    store.apply((0, &rows(0..2)), (0, &[[1; 32]; 3]), &keep, &[[2; 32]]).unwrap();
    assert_eq!((store.audit().size(), store.audit().next_hash()), (2, 3));
    assert_eq!(store.payloads().keys().unwrap(), [[1; 32]]);
    let gap = store.apply((9, &rows(0..1)), (3, &[]), &[([3; 32], b"three")], &[[1; 32]]);
    assert!(matches!(gap, Err(StoreError::NotContiguous { .. })));
    let large = vec![0; PAYLOAD_BYTES + 1];
    let large = store.apply((2, &rows(2..3)), (3, &[]), &[([3; 32], &large)], &[]);
    assert!(matches!(large, Err(StoreError::TooLarge { .. })));
    assert_eq!(store.audit().size(), 2);
    assert_eq!(store.payloads().keys().unwrap(), [[1; 32]]);
    // Without audit rows, too.
    store.apply((0, &[]), (0, &[]), &[], &[[1; 32]]).unwrap();
    assert_eq!(store.payloads().keys().unwrap(), [[0_u8; 32]; 0]);
}

#[test]
fn the_last_two_snapshots_are_kept_and_the_newest_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(store.snapshots().latest().unwrap(), None);
    let data = |n: u8| vec![n; (2 << 20) + usize::from(n)];
    for n in 1..=4 {
        assert_eq!(store.snapshots().save(&[n], &data(n)).unwrap(), u64::from(n));
    }
    assert_eq!(store.snapshots().numbers().unwrap(), [3, 4]);
    drop(store);
    let store = open(dir.path()).unwrap();
    let latest = store.snapshots().latest().unwrap().unwrap();
    assert_eq!((latest.number, latest.meta, latest.data), (4, vec![4], data(4)));
    store.snapshots().delete_older().unwrap();
    store.snapshots().save(b"", b"").unwrap();
    assert_eq!(store.snapshots().numbers().unwrap(), [4, 5]);
    assert_eq!(store.snapshots().latest().unwrap().unwrap().data, b"");
}

#[test]
fn notes_are_bounded_and_apart_from_the_stores_own_rows() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    store.notes().put("\0audit-start", &[9; 16]).unwrap();
    store.notes().put("a", b"1").unwrap();
    store.notes().put("a", b"2").unwrap();
    assert!(matches!(
        store.notes().put("a", &vec![0; NOTE_BYTES + 1]),
        Err(StoreError::TooLarge { .. })
    ));
    assert!(matches!(store.notes().put(&"n".repeat(65), b""), Err(StoreError::TooLarge { .. })));
    drop(store);
    let store = open(dir.path()).unwrap();
    assert_eq!(store.audit().size(), 0);
    assert_eq!(store.notes().get("a").unwrap().unwrap(), b"2");
}

#[test]
fn what_stays_in_an_area_is_kept_with_whose_it_is_and_apart_from_payloads() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let held = store.held();
    held.put(&[2; 32], 5, "sapporo", b"two").unwrap();
    held.put(&[0xff; 32], 6, "", b"").unwrap();
    held.put(&[2; 32], 7, "sapporo", b"two").unwrap();
    let large = held.put(&[3; 32], 1, "x", &vec![0; PAYLOAD_BYTES + 1]);
    assert!(matches!(large, Err(StoreError::TooLarge { .. })));
    let long = held.put(&[3; 32], 1, &"x".repeat(HELD_OWNER_BYTES + 1), b"x");
    assert!(matches!(long, Err(StoreError::TooLarge { .. })));
    drop(store);
    let store = open(dir.path()).unwrap();
    let row = |at_ms, owner: &str, len| HeldRow { at_ms, owner: owner.to_owned(), len };
    let rows = [([2; 32], row(7, "sapporo", 3)), ([0xff; 32], row(6, "", 0))];
    assert_eq!(store.held().rows().unwrap(), rows);
    assert_eq!(store.held().get(&[2; 32]).unwrap().unwrap(), b"two");
    assert!(store.payloads().keys().unwrap().is_empty());
    store.held().delete(&[[2; 32], [9; 32]]).unwrap();
    assert_eq!(store.held().get(&[2; 32]).unwrap(), None);
}

/// A directory of a program that did not know the table yet.
#[test]
fn a_directory_of_before_gets_the_table_and_one_that_lost_another_is_refused() {
    let lose = |family: &str| {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()).unwrap());
        let data = dir.path().join("data");
        let options = rocksdb::Options::default();
        let there = rocksdb::DB::list_cf(&options, &data).unwrap();
        let database = rocksdb::DB::open_cf(&options, &data, there).unwrap();
        database.drop_cf(family).unwrap();
        drop(database);
        dir
    };
    let before = lose("held");
    let store = open(before.path()).unwrap();
    store.held().put(&[1; 32], 1, "x", b"one").unwrap();
    drop(store);
    assert_eq!(open(before.path()).unwrap().held().get(&[1; 32]).unwrap().unwrap(), b"one");
    open(lose("notes").path()).unwrap_err();
}

fn denials(range: std::ops::Range<u8>) -> Vec<JournalRow> {
    range.map(|i| JournalRow { before: [i; 32], entry: vec![i; 10] }).collect()
}

#[test]
fn the_journal_goes_on_where_it_stood_and_drops_the_oldest() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    assert_eq!(store.journal().newest().unwrap(), None);
    store.journal().append(0, &denials(0..5)).unwrap();
    let gap = store.journal().append(6, &denials(6..7)).unwrap_err();
    assert!(matches!(gap, StoreError::NotContiguous { expected: 5, got: 6, .. }), "{gap}");
    let long = JournalRow { before: [0; 32], entry: vec![0; JOURNAL_ENTRY_BYTES + 1] };
    assert!(matches!(store.journal().append(5, &[long]), Err(StoreError::TooLarge { .. })));
    drop(store);
    let store = open(dir.path()).unwrap();
    let journal = store.journal();
    assert_eq!(journal.kept(), 0..5);
    journal.append_keeping(4, 5, &denials(5..7)).unwrap();
    assert_eq!(journal.kept(), 3..7);
    assert_eq!(journal.rows(0..100, usize::MAX).unwrap(), (3, denials(3..7)));
    assert_eq!(journal.rows(4..100, 1).unwrap(), (4, denials(4..5)));
    assert_eq!(journal.rows(9..100, 1).unwrap(), (9, vec![]));
    drop(store);
    let store = open(dir.path()).unwrap();
    assert_eq!(store.journal().kept(), 3..7);
    assert_eq!(store.journal().newest().unwrap().unwrap(), (6, denials(6..7).remove(0)));
}

#[test]
fn evidence_stays_as_it_was_first_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    assert!(store.evidence().keep(&[1; 32], b"first").unwrap());
    assert!(!store.evidence().keep(&[1; 32], b"other").unwrap());
    let long = vec![0; EVIDENCE_BYTES + 1];
    assert!(matches!(store.evidence().keep(&[2; 32], &long), Err(StoreError::TooLarge { .. })));
    drop(store);
    let store = open(dir.path()).unwrap();
    assert_eq!(store.evidence().all().unwrap(), [b"first".to_vec()]);
    for row in 1..EVIDENCE_ROWS {
        let mut key = [9; 32];
        key[0] = u8::try_from(row).unwrap();
        assert!(store.evidence().keep(&key, b"more").unwrap());
    }
    assert!(matches!(store.evidence().keep(&[0; 32], b"x"), Err(StoreError::TooLarge { .. })));
    assert_eq!(store.evidence().all().unwrap().len(), EVIDENCE_ROWS);
}
