//! Tests of whole members: real mutual TLS on loopback, real RocksDB in temporary directories.

mod changes;
mod claim;
mod cluster;
mod elect;
mod found;
mod golden;
mod level;
mod membership;
mod memory;
mod overload;
mod partition;
mod pitfall;
mod restart;
mod snapshot;
mod start;
mod stranger;
mod ways;

pub(crate) use memory::MemoryDisk;

use crate::network::frame::Header;
use crate::snapshot::Origin;
use sekisho_fsm::entry::FEATURE_LEVEL;
use sekisho_store::{OpenRequest, Store};
use sekisho_transport::clock::SystemClock;
use sekisho_types::id::{ClusterId, Digest, MemberId};
use sekisho_types::revision::Incarnation;
use std::path::Path;
use std::sync::Arc;

/// The federation of `sekisho_fsm::testing`.
pub(crate) const ORIGIN: Origin = Origin {
    cluster: ClusterId([0x5e; 16]),
    incarnation: Incarnation(1),
    begun: Digest([0xb; 32]),
};

/// The header of a member with the program of this day.
pub(crate) fn header(origin: Origin, from: u64, to: u64) -> Header {
    Header::new(origin, MemberId(from), MemberId(to), FEATURE_LEVEL)
}

/// Opens or makes the data directory of a member.
pub(crate) fn open_store(dir: &Path, member: u64) -> Arc<Store> {
    open_store_of(dir, ORIGIN, member)
}

/// As [`open_store`], in another life.
pub(crate) fn open_store_of(dir: &Path, origin: Origin, member: u64) -> Arc<Store> {
    let request = OpenRequest {
        dir: dir.to_path_buf(),
        member: origin.owner(MemberId(member)),
        create_at_ms: Some(1),
        clock: Arc::new(SystemClock),
    };
    Arc::new(Store::open(&request).unwrap())
}
