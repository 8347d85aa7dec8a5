//! Escrow: what sets the slice of a tenant's quota that a site holds.

use crate::field::{FieldError, FieldResult, etag, required};
use crate::name::{EscrowId, Resource as _};
use crate::v1;
use sekisho_types::revision::Revision;

/// A slice to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetEscrow {
    /// Site, tenant and class.
    pub escrow: EscrowId,
    /// All that the site holds from now on.
    pub gpus: u64,
    /// Revision at which the caller read it; 0 = it held none.
    pub expected: Revision,
}

impl TryFrom<&v1::UpdateEscrowRequest> for SetEscrow {
    type Error = FieldError;
    fn try_from(message: &v1::UpdateEscrowRequest) -> FieldResult<Self> {
        let content = required("escrow", message.escrow.as_ref())?;
        Ok(Self {
            escrow: EscrowId::from_field("escrow.name", &content.name)?,
            gpus: content.gpus,
            expected: etag("escrow.etag", &content.etag)?,
        })
    }
}

impl SetEscrow {
    /// The request that stands for it.
    #[must_use]
    pub fn request(&self, intent: v1::Intent) -> v1::UpdateEscrowRequest {
        let escrow = v1::Escrow {
            name: self.escrow.name(),
            gpus: self.gpus,
            etag: self.expected.to_string(),
            ..v1::Escrow::default()
        };
        v1::UpdateEscrowRequest { escrow: Some(escrow), intent: Some(intent) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escrows_round_trip_and_every_bad_field_is_named() {
        let escrow = EscrowId::from_name("sites/tokyo-1/escrows/acme.h100-80g").unwrap();
        for (gpus, expected) in [(0, 7), (8, 0)] {
            let set = SetEscrow { escrow: escrow.clone(), gpus, expected: Revision(expected) };
            let message = set.request(v1::Intent::default());
            assert_eq!(SetEscrow::try_from(&message), Ok(set));
        }
        let set = SetEscrow { escrow, gpus: 8, expected: Revision(0) };
        let mut message = set.request(v1::Intent::default());
        for bad in ["", "x", "07"] {
            message.escrow.as_mut().unwrap().etag = bad.into();
            assert_eq!(SetEscrow::try_from(&message).unwrap_err().field, "escrow.etag", "{bad}");
        }
        message.escrow.as_mut().unwrap().name = "sites/tokyo-1/escrows/acme".into();
        assert_eq!(SetEscrow::try_from(&message).unwrap_err().field, "escrow.name");
        message.escrow = None;
        assert_eq!(SetEscrow::try_from(&message).unwrap_err().field, "escrow");
    }
}
