//! `heeler proxy`: one address in front of many Redis or memcached servers.

use tokio::sync::mpsc;

use crate::config::Watch;
use crate::daemon::Daemon;
use crate::http::AdminPort;
use crate::live::{self, Live};
use crate::log::Log;
use crate::nutcracker::{Flags, Operation};
use crate::{limits, run, slowlog};

/// What `heeler proxy` is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// As nutcracker is asked.
    pub flags: Flags,
    /// Worker threads; one a core where it is `None`.
    pub threads: Option<usize>,
    /// `host:port` of the admin port, if there shall be one.
    pub admin: Option<String>,
    /// Reload the file when it has changed.
    pub watch: bool,
    /// Which commands are slow.
    pub slowlog: slowlog::Settings,
}

/// Runs until it is asked to stop.
///
/// # Errors
/// The file is not right, or it could not start.
pub fn run(options: &Options, log: Log, daemon: Daemon) -> anyhow::Result<()> {
    let path = &options.flags.conf_file;
    let mut watch = Watch::new(path);
    let file = live::read(path, &mut watch, |_| None)?;
    run::control(async {
        let stop = run::asked_to_stop()?;
        let operation = Operation::prepare(&options.flags, log, daemon)?;
        let threads = run::threads(options.threads);
        let admin = options.admin.as_deref().map(AdminPort::bind).transpose()?;
        let live = Live::start(path.clone(), watch, file, threads, options.slowlog)?;
        let _pid_file = operation.begin(live.process())?;
        let (ask, asked) = mpsc::channel(limits::RELOADS);
        if let Some(admin) = admin {
            tokio::spawn(admin.serve(live.subject(ask)));
        }
        live.run(stop, asked, options.watch).await;
        tracing::info!("stopped");
        Ok(())
    })
}

/// Checks the file, and says so.
///
/// # Errors
/// The file is not right.
pub fn test(options: &Options) -> anyhow::Result<()> {
    let path = &options.flags.conf_file;
    let file = live::check(path)?;
    println!(
        "{}: syntax is ok, {} pools",
        path.display(),
        file.pools.len()
    );
    Ok(())
}
