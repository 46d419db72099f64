//! `heeler demo`: three stores and a proxy over them in one process, to try things out.

use std::sync::Arc;

use anyhow::Context;

use crate::admin::Process;
use crate::config::pools::{self, Listen};
use crate::live::{self, Tls};
use crate::net::{Listener, Server};
use crate::store::Store;
use crate::wire::Wire;
use crate::{run, serve};

/// What `heeler demo` is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many stores stand behind the proxy.
    pub stores: usize,
    /// Worker threads; one a core where it is `None`.
    pub threads: Option<usize>,
}

/// Runs until it is asked to stop.
///
/// # Errors
/// It could not start.
pub fn run(options: &Options) -> anyhow::Result<()> {
    run::control(async {
        let stop = run::asked_to_stop()?;
        let threads = run::threads(options.threads);
        let process = Process::new("demo", threads, run::most_clients(0), run::seed());
        let process = Arc::new(process);
        let mut services = Vec::new();
        let (mut ports, mut expiring) = (Vec::new(), Vec::new());
        for number in 1..=options.stores {
            let listener = Listener::bind(&free_port(), serve::tuning())?;
            ports.push(listener.port().context("a TCP listener has a port")?);
            let store = Arc::new(Store::new(run::seed()));
            services.push(serve::service(
                &format!("store{number}"),
                Wire::Resp,
                listener,
                &store,
                &process,
                None,
            ));
            expiring.push(tokio::spawn(serve::expire(store, process.clone())));
        }
        let file = file(&ports);
        let pools = pools::parse("demo.yml", &file)
            .map_err(|i| anyhow::anyhow!("{i}"))?
            .pools;
        let listener = Listener::bind(&free_port(), serve::tuning())?;
        let port = listener.port().context("a TCP listener has a port")?;
        let (plain, listener) = (Tls::default(), Arc::new(listener));
        services.push(live::service(&pools[0], &plain, listener, &process, None).0);
        let mut server = Server::start(process.clone())?;
        for service in services {
            server.open(service);
        }
        println!("{}", welcome(port, &ports, &file));
        server.run(process.stopping.or(stop)).await;
        Ok(())
    })
}

fn free_port() -> Listen {
    Listen::Tcp {
        host: "127.0.0.1".into(),
        port: 0,
    }
}

/// The proxy's nutcracker.yml. Its listener is bound already, so that its port is not looked at.
fn file(ports: &[u16]) -> String {
    let mut file = String::from(
        "demo:\n  listen: 127.0.0.1:22121\n  hash: murmur\n  distribution: ketama\n  \
         hash_tag: \"{}\"\n  redis: true\n  timeout: 1000\n  servers:\n",
    );
    for (i, port) in ports.iter().enumerate() {
        file += &format!("   - 127.0.0.1:{port}:1 store{}\n", i + 1);
    }
    file
}

fn welcome(port: u16, ports: &[u16], file: &str) -> String {
    let stores: String = ports
        .iter()
        .enumerate()
        .map(|(i, port)| format!("  redis-cli -p {port} dbsize          # store{}\n", i + 1))
        .collect();
    format!(
        "Heeler runs {count} stores and a proxy that shards keys over them. In another terminal:\n\
         \n  redis-cli -p {port} set greeting hello\n  redis-cli -p {port} get greeting\n  \
         redis-cli -p {port} mset a 1 b 2 c 3 d 4 e 5 f 6\n  \
         redis-cli -p {port} mget a b c d e f\n  redis-cli -p {port} dbsize\n\
         \nThe keys lie on these stores:\n\n{stores}\n\
         The proxy's file is a nutcracker.yml:\n\n{file}\n\
         Ctrl-C stops everything.",
        count = ports.len(),
    )
}
