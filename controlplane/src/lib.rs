//! The controller: composes consensus, duties and API to one process.
//!
//! Holds no rule of its own. What it adapts, it adapts one to one; what it decides is only the order of starting.

pub mod begin;
pub mod config;
pub mod covered;
pub mod doctor;
pub mod found;
pub mod heads;
pub mod issuer;
pub mod landmark;
pub mod login;
pub mod metrics;
pub mod offline;
pub mod ports;
pub mod startup;
pub mod trust;
pub mod vitals;
