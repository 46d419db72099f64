//! What stands around the pools of a running proxy: statistics, signals, the background.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Flags, StatsPort};
use crate::admin::Process;
use crate::daemon::{Daemon, PidFile};
use crate::log::Log;
use crate::signals::Signals;

/// All of it, before clients can connect.
#[derive(Debug)]
pub struct Operation {
    stats: Option<StatsPort>,
    signals: Signals,
    log: Log,
    daemon: Daemon,
    pid_file: Option<PathBuf>,
}

impl Operation {
    /// Takes the port of the statistics, and catches signals.
    ///
    /// # Errors
    /// The port that was asked for cannot be had. Without the one that nobody asked for it goes on.
    pub fn prepare(flags: &Flags, log: Log, daemon: Daemon) -> anyhow::Result<Operation> {
        let (port, asked) = flags.stats_port();
        let stats = match StatsPort::bind(&flags.stats_addr, port) {
            Ok(stats) => Some(stats),
            Err(error) if asked => return Err(error),
            Err(error) => {
                tracing::warn!("{error:#}");
                None
            }
        };
        Ok(Operation {
            stats,
            signals: Signals::catch()?,
            log,
            daemon,
            pid_file: flags.pid_file.clone(),
        })
    }

    /// Clients can connect: tells statistics and obeys signals, on this thread's runtime. The
    /// pid file is there as long as what is returned.
    ///
    /// # Errors
    /// The pid file cannot be written.
    pub fn begin(self, process: &Arc<Process>) -> anyhow::Result<Option<PidFile>> {
        let pid_file = self.pid_file.as_deref().map(PidFile::write).transpose()?;
        if let Some(stats) = self.stats {
            tracing::info!(listen = %stats.address(), "telling statistics");
            tokio::spawn(stats.serve(process.clone()));
        }
        tokio::spawn(self.signals.obey(self.log));
        self.daemon.ready()?;
        Ok(pid_file)
    }
}
