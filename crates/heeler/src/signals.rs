//! Signals other than those that stop the process, and what is done for each.

use std::{io, thread};

use nix::sys::signal::{SigSet, Signal as Fatal, raise};
use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

use crate::log::Log;

/// The signals that are caught, from now on.
#[derive(Debug)]
pub struct Signals {
    hangup: unix::Signal,
    louder: unix::Signal,
    quieter: unix::Signal,
    user1: unix::Signal,
    user2: unix::Signal,
}

impl Signals {
    /// Catches them, on this thread's runtime, before there are other threads.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn catch() -> io::Result<Signals> {
        tell_of_segv()?;
        let catch = |signal: Signal| unix::signal(SignalKind::from_raw(signal.as_raw()));
        Ok(Signals {
            hangup: catch(Signal::HUP)?,
            louder: catch(Signal::TTIN)?,
            quieter: catch(Signal::TTOU)?,
            user1: catch(Signal::USR1)?,
            user2: catch(Signal::USR2)?,
        })
    }

    /// Does what they ask for, as long as the process lives.
    pub async fn obey(mut self, log: Log) {
        loop {
            let signal = tokio::select! {
                _ = self.hangup.recv() => Signal::HUP,
                _ = self.louder.recv() => Signal::TTIN,
                _ = self.quieter.recv() => Signal::TTOU,
                _ = self.user1.recv() => Signal::USR1,
                _ = self.user2.recv() => Signal::USR2,
            };
            dispatch(signal, &log);
        }
    }
}

/// Has a SIGSEGV that somebody sends told in the log before the process dies of it, as nutcracker
/// does. Without this the first one would be lost: it is taken by the handler with which Rust's
/// runtime looks for full stacks. No thread takes it, those included that inherit this from the
/// calling thread, but for one that waits for it. Of a fault of its own a thread dies at once.
fn tell_of_segv() -> io::Result<()> {
    let segv = SigSet::from_iter([Fatal::SIGSEGV]);
    segv.thread_block()?;
    let wait = move || {
        if segv.wait().is_ok() {
            let number = Fatal::SIGSEGV as i32;
            tracing::error!("signal {number} (SIGSEGV) received, core dumping");
            // The runtime's handler takes the first of these and then gives way to the default.
            let _ = segv.thread_unblock();
            let _ = raise(Fatal::SIGSEGV).and_then(|()| raise(Fatal::SIGSEGV));
        }
    };
    thread::Builder::new().name("segv".into()).spawn(wait)?;
    Ok(())
}

/// What each signal does. The log lines are nutcracker's.
fn dispatch(signal: Signal, log: &Log) {
    let number = signal.as_raw();
    match signal {
        Signal::HUP => {
            tracing::info!("signal {number} (SIGHUP) received, reopening log file");
            match log.reopen() {
                Ok(()) => tracing::info!("reopened log file"),
                Err(error) => tracing::error!("{error:#}; the old one is used on"),
            }
        }
        Signal::TTIN => {
            tracing::info!("signal {number} (SIGTTIN) received, up logging level");
            if let Some(level) = log.raise() {
                tracing::info!("up log level to {level}");
            }
        }
        Signal::TTOU => {
            tracing::info!("signal {number} (SIGTTOU) received, down logging level");
            if let Some(level) = log.lower() {
                tracing::info!("down log level to {level}");
            }
        }
        Signal::USR1 => tracing::info!("signal {number} (SIGUSR1) received"),
        _ => tracing::info!("signal {number} (SIGUSR2) received"),
    }
}
