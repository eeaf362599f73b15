//! The command line program.

use std::process::ExitCode;

/// Most of the time goes to making and dropping small objects, which takes the allocator of musl twice as long as others.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    psp2gatekeeper::cli::main()
}
