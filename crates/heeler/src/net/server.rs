//! Listeners and workers, from start to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinSet;

use super::worker::Worker;
use super::{Accepted, Listener};
use crate::admin::Process;
use crate::deliver::Door;
use crate::limits;
use crate::socket::Scratch;
use crate::stats::Counters;
use crate::wire::Wire;

/// What is offered on a listener.
pub struct Service {
    /// Its name in the log.
    pub name: String,
    /// The protocol that is spoken there.
    pub wire: Wire,
    /// Where it is offered.
    pub listener: Listener,
    /// Connections that it may have at a time, if it has a limit of its own.
    pub most_clients: Option<usize>,
    /// Connections that it has.
    pub clients: AtomicUsize,
    /// Makes what stands behind it, once on each worker.
    pub door: Box<dyn Fn(&Scratch) -> Door + Send + Sync>,
}

impl Service {
    fn is_full(&self) -> bool {
        let count = self.clients.load(Relaxed);
        self.most_clients.is_some_and(|most| count >= most)
    }
}

/// Hands a worker a connection to the service of this number.
type Sender = UnboundedSender<(usize, Accepted)>;

/// All services of a process and the threads that serve them.
pub struct Server {
    services: Arc<Vec<Service>>,
    process: Arc<Process>,
    workers: Vec<(Sender, JoinHandle<()>)>,
}

impl Server {
    /// Starts a worker on each of so many threads.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn start(services: Vec<Service>, process: Arc<Process>) -> std::io::Result<Server> {
        let services = Arc::new(services);
        let start = |(number, counters): (usize, &Arc<Counters>)| {
            let (sender, inbox) = mpsc::unbounded_channel();
            let worker = Worker {
                services: services.clone(),
                process: process.clone(),
                counters: counters.clone(),
                inbox,
            };
            let run = move || {
                if let Err(error) = worker.run() {
                    tracing::error!("a worker cannot run: {error}");
                    std::process::exit(1);
                }
            };
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(run)?;
            Ok((sender, thread))
        };
        let workers = process
            .counters
            .iter()
            .enumerate()
            .map(start)
            .collect::<std::io::Result<_>>()?;
        Ok(Server {
            services,
            process,
            workers,
        })
    }

    /// Accepts connections until `stop` is ready; then answers what is in flight and returns.
    /// Connections go to the workers in turn, so that no worker has two more than another.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut accepting = JoinSet::new();
        let senders: Vec<_> = self
            .workers
            .iter()
            .map(|(sender, _)| sender.clone())
            .collect();
        for number in 0..self.services.len() {
            let (services, process) = (self.services.clone(), self.process.clone());
            accepting.spawn(accept(number, services, process, senders.clone()));
        }
        stop.await;
        tracing::info!("stopping: answering what is in flight");
        accepting.shutdown().await;
        drop(senders);
        let (senders, threads): (Vec<_>, Vec<_>) = self.workers.into_iter().unzip();
        drop(senders);
        self.process.clients.stop();
        let all_left = async {
            while !threads.iter().all(JoinHandle::is_finished) {
                tokio::time::sleep(Duration::from_millis(10)).await;
                // A connection that was on its way to its worker hears of the stop here.
                self.process.clients.stop();
            }
        };
        let patience = Duration::from_millis(limits::STOP_MS);
        if tokio::time::timeout(patience, all_left).await.is_err() {
            tracing::warn!("some clients did not take their replies; closing their connections");
        }
    }
}

async fn accept(
    number: usize,
    services: Arc<Vec<Service>>,
    process: Arc<Process>,
    workers: Vec<Sender>,
) {
    let service = &services[number];
    let Service { listener, name, .. } = service;
    let mut turn = number;
    loop {
        match listener.accept().await {
            Ok(accepted) if process.clients.is_full() || service.is_full() => {
                accepted.refuse(&service.wire.error("max number of clients reached"));
                Counters::add(&process.refused, 1);
                tracing::warn!(service = %name, "too many connections: one was closed");
            }
            Ok(accepted) => {
                turn += 1;
                service.clients.fetch_add(1, Relaxed);
                // A worker that is gone has stopped the process already.
                let _ = workers[turn % workers.len()].send((number, accepted));
            }
            Err(error) => {
                tracing::warn!(service = %name, "cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}
