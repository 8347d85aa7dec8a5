//! Sets that two turned controllers put before agents of their own: each head is signed by k operators, and something
//! about the set is not what was signed, or not what comes after what the agent holds.

use crate::stage::Stage;
use sekisho_chaos::rogue::{Attempt, Stolen, play};
use sekisho_types::error_code::ErrorCode;

pub(crate) fn altered_old_or_of_a_shorter_log(stage: &mut Stage) {
    let stolen = Stolen::from(stage.federation.dir()).unwrap();
    let agent = stage.federation.program("sekisho-agent");
    // What is refused, and where the agent stands then: fence floor, and records under the head that it holds.
    for (attempt, code, floor, size) in [
        (Attempt::AlteredRecord, ErrorCode::GrantInclusion, 0, 0),
        (Attempt::OldGrant, ErrorCode::EpochFenced, 1001, 5),
        (Attempt::ShorterLog, ErrorCode::GrantRollback, 1000, 3),
    ] {
        let dir = stage.folder(&format!("rogue-{attempt:?}"));
        let refusal = play(&stolen, attempt, &agent, &dir).unwrap();
        assert_eq!(refusal.code, code, "{attempt:?}: {}", refusal.detail);
        let ledger = stolen.ledger(&dir, &refusal.node).unwrap();
        assert_eq!(ledger.floor().revision.0, floor, "{attempt:?}");
        assert_eq!(ledger.head().size, size, "{attempt:?}");
        assert!(ledger.entries().is_empty(), "{attempt:?} was taken: {:?}", ledger.entries());
        assert_eq!(ledger.refused().len(), 1, "{attempt:?}");
        assert_eq!(stage.unchanged(&format!("{attempt:?}")), Vec::<String>::new());
    }
}
