//! The services over an in-memory federation of three operators; this member is kanto's.

mod access;
mod agent;
mod approval;
mod audit;
mod event;
mod hidden;
mod job;
mod join;
mod landmark;
mod list;
mod member;
mod node;
mod operation;
mod operator;
mod policy;
mod read;
mod sealed;
mod snapshot;
mod write;

use crate::fake::{Fake, fake, request};
use sekisho_proto::status::ApiError;
use sekisho_types::error_code::ErrorCode;
use tonic::{Response, Status};

/// The code of a refusal.
fn code<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> ErrorCode {
    let error = ApiError::from_status(&answer.unwrap_err());
    assert!(error.explained, "{error}");
    error.code
}
