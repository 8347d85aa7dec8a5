//! Places for watches: so many on a member, and so many on a connection.
//!
//! Must hold: L4. Who finds none is told so at once; a place comes back when its watch ends, however it ends.

use crate::limit::{WATCHES_MAX, WATCHES_PER_CONNECTION};
use parking_lot::Mutex;
use sekisho_proto::status::ApiError;
use sekisho_types::error_code::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A connection, by its channel binding.
pub(crate) type Connection = [u8; 32];

/// The places that are taken, by connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seats(Arc<Mutex<BTreeMap<Connection, usize>>>);

impl Seats {
    /// Takes a place.
    ///
    /// # Errors
    /// `OVERLOADED` if there is none.
    pub(crate) fn take(&self, connection: Connection) -> Result<Seat, ApiError> {
        let mut taken = self.0.lock();
        let own = taken.get(&connection).copied().unwrap_or_default();
        if own >= WATCHES_PER_CONNECTION {
            let why = format!("a connection has at most {WATCHES_PER_CONNECTION} watches");
            return Err(ApiError::new(ErrorCode::Overloaded, why));
        }
        if taken.values().sum::<usize>() >= WATCHES_MAX {
            let why = format!("a member has at most {WATCHES_MAX} watches; ask another one");
            return Err(ApiError::new(ErrorCode::Overloaded, why));
        }
        taken.insert(connection, own.saturating_add(1));
        metrics::gauge!("sekisho_api_watches").increment(1.0);
        Ok(Seat { seats: self.clone(), connection })
    }
}

/// One place; it comes back when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    connection: Connection,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock();
        if let Some(own) = taken.get_mut(&self.connection) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(&self.connection);
            }
        }
        metrics::gauge!("sekisho_api_watches").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_on_a_connection_and_on_the_member_and_come_back() {
        let seats = Seats::default();
        let code = |taken: Result<Seat, ApiError>| taken.map(|_| ()).unwrap_err().code;
        let mut held: Vec<Seat> =
            (0..WATCHES_PER_CONNECTION).map(|_| seats.take([0; 32]).unwrap()).collect();
        assert_eq!(code(seats.take([0; 32])), ErrorCode::Overloaded);
        held.pop();
        held.push(seats.take([0; 32]).unwrap());
        for n in 1.. {
            if held.len() == WATCHES_MAX {
                break;
            }
            let connection = [u8::try_from(n % 251).unwrap(), u8::try_from(n / 251).unwrap()];
            let mut whole = [9; 32];
            whole[..2].copy_from_slice(&connection);
            held.push(seats.take(whole).unwrap());
        }
        assert_eq!(code(seats.take([7; 32])), ErrorCode::Overloaded);
        held.pop();
        held.push(seats.take([7; 32]).unwrap());
        held.clear();
        assert!(seats.0.lock().is_empty());
    }
}
