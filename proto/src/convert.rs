//! Between messages and domain types, one file for each noun.
//!
//! What a client signs is built from the same typed values that the server reads out of the request; so for every
//! mutating request there is a type here with exactly the command's fields, a conversion from the message, and one
//! back to it that loses nothing.

pub mod agent;
pub mod approval;
pub mod budget;
pub mod escrow;
pub mod finding;
pub mod fitness;
pub mod intent;
pub mod job;
pub mod key;
pub mod landmark;
pub mod login;
pub mod member;
pub mod node;
pub mod offer;
pub mod plan;
pub mod policy;
pub mod quota;
pub mod reservation;
mod resources;
pub mod rules;
pub mod site;
pub mod tenant;
pub mod topology;
pub mod trust;
