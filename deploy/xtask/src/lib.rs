//! The house rules of this repository as code: what only stands in prose decays.
//!
//! Three checks, each also a test of this crate, so that `cargo nextest run` alone refuses a break:
//! - [`floors`]: a crate depends on strictly lower floors; pure crates name only listed outside crates;
//! - [`tidy`]: shape and wording of files (lengths, heads, names, links, lists of clippy);
//! - [`deny`]: licences, banned crates and sources of everything that is linked.
//!
//! [`tally`] turns the records of a test run into its closing line.
//!
//! It reads text and `cargo metadata` only. It depends on no other crate of the workspace, so that it
//! builds and speaks when they do not.

pub mod deny;
pub mod files;
pub mod floors;
pub mod report;
pub mod spdx;
pub mod tally;
pub mod tidy;
pub mod workspace;
