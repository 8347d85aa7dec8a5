//! Crash drills of one member's storage (R1, R6, R7): a real store in a real process on a disk that loses power.
//!
//! The member ([`member`], run by the program `sekisho-crash`) does random work and says on a pipe what it begins and
//! what was acknowledged. It is cut at a chosen disk call: power goes (`EXT4_IOC_SHUTDOWN` on a loop-mounted ext4
//! drops what was not synced), or the write is left torn or with holes, or the process is killed, or the call fails.
//! Opened again, what it finds has to be one of the states that [`history`] allows: everything acknowledged, then any
//! prefix of the rest.
//!
//! Must hold: production code has no hook for this. Cuts, failures and planted faults sit at the C library's disk
//! calls, which that one program defines itself; so what is tested is what is shipped, RocksDB included.
//!
//! Does not simulate a disk that acknowledges a sync and forgets it, except as a planted fault; the store cannot
//! hold against that disk, only the peers' answers can (R6).

pub mod campaign;
pub mod chain;
pub mod damage;
pub mod data;
pub mod disk;
pub mod fault;
pub mod history;
pub mod line;
pub mod log;
pub mod look;
pub mod member;
pub mod plan;
pub mod suite;
pub mod value;
mod work;
