//! Damage on disk is found and named, never served and never cut away (R7).

use super::{append, is_damaged, open, wait};
use crate::StoreError;
use crate::db::wal::{check_dir, tests as wal};
use crate::db::{self, Creation};
use crate::envelope;
use std::fs;
use std::path::{Path, PathBuf};

fn raw_log(dir: &Path) -> db::Db {
    db::open_log(&dir.join("log"), Creation::Refused).unwrap()
}

fn raw_data(dir: &Path) -> db::Db {
    db::open_data(&dir.join("data"), Creation::Refused).unwrap()
}

fn log_key(index: u64) -> Vec<u8> {
    [b"e".as_slice(), &index.to_be_bytes()].concat()
}

/// The newest write-ahead file of the log that has something in it.
fn newest_wal(dir: &Path) -> PathBuf {
    newest_wal_of(&dir.join("log"))
}

fn newest_wal_of(database: &Path) -> PathBuf {
    let files = fs::read_dir(database).unwrap().map(|e| e.unwrap().path());
    let wal = files.filter(|p| p.extension().is_some_and(|e| e == "log"));
    wal.filter(|p| fs::metadata(p).unwrap().len() > 0).max().unwrap()
}

/// Loses the second half of the last record, as a power cut before its sync returned would.
fn tear_end(dir: &Path) {
    let wal = newest_wal(dir);
    let mut torn = fs::read(&wal).unwrap();
    let last = torn.iter().rposition(|&b| b != 0).unwrap();
    torn[last - 2000..=last].fill(0);
    fs::write(&wal, &torn).unwrap();
}

#[test]
fn a_flipped_bit_in_an_entry_stops_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    append(&store, 0..10, 50);
    drop(store);
    let raw = raw_log(dir.path());
    let mut stored = raw.get(log_key(4)).unwrap().unwrap();
    stored[20] ^= 1;
    raw.put(log_key(4), stored).unwrap();
    drop(raw);

    let store = open(dir.path()).unwrap();
    assert_eq!(store.log().read(0..4, usize::MAX).unwrap().len(), 4);
    let outcome = store.log().read(2..6, usize::MAX);
    assert!(is_damaged(&outcome), "{outcome:?}");
    let text = outcome.unwrap_err().to_string();
    assert!(text.contains("checksum"), "{text}");
    // Sticky, for every part.
    let failed = |e: StoreError| matches!(e, StoreError::Failed { .. });
    assert!(failed(store.log().read(0..1, 10).unwrap_err()));
    assert!(failed(wait(|done| store.log().save_vote(vec![1], done)).unwrap_err()));
    assert!(failed(store.log().append(vec![(10, vec![])], Box::new(|_| ())).unwrap_err()));
    assert!(failed(store.payloads().put(&[0; 32], b"x").unwrap_err()));
    assert!(failed(store.check().unwrap_err()));
    assert!(store.check().unwrap_err().remedy().contains("new member id"));
}

#[test]
fn an_entry_under_another_index_and_a_hole_are_damage() {
    for hole in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).unwrap();
        append(&store, 0..10, 50);
        drop(store);
        let raw = raw_log(dir.path());
        if hole {
            raw.delete(log_key(4)).unwrap();
        } else {
            let older = raw.get(log_key(3)).unwrap().unwrap();
            raw.put(log_key(4), older).unwrap();
        }
        drop(raw);
        let store = open(dir.path()).unwrap();
        assert!(is_damaged(&store.log().read(0..10, usize::MAX)));
    }
}

#[test]
fn a_log_that_ends_before_its_mark_is_refused() {
    for lost in [9, 0] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).unwrap();
        append(&store, 0..10, 50);
        drop(store);
        raw_log(dir.path()).delete(log_key(lost)).unwrap();
        assert!(is_damaged(&open(dir.path())));
    }
}

#[test]
fn an_unknown_format_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let mut sealed = envelope::seal("identity", b"", b"x");
    sealed[0] = 99;
    fs::write(dir.path().join("identity"), sealed).unwrap();
    let outcome = open(dir.path());
    assert!(is_damaged(&outcome));
    assert!(outcome.unwrap_err().to_string().contains("format version 99"));
}

/// What RocksDB alone would open without a word: the records behind the flipped byte, acknowledged ones, gone.
#[test]
fn damage_in_the_middle_of_the_write_ahead_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    for i in 0..40 {
        append(&store, i..i + 1, 3000);
    }
    drop(store);
    let wal = newest_wal(dir.path());
    let good = fs::read(&wal).unwrap();
    for at in [20, 3000, 33_000, 60_000] {
        let mut bad = good.clone();
        bad[at] ^= 8;
        fs::write(&wal, &bad).unwrap();
        let outcome = open(dir.path());
        assert!(is_damaged(&outcome), "byte {at}: {outcome:?}");
        assert!(outcome.unwrap_err().to_string().contains("synced records follow"));
    }
    fs::write(&wal, &good).unwrap();
    assert_eq!(open(dir.path()).unwrap().log().last_index(), Some(39));
}

#[test]
fn an_end_that_was_synced_is_not_cut() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    append(&store, 0..10, 3000);
    drop(store);
    tear_end(dir.path());
    let outcome = open(dir.path());
    assert!(is_damaged(&outcome), "{outcome:?}");
}

/// The end of one write-ahead file is unreadable and the next goes on: RocksDB alone would drop the next one whole, and
/// delete both.
#[test]
fn writes_behind_an_unreadable_end_are_missed_at_every_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    append(&store, 0..10, 3000);
    let mark = fs::read(dir.path().join("log.mark")).unwrap();
    append(&store, 10..11, 3000);
    drop(store);
    let written = check_dir(&dir.path().join("log")).unwrap().unwrap();
    // As it was before the last writes: the mark is not yet raised.
    fs::write(dir.path().join("log.mark"), mark).unwrap();
    tear_end(dir.path());
    let wal = newest_wal(dir.path());
    let number: u32 = wal.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let next = wal.with_file_name(format!("{:06}.log", number + 1));
    fs::write(&next, wal::record(5, number + 1, &wal::batch(written + 1, 2))).unwrap();
    for _ in 0..2 {
        let outcome = open(dir.path());
        assert!(is_damaged(&outcome), "{outcome:?}");
        let text = outcome.unwrap_err().to_string();
        assert!(text.contains(&format!("write {} had been synced", written + 2)), "{text}");
    }
}

/// A bit flips in the last byte 8 that was written to the data database, and the store is refused.
#[track_caller]
fn misses_a_flipped_eight(dir: &Path) {
    let wal = newest_wal_of(&dir.join("data"));
    let mut bad = fs::read(&wal).unwrap();
    let last = bad.iter().rposition(|&byte| byte == 8).unwrap();
    bad[last] ^= 1;
    fs::write(&wal, &bad).unwrap();
    let outcome = open(dir);
    assert!(is_damaged(&outcome), "{outcome:?}");
}

#[test]
fn a_note_that_was_put_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    store.notes().put("head", &[7; 500]).unwrap();
    store.notes().put("head", &[8; 500]).unwrap();
    drop(store);
    misses_a_flipped_eight(dir.path());
}

/// What apply leaves is not synced while the member runs; an orderly end makes up for it, so that nothing can go missing
/// while the member is stopped.
#[test]
fn what_was_written_unsynced_before_an_orderly_end_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    store.audit().append(0, &[vec![7; 500]], 0, &[[0; 32]]).unwrap();
    store.audit().append(1, &[vec![8; 500]], 1, &[[1; 32]]).unwrap();
    drop(store);
    misses_a_flipped_eight(dir.path());
}

/// RocksDB alone takes the cut for a torn end and opens without the tables that the missing part names.
#[test]
fn a_manifest_that_was_cut_off_is_refused() {
    for database in ["log", "data"] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).unwrap();
        wait(|done| store.log().save_vote(b"vote".to_vec(), done)).unwrap();
        store.notes().put("head", b"note").unwrap();
        drop(store);
        // Opening moves both into tables, which the manifest names at its end.
        let store = open(dir.path()).unwrap();
        append(&store, 0..5, 100);
        store.notes().put("other", b"later").unwrap();
        drop(store);
        let folder = dir.path().join(database);
        let current = fs::read_to_string(folder.join("CURRENT")).unwrap();
        let manifest = folder.join(current.trim());
        let whole = fs::read(&manifest).unwrap();
        for lost in [1, 60, 150, whole.len() - 1] {
            fs::write(&manifest, &whole[..whole.len().saturating_sub(lost)]).unwrap();
            let outcome = open(dir.path());
            assert!(is_damaged(&outcome), "{database}: {lost} bytes: {outcome:?}");
        }
        fs::write(&manifest, &whole).unwrap();
        assert_eq!(open(dir.path()).unwrap().log().vote().as_deref(), Some(b"vote".as_slice()));
    }
}

#[test]
fn a_database_file_that_is_gone_is_damage_and_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let files = fs::read_dir(dir.path().join("log")).unwrap().map(|e| e.unwrap().path());
    let is_manifest =
        |p: &PathBuf| p.file_name().unwrap().to_str().unwrap().starts_with("MANIFEST");
    fs::remove_file(files.into_iter().find(is_manifest).unwrap()).unwrap();
    let outcome = open(dir.path());
    assert!(is_damaged(&outcome), "{outcome:?}");
    assert!(outcome.unwrap_err().to_string().contains("log/MANIFEST"));
}

#[test]
fn an_error_names_the_file_and_the_cause_also_when_it_is_told_again() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    fs::remove_file(dir.path().join("boot")).unwrap();
    fs::create_dir(dir.path().join("boot")).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
    let again = crate::error::Failure::default();
    again.note(error);
    let text = again.check().unwrap_err().to_string();
    assert!(text.contains("boot: Is a directory"), "{text}");
}

#[test]
fn a_torn_end_that_nobody_was_told_of_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    append(&store, 0..10, 3000);
    drop(store);
    let old_mark = fs::read(dir.path().join("log.mark")).unwrap();
    let raw = raw_log(dir.path());
    raw.put(b"z", vec![1; 3000]).unwrap();
    drop(raw);
    fs::write(dir.path().join("log.mark"), old_mark).unwrap();
    tear_end(dir.path());
    let store = open(dir.path()).unwrap();
    assert_eq!(store.log().read(0..20, usize::MAX).unwrap().len(), 10);
}

#[test]
fn reused_write_ahead_files_are_no_false_alarm_and_still_guarded() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    // Enough for five files, so that the later ones are reused.
    let size = 8 << 20;
    for i in 0..24 {
        append(&store, i..i + 1, size);
        if i > 2 {
            wait(|done| store.log().purge(i - 2, vec![], done)).unwrap();
        }
    }
    // A short last stretch: most of the file is left over from its former life.
    for i in 24..30 {
        append(&store, i..i + 1, 3000);
    }
    drop(store);
    let store = open(dir.path()).unwrap();
    assert_eq!((store.log().first_index(), store.log().last_index()), (Some(22), Some(29)));
    for i in 30..40 {
        append(&store, i..i + 1, 3000);
    }
    assert_eq!(store.log().read(22..40, usize::MAX).unwrap().len(), 18);
    drop(store);
    let wal = newest_wal(dir.path());
    let mut bad = fs::read(&wal).unwrap();
    bad[100] ^= 1;
    fs::write(&wal, &bad).unwrap();
    assert!(is_damaged(&open(dir.path())));
}

#[test]
fn a_damaged_snapshot_and_a_damaged_audit_row_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    store.snapshots().save(b"meta", &vec![5; 3 << 20]).unwrap();
    store
        .audit()
        .append(0, &[b"a".to_vec(), b"b".to_vec(), b"c".to_vec()], 0, &[[0; 32]; 3])
        .unwrap();
    drop(store);
    let raw = raw_data(dir.path());
    let family = raw.cf_handle("snapshots").unwrap();
    let chunk = [b"c".as_slice(), &1_u64.to_be_bytes(), &2_u64.to_be_bytes()].concat();
    assert!(raw.get_cf(&family, &chunk).unwrap().is_some());
    raw.delete_cf(&family, &chunk).unwrap();
    raw.delete_cf(&raw.cf_handle("audit_records").unwrap(), 1_u64.to_be_bytes()).unwrap();
    drop(family);
    drop(raw);
    let store = open(dir.path()).unwrap();
    assert!(is_damaged(&store.snapshots().latest()));
    drop(store);
    let store = open(dir.path()).unwrap();
    assert!(is_damaged(&store.audit().records(0..3, usize::MAX)));
}

/// What apply leaves is not synced, so a crash may cut it anywhere; never in the middle of what belongs together.
#[test]
fn a_cut_leaves_a_whole_batch_or_nothing_of_it() {
    let (dir, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path()).unwrap();
    let wal = newest_wal_of(&dir.path().join("data"));
    let written = || fs::metadata(&wal).unwrap().len();
    let apply = |n: u8| {
        let (at, keep) = (u64::from(n), [([n; 32], &b"a"[..]), ([n + 100; 32], b"b")]);
        store.apply((at, &[vec![n; 40]]), (at, &[[n; 32]]), &keep, &[]).unwrap();
        written()
    };
    let (whole, both) = (apply(0), apply(1));
    // As a crash leaves it: an orderly end would sync.
    let crashed = again.path().join("crashed");
    copy_dir(dir.path(), &crashed);
    drop(store);
    for (number, cut) in (whole..both).step_by(29).chain([both - 1, both]).enumerate() {
        let copy = again.path().join(number.to_string());
        copy_dir(&crashed, &copy);
        let wal = newest_wal_of(&copy.join("data"));
        fs::OpenOptions::new().write(true).open(&wal).unwrap().set_len(cut).unwrap();
        let store = open(&copy).unwrap();
        let left = if cut == both { 2 } else { 1 };
        assert_eq!((store.audit().size(), store.audit().next_hash()), (left, left), "{cut}");
        assert_eq!(store.payloads().keys().unwrap().len(), usize::try_from(left * 2).unwrap());
    }
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
