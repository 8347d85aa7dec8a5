//! Runs granted placements as real processes on one host, and knows the host's devices.
//!
//! What must hold:
//! - **P1**: a simulated device has one holder at a time, and [`device::tracer`] can prove afterwards that it had.
//! - **P4**: what the lease binds ends by the [`deadline`] in its file, with the agent dead, stopped or starved: its shim
//!   asks and kills, the [`watchdog`] kills. What nobody looks after any more ends ([`guard`]).
//! - **P6**: a job is a PID namespace. Its init is the Sekisho [`shim`]; whoever kills the shim kills all of it,
//!   whatever the job forked, daemonized or moved to another session.
//! - A start of the agent adopts or kills every process that an earlier one left ([`sweep`], [`process`]): it ends no job.
//! - A job runs as a user of its own, in a [`sandbox`]: it sees nothing of the agent or of other jobs, may not call what no job
//!   needs ([`shim::seccomp`]), and is held to its limits ([`cgroup`]). What this host cannot give of that is said
//!   ([`capability`]), and what a job asks for and cannot get keeps it from starting.
//! - Teardown is reported only when the kernel has confirmed that the whole namespace is gone.
//!
//! What it does not do: it knows no network, no control plane and no policy. Which devices a placement gets and until when
//! the lease holds is decided in `sekisho-agent-core`; when it must stop, by the caller, and by the deadline that it wrote.

pub mod capability;
pub mod cgroup;
pub mod deadline;
pub mod device;
pub mod directory;
pub mod environment;
pub mod guard;
pub mod limit;
pub mod log;
pub mod placement;
pub mod process;
pub mod procfs;
pub mod record;
pub mod runtime;
pub mod sandbox;
pub mod shim;
pub mod spare;
pub mod sweep;
pub mod users;
pub mod watchdog;
