//! What an operator promises of its devices.

use sekisho_types::id::TenantId;
use sekisho_types::name::Name;
use sekisho_types::reservation::ReservationSpec;
use sekisho_types::revision::Revision;
use serde::{Deserialize, Serialize};

/// A reservation to make or lower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutReservation {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its name.
    pub name: Name,
    /// What it is.
    pub spec: ReservationSpec,
    /// Revision at which the caller read it; `None` = must not exist.
    pub expected: Option<Revision>,
}

/// A reservation to take out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteReservation {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its name.
    pub name: Name,
    /// Revision at which the caller read it.
    pub expected: Revision,
}
