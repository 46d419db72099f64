//! `heeler serve`: a store of its own.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use crate::allocator::Watermark;
use crate::admin::{Debugging, Process, REDIS_VERSION};
use crate::config::pools::Listen;
use crate::deliver::{Behind, Door};
use crate::http::{AdminPort, Pools, Subject};
use crate::net::{Listener, MakeDoor, Server, Service, Tuning};
use crate::peer::{self, Port};
use crate::session::{Access, Greeting};
use crate::slowlog::{self, SlowLog};
use crate::store::Store;
use crate::wire::Wire;
use crate::wire::resp::Protocol;
use crate::{clock, limits, run};

/// What `heeler serve` is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the Redis protocol is spoken.
    pub redis: Listen,
    /// `host:port` of the admin port, if there shall be one.
    pub admin: Option<String>,
    /// How it takes part in a ring, if it shall.
    pub peer: Option<peer::Options>,
    /// Worker threads; one a core where it is `None`.
    pub threads: Option<usize>,
    /// Which commands are slow.
    pub slowlog: slowlog::Settings,
    /// Who may use DEBUG.
    pub debugging: Debugging,
}

/// Runs until it is asked to stop.
///
/// # Errors
/// It could not start.
pub fn run(options: &Options) -> anyhow::Result<()> {
    run::control(async {
        let stop = run::asked_to_stop()?;
        let listener = Listener::bind(&options.redis, tuning())?;
        let admin = options.admin.as_deref().map(AdminPort::bind).transpose()?;
        warn_if_open(&options.redis);
        let threads = run::threads(options.threads);
        let mut process = Process::new("serve", threads, run::most_clients(0), run::seed());
        process.port = listener.port().unwrap_or(0);
        process.bind = listener.address();
        process.debugging = options.debugging;
        process.slowlog = Arc::new(SlowLog::new(options.slowlog));
        let (process, store) = (Arc::new(process), Arc::new(Store::new(run::seed())));
        tracing::info!(redis = %listener.address(), threads, "serving");
        let service = service("redis", listener, &store, &process);
        let open = |options| Port::open(options, store.clone(), threads);
        let port = options.peer.as_ref().map(open).transpose()?;
        if let Some(admin) = admin {
            tokio::spawn(admin.serve(Subject {
                process: process.clone(),
                pools: Pools::default(),
                store: Some(store.clone()),
                ring: port.as_ref().map(|port| port.ringpop().clone()),
                reload: None,
            }));
        }
        let mut server = Server::start(process.clone())?;
        server.open(service);
        let expiring = tokio::spawn(expire(store, process));
        server.run(stop).await;
        if let Some(port) = port {
            port.close().await;
        }
        expiring.abort();
        tracing::info!("stopped");
        Ok(())
    })
}

/// The Redis door of a store.
pub fn service(
    name: &str,
    listener: Listener,
    store: &Arc<Store>,
    process: &Arc<Process>,
) -> Service {
    let (store, process) = (store.clone(), process.clone());
    let greeting = Greeting {
        version: REDIS_VERSION,
        newest: Protocol::Resp3,
        access: Access::Open,
        database: 0,
    };
    let door: MakeDoor = Arc::new(move |_: &_, _| {
        Door::new(
            Behind::Node(store.clone()),
            process.clone(),
            greeting.clone(),
            run::seed(),
        )
    });
    Service {
        name: name.into(),
        wire: Wire::Resp,
        tls: None,
        listener: Arc::new(listener),
        most_clients: None,
        door,
    }
}

/// Removes keys whose time is up and which nobody asks for, and gives memory back, as long as the
/// process lives.
pub async fn expire(store: Arc<Store>, process: Arc<Process>) {
    let giving = process.clone();
    let _giving = tokio::spawn(async move { giving.allocator.give_back().await });
    let mut mark = Watermark::default();
    loop {
        let removed = store.expire_due(clock::now(), limits::EXPIRE_BUDGET);
        if removed >= limits::EXPIRE_BUDGET {
            // More may be due: others get their turn in between, then it goes on.
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        if mark.has_fallen(store.memory()) {
            process.allocator.ask();
        }
        tokio::time::sleep(Duration::from_millis(limits::EXPIRE_PAUSE_MS)).await;
    }
}

/// How a store's listeners are set up.
pub fn tuning() -> Tuning {
    Tuning {
        backlog: limits::BACKLOG,
        keepalive: true,
        reuseport: false,
    }
}

/// Whoever reaches the port reads and writes everything.
fn warn_if_open(listen: &Listen) {
    let Listen::Tcp { host, port } = listen else {
        return;
    };
    let found = (host.as_str(), *port).to_socket_addrs();
    let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    if found.is_ok_and(|mut all| all.any(|a| !is_loopback(a.ip()))) {
        tracing::warn!(
            "{host}:{port} can be reached from other machines, and no password protects the data; \
             listen on 127.0.0.1 unless the network is trusted"
        );
    }
}
