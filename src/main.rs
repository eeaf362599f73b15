//! The command line program.

use std::process::ExitCode;

fn main() -> ExitCode {
    psp2gatekeeper::cli::main()
}
