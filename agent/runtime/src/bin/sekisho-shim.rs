//! The shim as a program of its own. It is what `sekisho-agent shim …` does, without the agent around it.

use std::process::ExitCode;

fn main() -> ExitCode {
    sekisho_agent_runtime::shim::main(std::env::args_os().skip(1))
}
