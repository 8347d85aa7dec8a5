//! `sekisho residency`: where nodes are proven to be, and what could be proven.

mod check;
mod coverage;

use crate::app::App;
use crate::exit::Exit;
use crate::failure::Failure;
pub use check::CheckArgs;
pub use coverage::CoverageArgs;

/// Verbs of residency.
#[derive(Debug, clap::Subcommand)]
pub enum ResidencyCommand {
    /// Which share of Japan's municipalities landmarks could prove, and where the next one helps most
    Coverage(CoverageArgs),
    /// Which sites and nodes satisfy a policy now, and why the others do not
    Check(CheckArgs),
}

pub(super) async fn run(app: &mut App<'_>, command: ResidencyCommand) -> Result<Exit, Failure> {
    match command {
        ResidencyCommand::Coverage(args) => coverage::run(app, &args),
        ResidencyCommand::Check(args) => check::run(app, &args).await,
    }
}
