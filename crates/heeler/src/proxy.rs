//! `heeler proxy`: one address in front of many Redis or memcached servers.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use anyhow::bail;

use crate::admin::{Process, REDIS_VERSION};
use crate::config::Diagnostic;
use crate::config::pools::{self, File};
use crate::daemon::Daemon;
use crate::deliver::{Behind, Door};
use crate::health::Watch;
use crate::log::Log;
use crate::net::{Listener, Server, Service, Tuning};
use crate::nutcracker::{Flags, Operation};
use crate::pool::Pool;
use crate::run;
use crate::session::{Access, Greeting};
use crate::wire::resp::Protocol;

/// What `heeler proxy` is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// As nutcracker is asked.
    pub flags: Flags,
    /// Worker threads; one a core where it is `None`.
    pub threads: Option<usize>,
}

/// Runs until it is asked to stop.
///
/// # Errors
/// The file is not right, or it could not start.
pub fn run(options: &Options, log: Log, daemon: Daemon) -> anyhow::Result<()> {
    let file = read(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stop = run::asked_to_stop()?;
        let operation = Operation::prepare(&options.flags, log, daemon)?;
        let threads = run::threads(options.threads);
        let links = file
            .pools
            .iter()
            .map(|p| p.servers.len() * p.server_connections as usize);
        let most_clients = run::most_clients(links.sum::<usize>().saturating_mul(threads));
        let listeners = file
            .pools
            .iter()
            .map(|pool| Listener::bind(&pool.listen, Tuning::of(pool)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut process = Process::new("proxy", threads, most_clients, run::seed());
        process.port = listeners.first().and_then(Listener::port).unwrap_or(0);
        process.bind = listeners.first().map(Listener::address).unwrap_or_default();
        let process = Arc::new(process);
        let service = |(pool, listener): (&pools::Pool, Listener)| {
            let (name, servers) = (&pool.name, pool.servers.len());
            tracing::info!(pool = %name, listen = %listener.address(), servers, threads, "serving");
            service(pool, listener, &process)
        };
        let services = file.pools.iter().zip(listeners).map(service).collect();
        let server = Server::start(services, process.clone())?;
        let _pid_file = operation.begin(&process)?;
        server.run(stop).await;
        tracing::info!("stopped");
        Ok(())
    })
}

/// Checks the file, and says so.
///
/// # Errors
/// The file is not right.
pub fn test(options: &Options) -> anyhow::Result<()> {
    let file = read(options)?;
    println!(
        "{}: syntax is ok, {} pools",
        options.flags.conf_file.display(),
        file.pools.len()
    );
    Ok(())
}

/// Reads the file and checks all of it.
///
/// # Errors
/// What is wrong, and where.
pub fn read(options: &Options) -> anyhow::Result<File> {
    let file = match pools::read(&options.flags.conf_file) {
        Ok(file) => file,
        Err(invalid) => bail!("{}", invalid.render(false)),
    };
    for warning in &file.warnings {
        tracing::warn!("{}", Diagnostic::one_line(warning));
    }
    Ok(file)
}

/// The door of a pool.
pub fn service(pool: &pools::Pool, listener: Listener, process: &Arc<Process>) -> Service {
    let watch = Watch::start(pool);
    process.pools.lock().push(watch.settings().stats.clone());
    let (process, wire) = (process.clone(), watch.settings().wire);
    let greeting = Greeting {
        version: REDIS_VERSION,
        newest: Protocol::Resp3,
        access: Access::Pool(pool.redis_auth.clone()),
        // With a password the servers refuse our SELECT, which comes before AUTH.
        database: if pool.redis_auth.is_none() {
            pool.redis_db
        } else {
            0
        },
    };
    let door = move |scratch: &_| {
        let pool = Pool::start(watch.settings(), watch.cluster(), scratch);
        Door::new(
            Behind::Pool(watch.cluster().clone(), pool),
            process.clone(),
            greeting.clone(),
            run::seed(),
        )
    };
    Service {
        name: pool.name.clone(),
        wire,
        listener,
        most_clients: pool.client_connections.map(|most| most as usize),
        clients: AtomicUsize::new(0),
        door: Box::new(door),
    }
}
