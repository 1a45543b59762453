//! The program `bellwether`, which is built beside this one.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

/// Where it is; an error tells how to make it.
pub(crate) fn bellwether() -> Result<PathBuf> {
    let program = std::env::current_exe()
        .context("cannot find out where this program is")?
        .with_file_name("bellwether");
    ensure!(program.exists(), "build the program first: cargo build --release");
    Ok(program)
}
