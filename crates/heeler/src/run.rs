//! What every long-running command does around its server: threads, files, the stop.

use std::hash::{BuildHasher, RandomState};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::limits;

/// A number that differs from process to process and cannot be guessed.
pub fn seed() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Runs what the control thread has to do: everything but serving clients.
///
/// # Errors
/// Those of the work, or there is no runtime.
pub fn control(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(work);
    // A name that is still being looked up must not hold up the end.
    runtime.shutdown_background();
    done
}

/// One worker a core where the user names no number.
pub fn threads(asked: Option<usize>) -> usize {
    asked
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
        .max(1)
}

/// Lets the process open as many files as the system allows it, and returns how many clients it
/// may have when `reserved` files are for something else.
pub fn most_clients(reserved: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let files = match setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    ) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    let files = files.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    files
        .saturating_sub(reserved + limits::SPARE_FILES)
        .clamp(1, limits::CLIENTS)
}

/// Says so where the system allows the process fewer clients than servers like this one have.
pub fn warn_if_few(most_clients: usize) {
    if most_clients < limits::FEW_CLIENTS {
        tracing::warn!(
            "at most {most_clients} clients can be connected at a time, for the system lets this \
             process open few files; allow it more: `ulimit -n`, LimitNOFILE= of systemd, or \
             --ulimit nofile= of docker"
        );
    }
}

/// Lets the process live on when its terminal is closed, or when it is told to read its settings
/// again (SIGHUP), as redis-server and memcached do: it has nothing to read again.
///
/// # Errors
/// The signal cannot be caught.
pub fn outlive_hangup() -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!(
                "SIGHUP received: nothing to do, for certificates and the password's file are read \
                 again when they change; SIGTERM stops the process"
            );
        }
    });
    Ok(())
}

/// Ready once the process is asked to stop (SIGTERM, SIGINT). Asked again, it exits at once.
///
/// # Errors
/// The signals cannot be caught.
pub fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!("{name} received");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::warn!("asked to stop again: exiting at once");
            std::process::exit(1);
        });
    })
}
