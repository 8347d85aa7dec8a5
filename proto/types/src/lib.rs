//! Domain words of Sekisho: what every other crate speaks in.
//!
//! Must hold: parsing happens once, here; inside the system a value of these types is valid. No IO, clock,
//! randomness, floats or hash maps: the replicated state is made of these types (R4).
//! Does not know: protobuf, storage, consensus, the state machine.
#![deny(clippy::arithmetic_side_effects)]

pub mod budget;
pub mod cause;
pub mod device;
pub mod error_code;
pub mod fitness;
pub mod id;
pub mod job;
pub mod joint;
pub mod jurisdiction;
pub mod limit;
pub mod name;
pub mod offer;
pub mod patch;
pub mod payload;
pub mod placement;
pub mod position;
pub mod power;
pub mod principal;
pub mod quota;
pub mod rare;
pub mod reservation;
pub mod residency;
pub mod revision;
pub mod sharing;
pub mod time;
pub mod topology;
