//! `sekisho residency`: where nodes are proven to be, and what could be proven.

mod coverage;

use crate::app::App;
use crate::exit::Exit;
use crate::failure::Failure;
pub use coverage::CoverageArgs;

/// Verbs of residency.
#[derive(Debug, clap::Subcommand)]
pub enum ResidencyCommand {
    /// Which share of Japan's municipalities landmarks could prove, and where the next one helps most
    Coverage(CoverageArgs),
}

pub(super) fn run(app: &mut App<'_>, command: ResidencyCommand) -> Result<Exit, Failure> {
    match command {
        ResidencyCommand::Coverage(args) => coverage::run(app, &args),
    }
}
