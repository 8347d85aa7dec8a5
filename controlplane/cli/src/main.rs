//! The binary `sekisho`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sekisho_cli::main(std::env::args_os())
}
