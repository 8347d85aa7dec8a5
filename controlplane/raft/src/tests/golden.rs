//! Persisted and sent bytes, pinned. Each file under `golden/` is what the program of its day wrote: it must be read
//! for ever, and written again byte for byte until the format has a new number.
//!
//! When one of these fails after a change of a type: the layout changed. Once a version was released, give the format a
//! new number (`codec::FORMAT`, `SNAPSHOT_FORMAT`, `PROTOCOL`, or a feature level for a command), go on reading the old
//! one, and add a file for the new beside the old. Before that, write them anew: `SEKISHO_GOLDEN=write`.

use super::{ORIGIN, header};
use crate::codec::{decode, encode};
use crate::network::frame::Header;
use crate::snapshot::{Image, Meta};
use crate::type_config::{Entry, LogId, Proposal, StoredMembership, TypeConfig};
use openraft::EntryPayload;
use openraft::type_config::alias::CommittedLeaderIdOf;
use sekisho_evidence::canonical;
use sekisho_evidence::checkpoint::{assemble, verify_note};
use sekisho_evidence::genesis::GenesisMember;
use sekisho_evidence::record::Record;
use sekisho_fsm::State;
use sekisho_fsm::outcome::Applied;
use sekisho_fsm::testing::{Federation, PAYLOAD, checkpoint_key, job};
use sekisho_types::id::{Digest, MemberId};
use std::path::PathBuf;

/// Bytes on one line of a file: 96 columns.
const LINE: usize = 48;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/tests/golden").join(name)
}

/// The text of a golden file; written first if that is asked for.
fn pinned(name: &str, now: &str) -> String {
    if std::env::var("SEKISHO_GOLDEN").is_ok_and(|what| what == "write") {
        std::fs::write(file(name), now).unwrap();
    }
    std::fs::read_to_string(file(name)).unwrap()
}

fn hex(items: &[Vec<u8>]) -> String {
    let line = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n";
    let item = |bytes: &Vec<u8>| bytes.chunks(LINE).map(line).collect::<String>() + "\n";
    items.iter().map(item).collect()
}

fn unhex(text: &str) -> Vec<Vec<u8>> {
    let byte = |at: &str| u8::from_str_radix(at, 16).unwrap();
    let item = |item: &str| {
        let digits: String = item.lines().collect();
        (0..digits.len()).step_by(2).map(|at| byte(&digits[at..at + 2])).collect()
    };
    text.split("\n\n").filter(|item| !item.trim().is_empty()).map(item).collect()
}

/// Compares with the pinned bytes and returns those.
fn check(name: &str, now: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let pinned = pinned(name, &hex(now));
    assert_eq!(hex(now), pinned, "{name}: the layout changed; see the head of this file");
    unhex(&pinned)
}

fn id(at: u64) -> LogId {
    LogId::new(CommittedLeaderIdOf::<TypeConfig> { term: 3, node_id: 2 }, at)
}

/// A federation with a job in it, and what applying each of its entries gave.
fn federation() -> (Federation, Vec<Applied>) {
    let mut federation = Federation::furnished();
    federation.submit(job("train", 1, 4, &["JP"]));
    let mut state = State::default();
    let applied = federation.log.iter().map(|(revision, entry)| state.apply(*revision, entry));
    let applied = applied.collect();
    (federation, applied)
}

#[test]
fn the_log_keeps_its_bytes() {
    let (federation, _) = federation();
    let entries = federation.log.into_iter().map(|(revision, entry)| Entry {
        log_id: id(revision.0),
        payload: EntryPayload::Normal(Proposal::new(entry).unwrap()),
    });
    let entries: Vec<Entry> = entries.collect();
    let now: Vec<Vec<u8>> = entries.iter().map(|entry| encode(entry).unwrap()).collect();
    for (bytes, entry) in check("entry.hex", &now).iter().zip(&entries) {
        let read: Entry = decode(bytes).unwrap();
        let (EntryPayload::Normal(read), EntryPayload::Normal(entry)) =
            (&read.payload, &entry.payload)
        else {
            panic!("{read:?}");
        };
        assert_eq!(read.entry().unwrap(), entry.entry().unwrap());
    }
}

#[test]
fn a_snapshot_keeps_its_bytes() {
    let (federation, _) = federation();
    let last = id(federation.state.revision().0);
    let membership = StoredMembership::default();
    let meta = Meta { origin: ORIGIN, last_log_id: Some(last), membership };
    let payloads = vec![(Digest::of(PAYLOAD), PAYLOAD.to_vec())];
    let image = Image { state: federation.state, payloads };
    let pinned = check("snapshot.hex", &[encode(&meta).unwrap(), image.encode().unwrap()]);
    assert_eq!(Meta::open(&pinned[0], ORIGIN).unwrap(), meta);
    let read = Image::decode(&pinned[1], ORIGIN).unwrap();
    assert_eq!(read.state.digest().unwrap(), image.state.digest().unwrap());
}

#[test]
fn the_audit_log_and_its_checkpoints_keep_their_bytes() {
    let (federation, applied) = federation();
    let leaves = applied.iter().flat_map(|applied| &applied.leaves);
    let records: Vec<Vec<u8>> = leaves.map(|leaf| leaf.record.clone()).collect();
    for record in check("record.hex", &records) {
        canonical::decode::<Record>(&record).unwrap();
    }
    let checkpoint = applied.iter().rev().find_map(|applied| applied.checkpoint).unwrap();
    let members = &federation.state.federation().unwrap().members;
    let line = |(id, member): (&MemberId, &GenesisMember)| {
        checkpoint.sign(&member.operator, *id, &checkpoint_key(*id)).unwrap()
    };
    let lines: Vec<_> = members.iter().map(line).collect();
    let now = String::from_utf8(assemble(&checkpoint.text().unwrap(), &lines)).unwrap();
    let pinned = pinned("checkpoint.txt", &now);
    assert_eq!(now, pinned, "the note changed; see the head of this file");
    let bundle = &federation.state.federation().unwrap().bundle;
    let verified = verify_note(bundle, pinned.as_bytes()).unwrap();
    assert_eq!((verified.checkpoint, verified.operators.len()), (checkpoint, 3));
}

#[test]
fn a_frame_keeps_its_bytes() {
    let now = header(ORIGIN, 2, 1);
    let pinned = check("frame.hex", &[now.bytes().unwrap().to_vec()]);
    assert_eq!(decode::<Header>(&pinned[0]).unwrap(), now);
}
