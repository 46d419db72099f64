//! `heeler proxy`: one address in front of many Redis servers.

use std::path::PathBuf;

use tokio::sync::mpsc;

use crate::live::{self, Live};
use crate::run;

/// What `heeler proxy` is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file with the pools: nutcracker.yml.
    pub file: PathBuf,
    /// Worker threads; one a core where it is `None`.
    pub threads: Option<usize>,
    /// Reload the file when it has changed.
    pub watch: bool,
}

/// Runs until it is asked to stop.
///
/// # Errors
/// The file is not right, or it could not start.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stop = run::asked_to_stop()?;
        let live = Live::start(options.file.clone(), run::threads(options.threads))?;
        let (_ask, asked) = mpsc::channel(1);
        live.run(stop, asked, options.watch).await?;
        tracing::info!("stopped");
        Ok(())
    })
}

/// Checks the file, and says so.
///
/// # Errors
/// The file is not right.
pub fn test(options: &Options) -> anyhow::Result<()> {
    let file = live::read(&options.file)?;
    println!(
        "{}: syntax is ok, {} pools",
        options.file.display(),
        file.pools.len()
    );
    Ok(())
}
