//! `sekisho residency`: where nodes are proven to be, how, and what could be proven.

mod bundle;
mod check;
mod coverage;
mod fix;
mod map;
mod prove;
mod standing;
mod status;
mod verify;

use crate::app::App;
use crate::exit::Exit;
use crate::failure::Failure;
pub use check::CheckArgs;
pub use coverage::CoverageArgs;
pub use map::MapArgs;
pub use prove::ProveArgs;
pub use status::StatusArgs;
pub use verify::VerifyArgs;

/// Verbs of residency.
#[derive(Debug, clap::Subcommand)]
pub enum ResidencyCommand {
    /// How well the country of each node is proven, worst first
    Status(StatusArgs),
    /// Have a node measured by landmarks now, and show what that proves. Exit 0 proven, 6 not
    Prove(ProveArgs),
    /// Judge a saved proof again, or every fix of an audit bundle, offline. Exit 0 all holds, 1 not
    Verify(VerifyArgs),
    /// Draw sites, landmarks and what they measured of a node
    Map(MapArgs),
    /// Which share of Japan's municipalities landmarks could prove, and where the next one helps most
    Coverage(CoverageArgs),
    /// Which sites and nodes satisfy a policy now, and why the others do not
    Check(CheckArgs),
}

impl ResidencyCommand {
    /// Whether `--dry-run` means something to it.
    #[must_use]
    pub fn takes_dry_run(&self) -> bool {
        match self {
            Self::Status(_) | Self::Verify(_) | Self::Coverage(_) | Self::Check(_) => true,
            Self::Prove(_) | Self::Map(_) => false,
        }
    }
}

pub(super) async fn run(app: &mut App<'_>, command: ResidencyCommand) -> Result<Exit, Failure> {
    match command {
        ResidencyCommand::Status(args) => status::run(app, args).await,
        ResidencyCommand::Prove(args) => prove::run(app, args).await,
        ResidencyCommand::Verify(args) => verify::run(app, &args),
        ResidencyCommand::Map(args) => map::run(app, args).await,
        ResidencyCommand::Coverage(args) => coverage::run(app, &args),
        ResidencyCommand::Check(args) => check::run(app, &args).await,
    }
}
