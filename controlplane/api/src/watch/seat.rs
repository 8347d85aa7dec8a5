//! Places for watches: so many on a member, so many of a principal, and so many on a connection.
//!
//! Must hold: L4. Who finds none is told so at once; a place comes back when its watch ends, however it ends. Many connections
//! bring one principal no more places than its own.

use crate::limit::{WATCHES_MAX, WATCHES_PER_CONNECTION, WATCHES_PER_PRINCIPAL};
use parking_lot::Mutex;
use sekisho_proto::status::ApiError;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::principal::Principal;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A connection, by its channel binding.
pub(crate) type Connection = [u8; 32];

/// The places that are taken: of all, by connection and by principal.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    connections: BTreeMap<Connection, usize>,
    principals: BTreeMap<Principal, usize>,
}

/// Gives back one of the places that are counted under `key`; what has none left is forgotten.
fn give_back<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The places of a member.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seats(Arc<Mutex<Taken>>);

impl Seats {
    /// Takes a place.
    ///
    /// # Errors
    /// `OVERLOADED` if there is none.
    pub(crate) fn take(
        &self,
        connection: Connection,
        principal: &Principal,
    ) -> Result<Seat, ApiError> {
        let full = |why: String| Err(ApiError::new(ErrorCode::Overloaded, why));
        let mut taken = self.0.lock();
        let on_connection = taken.connections.get(&connection).copied().unwrap_or_default();
        if on_connection >= WATCHES_PER_CONNECTION {
            return full(format!("a connection has at most {WATCHES_PER_CONNECTION} watches"));
        }
        let own = taken.principals.get(principal).copied().unwrap_or_default();
        if own >= WATCHES_PER_PRINCIPAL {
            return full(format!("a principal has at most {WATCHES_PER_PRINCIPAL} watches"));
        }
        if taken.all >= WATCHES_MAX {
            return full(format!("a member has at most {WATCHES_MAX} watches; ask another one"));
        }
        taken.all = taken.all.saturating_add(1);
        taken.connections.insert(connection, on_connection.saturating_add(1));
        taken.principals.insert(principal.clone(), own.saturating_add(1));
        metrics::gauge!("sekisho_api_watches").increment(1.0);
        Ok(Seat { seats: self.clone(), connection, principal: principal.clone() })
    }
}

/// One place; it comes back when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    connection: Connection,
    principal: Principal,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock();
        taken.all = taken.all.saturating_sub(1);
        give_back(&mut taken.connections, &self.connection);
        give_back(&mut taken.principals, &self.principal);
        metrics::gauge!("sekisho_api_watches").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_fsm::testing::{admin, user};

    fn code(taken: Result<Seat, ApiError>) -> ErrorCode {
        taken.map(|_| ()).unwrap_err().code
    }

    fn connection(n: usize) -> Connection {
        let mut whole = [9; 32];
        whole[..8].copy_from_slice(&n.to_be_bytes());
        whole
    }

    #[test]
    fn places_are_bounded_on_a_connection_and_on_the_member_and_come_back() {
        let seats = Seats::default();
        let who = admin("kanto");
        let mut held: Vec<Seat> =
            (0..WATCHES_PER_CONNECTION).map(|_| seats.take([0; 32], &who).unwrap()).collect();
        assert_eq!(code(seats.take([0; 32], &who)), ErrorCode::Overloaded);
        held.pop();
        held.push(seats.take([0; 32], &who).unwrap());
        for n in held.len()..WATCHES_MAX {
            held.push(seats.take(connection(n), &user("kanto", &format!("user-{n}"))).unwrap());
        }
        let late = admin("naniwa");
        assert_eq!(code(seats.take([7; 32], &late)), ErrorCode::Overloaded);
        held.pop();
        held.push(seats.take([7; 32], &late).unwrap());
        held.clear();
        let taken = seats.0.lock();
        assert_eq!(taken.all, 0);
        assert!(taken.connections.is_empty() && taken.principals.is_empty());
    }

    #[test]
    fn one_principal_takes_its_share_over_all_its_connections_and_no_more() {
        let (seats, crowd) = (Seats::default(), user("kanto", "sapporo"));
        let each = |n: usize| (0..WATCHES_PER_CONNECTION).map(move |_| n);
        let mut held: Vec<Seat> =
            (0..8).flat_map(each).map(|n| seats.take(connection(n), &crowd).unwrap()).collect();
        assert_eq!(held.len(), WATCHES_PER_PRINCIPAL);
        assert_eq!(code(seats.take(connection(8), &crowd)), ErrorCode::Overloaded);
        let other = seats.take(connection(8), &admin("naniwa")).unwrap();
        held.pop();
        held.push(seats.take(connection(8), &crowd).unwrap());
        drop((held, other));
        assert_eq!(seats.0.lock().all, 0);
    }
}
