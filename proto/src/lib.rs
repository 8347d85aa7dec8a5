//! The wire: generated protobuf code and its conversions to domain types. The only crate that knows both.
//!
//! Must hold: text and numbers become domain values here, once, or are refused with the field that is wrong; the
//! conversions of what a client signs are exact in both directions, because the server rebuilds the signed command
//! from the message (A3). Persisted and signed bytes are canonical ones and only travel inside messages.
//! Does not know: state, roles, connections.

pub mod convert;
#[cfg(test)]
mod documentation;
pub mod field;
mod mask;
pub mod name;
pub mod operation;
pub mod phrase;
pub mod services;
pub mod status;

/// Public API, `sekisho.v1`.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("sekisho.v1");
}

/// Between our own programs, `sekisho.internal.v1`.
pub mod internal {
    /// Version 1.
    #[expect(
        missing_docs,
        unused_qualifications,
        clippy::too_many_lines,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    pub mod v1 {
        tonic::include_proto!("sekisho.internal.v1");
    }
}

/// Vendored interfaces that partners' tools know already.
pub mod google {
    /// Work that goes on after its call was answered.
    #[expect(
        missing_docs,
        unused_qualifications,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        clippy::too_many_lines,
        reason = "generated code"
    )]
    pub mod longrunning {
        tonic::include_proto!("google.longrunning");
    }

    /// How a call ended.
    #[expect(missing_docs, reason = "generated code")]
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

/// Every message and service, with the comments.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

/// Those that people and pipelines may know, for reflection: nothing of what our own programs say to each other.
pub const PUBLIC: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/public.binpb"));

#[cfg(test)]
mod shape;
