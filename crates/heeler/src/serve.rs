//! `heeler serve`: a store of its own.

mod doors;
mod flags;
mod memory;
mod redis;
mod tls;

pub use doors::Doors;
pub use flags::fold;
pub use memory::expire;
pub use redis::{service, tuning};
pub use tls::{AuthClients, DoorTls, TlsDoor};

use std::sync::Arc;

use crate::admin::{Debugging, Process};
use crate::config::pools::Source as PasswordSource;
use crate::http::{AdminPort, Pools, Subject};
use crate::net::Server;
use crate::peer::{self, Port};
use crate::route::Terms;
use crate::slowlog::{self, SlowLog};
use crate::store::{MemoryLimit, Numbering, Store};
use crate::{log, run};
use tls::Secrets;

/// What `heeler serve` is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where clients come in.
    pub doors: Doors,
    /// Where the password is that clients have to give, if they have to.
    pub password: Option<PasswordSource>,
    /// `host:port` of the admin port, if there shall be one.
    pub admin: Option<String>,
    /// How it takes part in a ring, if it shall.
    pub peer: Option<peer::Options>,
    /// What the owners of keys follow from there, beside the members.
    pub terms: Terms,
    /// How keys are kept there.
    pub keeping: peer::Keeping,
    /// Worker threads; one a core where it is `None`.
    pub threads: Option<usize>,
    /// Which databases there are.
    pub numbering: Numbering,
    /// How much memory keys may take, and what happens then.
    pub memory: MemoryLimit,
    /// Which commands are slow.
    pub slowlog: slowlog::Settings,
    /// Who may use DEBUG.
    pub debugging: Debugging,
}

/// Runs until it is asked to stop. What the log tells may change meanwhile.
///
/// # Errors
/// It could not start.
pub fn run(options: &Options, log: log::Log) -> anyhow::Result<()> {
    run::control(async {
        let stop = run::asked_to_stop()?;
        run::outlive_hangup()?;
        let secret = options.password.as_ref().map(PasswordSource::secret);
        let secret = secret.transpose().map_err(anyhow::Error::msg)?;
        let doors = options.doors.bind()?;
        if secret.is_none() {
            options.doors.warn_if_open();
        }
        options.peer.iter().for_each(doors::warn_if_open_to_nodes);
        let admin = options.admin.as_deref().map(AdminPort::bind).transpose()?;
        let threads = run::threads(options.threads);
        let most = run::most_clients(0);
        run::warn_if_few(most);
        let mut process = Process::new("serve", threads, most, run::seed());
        (process.port, process.bind) = doors.first();
        (process.debugging, process.log) = (options.debugging, Some(log));
        process.slowlog = Arc::new(SlowLog::new(options.slowlog));
        let store = Store::with_databases(run::seed(), options.numbering);
        let (process, store) = (Arc::new(process), Arc::new(store));
        let stopping = process.clone();
        memory::limit(&store, options.memory);
        let how = (options.terms, options.keeping);
        let open = |peer| Port::open(peer, how, store.clone(), process.clone(), threads);
        let port = options.peer.as_ref().map(open).transpose()?;
        let keyspace = port.as_ref().map(Port::keyspace).cloned();
        let subject = Subject {
            process: process.clone(),
            pools: Pools::default(),
            store: Some(store.clone()),
            ring: port.as_ref().map(|port| port.ringpop().clone()),
            keyspace: keyspace.clone(),
            reload: None,
        };
        let password = process.password.clone();
        password.set(secret);
        let offered = doors.services(&subject, &store, keyspace.as_ref());
        if let Some(admin) = admin {
            tokio::spawn(admin.serve(subject));
        }
        let mut server = Server::start(process.clone())?;
        let expiring = tokio::spawn(expire(store, process));
        let mut stop = std::pin::pin!(peer::is_to_stop(keyspace, stopping.stopping.or(stop)));
        let joined = async {
            // Until then clients wait in the listener's queue.
            if let Some(port) = &port {
                port.joined().await;
            }
        };
        tokio::select! {
            () = joined => {
                let (source, password) = (options.password.clone(), password.clone());
                let secrets = Secrets::open(&mut server, offered, source, password);
                let renewing = tokio::spawn(secrets.follow(server.renewing()));
                server.run(stop).await;
                renewing.abort();
            }
            () = &mut stop => server.stop().await,
        }
        if let Some(port) = port {
            port.close().await?;
        }
        expiring.abort();
        tracing::info!("stopped");
        Ok(())
    })
}
