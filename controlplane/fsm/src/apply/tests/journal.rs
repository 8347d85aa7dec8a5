//! What a member may say of its journal.

use crate::command::Command;
use crate::testing::{Federation, admin, cluster, member};
use sekisho_evidence::journal::JournalHead;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::MemberId;

#[test]
fn a_journal_only_grows_and_is_its_members_own() {
    let mut f = Federation::new();
    let start = JournalHead::start(&cluster(), MemberId(2));
    let (one, other) = (start.next(b"one"), start.next(b"other"));
    let two = one.next(b"two");
    let mut record = |who, head: JournalHead| {
        let applied = f.run(who, Command::RecordJournal(head));
        (applied.outcome.map_err(|why| why.code), f.state.journal(MemberId(2)).map(|j| j.head))
    };
    assert_eq!(record(member("kanto"), one).0, Ok(crate::outcome::Reply::Done));
    assert_eq!(record(member("kanto"), one).1, Some(one));
    assert_eq!(record(member("kanto"), other), (Err(ErrorCode::JournalShrunk), Some(one)));
    assert_eq!(record(member("kanto"), start), (Err(ErrorCode::JournalShrunk), Some(one)));
    assert_eq!(record(member("naniwa"), two), (Err(ErrorCode::PermissionDenied), Some(one)));
    assert_eq!(record(admin("kanto"), two), (Err(ErrorCode::PermissionDenied), Some(one)));
    assert_eq!(record(member("kanto"), two).1, Some(two));
}
