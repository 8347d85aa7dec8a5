//! Bounds of this crate, each with its reason.

use std::time::Duration;

/// How often a member looks whether a site of its operator is due for a key: a revoked host's key is out of use for what is
/// submitted a second later.
pub const SITE_KEYS_EVERY: Duration = Duration::from_secs(1);

/// How often a member looks after the payloads that stay in its area: one that a member lacks comes to it a second later.
pub const HOLDING_EVERY: Duration = Duration::from_secs(1);

/// Bytes of such payloads that a member keeps, for all tenants: 16,384 of full length.
pub const HELD_BYTES: usize = 1 << 30;

/// Bytes of them for one tenant, who takes no member's all: sixteen full batches.
pub const HELD_BYTES_OF_TENANT: usize = 128 << 20;

/// What a payload counts at least, bytes: a row costs more than it holds.
pub const HELD_LEAST: usize = 4096;

/// Payloads in one question about them: the jobs of a batch.
pub const HELD_MAX: usize = sekisho_evidence::batch::ITEMS_MAX;

/// Payloads that one look fetches from other members: a member that comes back fetches a thousand within a minute, and no
/// more than 1 MiB a second.
pub const HELD_PULLS: usize = 16;

/// Longest wait for a member's word on which payloads it keeps: whoever submits waits for it.
pub const ASK_PAYLOADS: Duration = Duration::from_secs(1);

/// Longest wait for a payload from another member.
pub const FETCH_HELD: Duration = Duration::from_secs(2);

/// Largest request of the public API, bytes: a payload of 64 KiB with its spec and sixteen signatures, or a batch of 128
/// jobs with 1.5 KiB of payload each; no entry is larger.
pub const REQUEST_MAX: usize = 256 * 1024;

/// Largest request of somebody who logs in, bytes: a token and a signing request of 16 KiB each. They come without a
/// certificate.
pub const LOGIN_REQUEST_MAX: usize = 40 * 1024;

/// Largest request of an agent, bytes: a session with 4096 placements, or a chunk of output of 1 MiB.
pub const AGENT_REQUEST_MAX: usize = 2 * 1024 * 1024;

/// Largest answer, bytes: a page of a thousand jobs, or 1 MiB of output.
pub const ANSWER_MAX: usize = 4 * 1024 * 1024;

/// Calls in progress on one connection; more wait in the connection's own flow control (L4).
pub const CALLS_PER_CONNECTION: usize = 256;

/// Calls of one principal in progress on this member, on all its connections: with requests of full length 256 MiB, and four
/// times what a bench of 256 clients has.
pub const CALLS_PER_PRINCIPAL: usize = 1024;

/// Whole answer to a call, and the beginning of a stream. Every handler has earlier deadlines, which tell more; this one
/// ends what none of them foresaw, so that no call is held for ever (L3).
pub const HANDLER_MAX: Duration = Duration::from_secs(30);

/// Rows of a page when the caller names no number.
pub const PAGE_DEFAULT: u32 = 100;

/// Most rows of a page; larger wishes are cut to it.
pub const PAGE_MAX: u32 = 1000;

/// Longest page token that is parsed, bytes: a key of four names and three texts of 512 bytes to order by, in base64.
pub const PAGE_TOKEN_MAX: usize = 4096;

/// Longest filter of a list, bytes: more than anybody writes, and parsed before anything is known of the caller's wish.
pub const FILTER_MAX: usize = 1024;

/// Parentheses and NOTs within one another in a filter; the parser's stack grows with them.
pub const FILTER_DEPTH_MAX: usize = 8;

/// Terms of a filter: each is asked of each row.
pub const FILTER_TERMS_MAX: usize = 32;

/// Longest order of a list, bytes.
pub const ORDER_MAX: usize = 256;

/// Fields of an order: their values stand in the page token.
pub const ORDER_FIELDS_MAX: usize = 3;

/// Bytes of audit records in one page or chunk of an export.
pub const RECORDS_BYTES: usize = 1024 * 1024;

/// Chunks of an export that wait for a slow reader.
pub const EXPORT_QUEUE: usize = 4;

/// Exports that one member writes at a time: each reads the whole log from the disk, and holds six chunks in memory at most.
/// One for each auditor's office at work at once; who comes fifth asks again, or another member.
pub const EXPORTS_MAX: usize = 4;

/// Bytes of one chunk of a scheduler snapshot.
pub const SCHEDULER_CHUNK: usize = 256 * 1024;

/// Scheduler snapshots that one member writes at a time: each holds the open jobs in memory once more, and as a file of 256 MiB
/// at most.
pub const SCHEDULER_SNAPSHOTS_MAX: usize = 2;

/// Backups that one member writes at a time: each holds the image in memory.
pub const SAVES: usize = 1;

/// Longest wait for a snapshot to be built and read back: a state of a gigabyte on a busy disk.
pub const MOMENT_DEADLINE: Duration = Duration::from_secs(60);

/// Longest wait for k operators to sign at or past a backup's head: three idle ticks, and what they take to sign.
pub const COVER_DEADLINE: Duration = Duration::from_secs(30);

/// Longest wait for the reader of a backup or an export to take a chunk: 1 MiB over a line that is hardly one.
pub const CHUNK_DEADLINE: Duration = Duration::from_secs(60);

/// How often a backup looks for that note: far more often than heads are signed without load.
pub const COVER_EVERY: Duration = Duration::from_millis(100);

/// Longest wait of a read for the leader's confirmation: two elections.
pub const READ_DEADLINE: Duration = Duration::from_secs(5);

/// Longest wait for another member to lead after a hand-over: the election that follows if the chosen one does not win.
pub const HAND_OVER_DEADLINE: Duration = Duration::from_secs(5);

/// How often members tell each other their applied revision, at least.
pub const EXCHANGE_EVERY: Duration = Duration::from_secs(1);

/// Longest wait for a member's answer to an exchange.
pub const EXCHANGE_DEADLINE: Duration = Duration::from_secs(1);

/// Signed checkpoints in one exchange; what is older, the receiver no longer needs.
pub const EXCHANGE_SIGNED_MAX: usize = 64;

/// A member that said nothing for this long is shown as unreachable: three exchanges.
pub const SILENT_AFTER: Duration = Duration::from_secs(3);

/// A member that does not lead acknowledges a renewal only while it is at most this far behind the highest revision
/// that it heard of (design section 9): a revocation that it missed is then at most this old.
pub const BEHIND_MAX: Duration = Duration::from_secs(2);

/// Higher revisions remembered with the time at which they were first heard of.
pub const HIGHER_KEPT: usize = 64;

/// Checkpoints whose signatures are collected: a few seconds at one per 5 ms.
pub const NOTES_KEPT: usize = 1024;

/// A signer whose newest checkpoint is older than this, on the state clock, is shown as missing: three idle ticks.
pub const SIGNER_LATE: Duration = Duration::from_secs(15);

/// Renewals that this member carries to the leader at once; agents in need send again with their next beat.
pub const CARRIED_IN_FLIGHT: usize = 256;

/// Longest wait for the leader's word on one of them: shorter than the time to the next beat.
pub const CARRY_DEADLINE: Duration = Duration::from_millis(2_500);

/// Waits named in one answer: a screen.
pub const WAITS_MAX: usize = 16;

/// Rows of each kind in the plan of a policy: more than anybody reads, and far less than [`ANSWER_MAX`]; of the rest the
/// number is told.
pub const PLAN_ROWS_MAX: usize = 500;

/// Queued jobs that the plan of a policy looks at.
pub const PLAN_QUEUE_MAX: usize = 10_000;

/// Kinds of queued jobs that it explains, twice each: an explanation takes up to 20 ms, and the call has seconds.
pub const PLAN_KINDS_MAX: usize = 48;

/// Nodes that one status of a policy names as not known to enforce it; it tells how many there are.
pub const LAGGING_MAX: usize = 64;

/// Time for an agent's first message on its stream.
pub const ATTACH_DEADLINE: Duration = Duration::from_secs(5);

/// How long an attaching agent is waited for in the state: its session was opened through another member.
pub const SESSION_DEADLINE: Duration = Duration::from_secs(2);

/// Sessions and streams of agents that begin at once: each proposes an entry or reads proofs, and renewals of the others
/// must go on meanwhile.
pub const GATE_ROOMS: usize = 64;

/// Agents that wait for it; each holds a call. More come again later.
pub const GATE_QUEUE: usize = 4096;

/// Longest wait for it: shorter than an agent waits for the beginning of its stream.
pub const GATE_WAIT: Duration = Duration::from_secs(4);

/// When whoever is put off shall come again, at the earliest; agents spread themselves over L/3 after that.
pub const GATE_RETRY: Duration = Duration::from_secs(1);

/// Whoever has less to lose goes after so many others.
pub const GATE_PASSED_MAX: usize = 8;

/// Messages to an agent that wait to be sent; a stream that is fuller is ended, and the agent dials again.
pub const STREAM_QUEUE: usize = 64;

/// A stop is repeated this often until the placement is confirmed dead.
pub const RESEND_STOP: Duration = Duration::from_secs(1);

/// A desired set that is not accepted is sent again under a newer checkpoint no more often than this.
pub const RESEND_DESIRED: Duration = Duration::from_secs(1);

/// Reads of output in progress on one node: those that follow a job wait on it most of the time.
pub const LOG_READS_PER_NODE: usize = 64;

/// Longest time that a read of output waits for something to read; well below [`LOG_DEADLINE`] and [`READ_DEADLINE`], which
/// such a read has to meet all the same.
pub const LOG_WAIT: Duration = Duration::from_secs(3);

/// Longest wait for a node's answer to a read of output.
pub const LOG_DEADLINE: Duration = Duration::from_secs(5);

/// Longest wait for an agent's word on a wish for a proof: it says whether it begins, and measures after that.
pub const PROVE_DEADLINE: Duration = Duration::from_secs(2);

/// Wishes for a proof that wait for one agent's word; its first answer says no to the others.
pub const PROVE_ASKS_PER_NODE: usize = 8;

/// Bytes of one answer with output, and how many when the caller names no number.
pub const LOG_BYTES_MAX: u32 = 1024 * 1024;
/// See [`LOG_BYTES_MAX`].
pub const LOG_BYTES_DEFAULT: u32 = 64 * 1024;

/// A site tag is valid from this long before it is issued: the state clock may be behind the issuer's.
pub const TAG_BACKDATE: Duration = Duration::from_secs(300);

/// A tag that ends this soon is shown: agents renew at two thirds of their tag's life.
pub const TAG_ENDS_SOON: Duration = Duration::from_secs(4 * 3600);

/// A drain whose deadline is so long past and that holds something still is shown as late: longer than the lease, the
/// kill grace and the clock bound, after which a host that is gone has lost all that its lease bound.
pub const DRAIN_LATE: Duration = Duration::from_secs(60);

/// Findings of one `status`: one screen.
pub const FINDINGS_MAX: usize = 32;

/// Nodes of one site with the same trouble that are named one by one; of more, the number is shown.
pub const NAMED_PER_SITE: usize = 3;

/// A member that is further behind is shown: what it misses is about to be purged, and it will need a snapshot.
pub const MEMBER_LAGS: u64 = 10_000;

/// Audit records that wait longer for signatures than this, on the state clock, are a fault: agents act on nothing new.
pub const CHECKPOINT_LATE: Duration = Duration::from_secs(60);

/// A member's certificate that ends this soon is shown: whoever renews it by hand needs a working morning.
pub const CERTIFICATE_ENDS_SOON: Duration = Duration::from_secs(6 * 3600);

/// A member's certificate that ends this soon is a fault.
pub const CERTIFICATE_ENDS_NOW: Duration = Duration::from_secs(3600);

/// Free part of a disk, percent, below which it is shown, and below which it is a fault.
pub const DISK_LOW: [u64; 2] = [10, 3];

/// Free bytes above which no part counts as low: a tenth of a large disk is months of log.
pub const DISK_ENOUGH: u64 = 50 << 30;

/// Part of what may be in flight, percent, from which a member counts as overloaded though it refused nothing yet.
pub const LOAD_HIGH: u32 = 80;

/// Longest wait for an operation: well below [`HANDLER_MAX`], so that the answer says how far it is.
pub const OPERATION_WAIT_MAX: Duration = Duration::from_secs(25);

/// Between two looks at an operation that is waited for: one look may go through every placement.
pub const OPERATION_LOOK: Duration = Duration::from_millis(250);

/// Watches on a member: with full queues of ordinary jobs 64 MiB.
pub const WATCHES_MAX: usize = 1024;

/// Watches on a connection: one for each view of a console with many panes. One client takes no member's all.
pub const WATCHES_PER_CONNECTION: usize = 16;

/// Watches of one principal, over all of its connections: eight consoles, or a pipeline that looks at many jobs. An eighth of
/// all: nobody who opens many connections takes a member's places from the others.
pub const WATCHES_PER_PRINCIPAL: usize = 128;

/// Names that one watch may ask for: each row that changes is compared with all of them.
pub const WATCH_NAMES_MAX: usize = 64;

/// Bytes of such a name: as long as a resource's own can be, and longer than anybody types.
pub const WATCH_NAME_MAX: usize = 256;

/// Messages to a watcher that wait to be sent.
pub const WATCH_QUEUE: usize = 64;

/// A watcher whose full queue does not move for so long is ended: a stalled connection, or a reader that hangs.
pub const WATCH_STALL: Duration = Duration::from_secs(5);

/// Longest time for a list, or for one batch of changes: as long, a version of the state is held in memory for it.
pub const WATCH_BATCH: Duration = Duration::from_secs(120);

/// Between two looks of a watcher: what changes meanwhile is told together, so that a thousand watchers cost a busy
/// member 20,000 looks a second at most.
pub const WATCH_PAUSE: Duration = Duration::from_millis(50);

/// Rows after which the caller's role is looked at again within a batch: a page.
pub const WATCH_RECHECK: u64 = 1000;

/// Between two bookmarks when the caller names no time: what a broken stream repeats is at most so old.
pub const PROGRESS_DEFAULT: Duration = Duration::from_secs(5);

/// Least time between two bookmarks.
pub const PROGRESS_MIN: Duration = Duration::from_secs(1);

/// Most time between two bookmarks; longer wishes are cut to it.
pub const PROGRESS_MAX: Duration = Duration::from_secs(60);

/// Between two writes of the journal of denials: one sync of the disk each, and only when there is something.
pub const FLUSH_DENIALS: Duration = Duration::from_secs(1);

/// Denials in one write, and in one sync: a full minute of them.
pub const DENIALS_AT_ONCE: usize = 2048;

/// How often the head of the journal goes into the log, if it moved; and the minute by which shares are counted.
pub const RECORD_JOURNAL: Duration = Duration::from_secs(60);

/// Denials of one peer that are told one by one in a minute: more than a person or a misconfigured pipeline makes before
/// somebody looks; what is above is counted.
pub const DENIALS_EACH: usize = 30;

/// Denials of all peers that are told one by one in a minute. With the sums, 1,257 entries a minute at most: the disk keeps
/// the last six hours and a half of the worst flood.
pub const DENIALS_OF_ALL: usize = 1000;

/// Peers that are counted apart in a minute; those beyond are counted together.
pub const DENIALS_PEERS: usize = 256;

/// Heads of one member that wait to be compared with the own log: four times as many as one exchange brings.
pub const HEARD_MAX: usize = 256;

/// How often what waits is looked at, beside the moment when something comes.
pub const WITNESS_EVERY: Duration = Duration::from_secs(1);

/// Tiles of the audit log that are read at once: a tile of entries has 16 MiB at most, so that all of them have 128 MiB.
pub const TILES_AT_ONCE: usize = 8;

/// How long countersignatures of agents wait for others, so that they share an entry: an auditor reads days later, and
/// nobody waits for it.
pub const COUNTERSIGN_BATCH: Duration = Duration::from_secs(5);

/// Agents whose countersignature waits at a member: two full entries. At 10,000 agents 28 come in that time, and all of them
/// at once after a change of incarnation; who finds no room speaks again ten minutes later.
pub const COUNTERSIGN_QUEUE: usize = 512;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::HEADERS_MAX;
    use sekisho_evidence::batch::ITEMS_MAX;
    use sekisho_proto::convert::intent::SIGNATURES_MAX;
    use sekisho_types::limit::{PAYLOAD_MAX, PROPOSE_DEADLINE, TEXT_MAX};

    /// What partners are told is what holds.
    #[test]
    fn the_page_for_partners_tells_these_limits() {
        const PAGE: &str = include_str!("../../../docs/api.md");
        let (kib, mib) = (1024, 1024 * 1024);
        for told in [
            format!(
                "| a request | {} KiB; one of an agent {} MiB |",
                REQUEST_MAX / kib,
                AGENT_REQUEST_MAX / mib
            ),
            format!("| an answer | {} MiB |", ANSWER_MAX / mib),
            format!("| calls in progress on a connection | {CALLS_PER_CONNECTION};"),
            format!(
                "| watches | {WATCHES_PER_CONNECTION} on a connection, {WATCHES_PER_PRINCIPAL} of a principal, {WATCHES_MAX} on a member |"
            ),
            format!(
                "writes at a time | {EXPORTS_MAX}; one that nobody reads for {} s ends |",
                CHUNK_DEADLINE.as_secs()
            ),
            format!(
                "| scheduler snapshots that a member writes at a time | {SCHEDULER_SNAPSHOTS_MAX};"
            ),
            format!("| headers of a request | {} KiB |", HEADERS_MAX / 1024),
            format!("| a read | {} s for", READ_DEADLINE.as_secs()),
            format!("| a write | {} s to be", PROPOSE_DEADLINE.as_secs()),
            format!("the beginning of a stream | {} s,", HANDLER_MAX.as_secs()),
            format!("| jobs or nodes in a batch | {ITEMS_MAX} |"),
            format!("| payload of a job | {} KiB |", PAYLOAD_MAX / kib),
            format!("| signatures of a command | {SIGNATURES_MAX} |"),
            format!("| text for people | {TEXT_MAX} bytes |"),
            format!(
                "A page has {PAGE_DEFAULT} rows unless you say otherwise; more than {PAGE_MAX} is {PAGE_MAX}."
            ),
            format!(
                "At most {FILTER_MAX} bytes, {FILTER_TERMS_MAX} terms, {FILTER_DEPTH_MAX} parentheses"
            ),
            format!("at most {ORDER_FIELDS_MAX} fields and {ORDER_MAX} bytes"),
        ] {
            assert!(PAGE.contains(&told), "docs/api.md: {told}");
        }
    }
}
