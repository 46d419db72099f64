//! Listeners and workers, from start to stop, and services that come, change and go meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinHandle;

use super::Listener;
use super::worker::{Message, Worker};
use crate::admin::Process;
use crate::deliver::Door;
use crate::log::Complaint;
use crate::socket::Scratch;
use crate::stats::Counters;
use crate::tls::Acceptor;
use crate::web::{self, Site};
use crate::wire::Wire;
use crate::{clock, limits};

/// What is offered on a listener.
pub struct Service {
    /// Its name in the log.
    pub name: String,
    /// The protocol that is spoken there.
    pub speaks: Speaks,
    /// TLS, if it is spoken there.
    pub tls: Option<Acceptor>,
    /// Where it is offered.
    pub listener: Arc<Listener>,
    /// Connections that it may have at a time, if it has a limit of its own.
    pub most_clients: Option<usize>,
    /// Makes what stands behind it, once on each worker.
    pub door: MakeDoor,
}

/// A protocol that clients speak.
#[derive(Clone)]
pub enum Speaks {
    /// One in which commands come as such.
    Wire(Wire),
    /// HTTP, with what it tells of.
    Http(Arc<Site>),
}

impl Speaks {
    /// An error of our own, before a request has come.
    fn error(&self, text: &str) -> String {
        match self {
            Speaks::Wire(wire) => wire.error(text),
            Speaks::Http(_) => web::unavailable(text),
        }
    }
}

/// Makes a door on a worker. Gets the door that stands there already when the service changes.
pub type MakeDoor = Arc<dyn Fn(&Scratch, Option<&Door>) -> Door + Send + Sync>;

/// A service of a server: no other gets the same number as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number(pub(super) u64);

/// What a service counts, whatever it is changed into.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Connections that it has.
    pub clients: AtomicUsize,
    /// Whose turn it is to get the next.
    turn: AtomicUsize,
}

type Sender = UnboundedSender<Message>;

/// All services of a process and the threads that serve them.
pub struct Server {
    process: Arc<Process>,
    workers: Vec<(Sender, thread::JoinHandle<()>)>,
    services: HashMap<Number, (JoinHandle<()>, Arc<Load>)>,
    next: u64,
}

impl Server {
    /// Starts a worker on a thread for each set of counters.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn start(process: Arc<Process>) -> std::io::Result<Server> {
        let start = |(number, counters): (usize, &Arc<Counters>)| {
            let (sender, inbox) = mpsc::unbounded_channel();
            let worker = Worker {
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
            let thread = thread::Builder::new()
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
            process,
            workers,
            services: HashMap::new(),
            next: 0,
        })
    }

    /// Offers a service from now on.
    pub fn open(&mut self, service: Service) -> Number {
        let number = Number(self.next);
        self.next += 1;
        self.offer(number, service, Arc::default());
        number
    }

    /// Puts another service in the place of one. Its connections live on, and their next requests
    /// go through the new door.
    pub fn change(&mut self, number: Number, service: Service) {
        let Some((accepting, load)) = self.services.remove(&number) else {
            return;
        };
        accepting.abort();
        self.offer(number, service, load);
    }

    /// Accepts no more connections for a service. Those that it has are closed once they have got
    /// their replies.
    pub fn close(&mut self, number: Number) {
        let Some((accepting, _)) = self.services.remove(&number) else {
            return;
        };
        accepting.abort();
        self.tell(|| Message::Close(number));
        let process = self.process.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(limits::STOP_MS)).await;
            process.clients.kill_of(number.0);
        });
    }

    /// Renews certificates while the server runs.
    pub fn renewing(&self) -> Renewing {
        Renewing(
            self.workers
                .iter()
                .map(|(sender, _)| sender.downgrade())
                .collect(),
        )
    }

    /// Offers services until `stop` is ready; then answers what is in flight and returns.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        stop.await;
        self.stop().await;
    }

    /// Answers what is in flight and returns.
    pub async fn stop(self) {
        tracing::info!("stopping: answering what is in flight");
        for (accepting, _) in self.services.into_values() {
            accepting.abort();
            // It holds senders, until it is gone.
            let _ = accepting.await;
        }
        let (senders, threads): (Vec<_>, Vec<_>) = self.workers.into_iter().unzip();
        drop(senders);
        self.process.clients.stop();
        let all_left = async {
            while !threads.iter().all(thread::JoinHandle::is_finished) {
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

    fn offer(&mut self, number: Number, service: Service, load: Arc<Load>) {
        self.tell(|| {
            let tls = service.tls.clone();
            let tls = tls.map(|acceptor| (acceptor, service.name.clone()));
            let (door, speaks) = (service.door.clone(), service.speaks.clone());
            Message::Open(number, door, speaks, load.clone(), tls)
        });
        let accepting = Accepting {
            number,
            service,
            load: load.clone(),
            process: self.process.clone(),
            workers: self.workers.iter().map(|(s, _)| s.clone()).collect(),
        };
        let accepting = tokio::spawn(accepting.run());
        self.services.insert(number, (accepting, load));
    }

    fn tell(&self, message: impl Fn() -> Message) {
        for (worker, _) in &self.workers {
            // A worker that is gone has stopped the process already.
            let _ = worker.send(message());
        }
    }
}

/// Gives services other certificates while their connections live on. It does not keep the server
/// alive.
pub struct Renewing(Vec<mpsc::WeakUnboundedSender<Message>>);

impl Renewing {
    /// From now on clients of a service are shown these.
    pub fn renew(&self, number: Number, acceptor: Acceptor, name: &str) {
        for worker in self.0.iter().filter_map(mpsc::WeakUnboundedSender::upgrade) {
            // A worker that is gone has stopped the process already.
            let _ = worker.send(Message::Renew(number, acceptor.clone(), name.into()));
        }
    }
}

/// Accepts the connections to a service and hands them to the workers in turn, so that no worker
/// has two more than another.
struct Accepting {
    number: Number,
    service: Service,
    load: Arc<Load>,
    process: Arc<Process>,
    workers: Vec<Sender>,
}

impl Accepting {
    /// May be dropped wherever it waits: no connection is lost by that.
    async fn run(self) {
        let Service { listener, name, .. } = &self.service;
        let mut complaint = Complaint::default();
        loop {
            match listener.accept().await {
                Ok(accepted) if self.is_full() => {
                    Counters::add(&self.process.refused, 1);
                    // Before the handshake nothing can be said in words.
                    if self.service.tls.is_none() {
                        let text = self.service.speaks.error("max number of clients reached");
                        accepted.refuse(&text);
                    }
                    if let Some(more) = complaint.tell(clock::now(), limits::FULL_COMPLAINT_MS) {
                        let service = name;
                        tracing::warn!(%service, "too many connections: one was closed{more}");
                    }
                }
                Ok(accepted) => {
                    // Of a pool the file says it.
                    if self.process.role == "serve" {
                        accepted.probe_after(self.process.settings.keepalive());
                    }
                    let turn = self.load.turn.fetch_add(1, Relaxed) + self.number.0 as usize;
                    self.load.clients.fetch_add(1, Relaxed);
                    let worker = &self.workers[turn % self.workers.len()];
                    // A worker that is gone has stopped the process already.
                    let _ = worker.send(Message::Take(self.number, accepted));
                }
                Err(error) => {
                    tracing::warn!(service = %name, "cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await;
                }
            }
        }
    }

    fn is_full(&self) -> bool {
        let count = self.load.clients.load(Relaxed);
        let of_its_own = self.service.most_clients.is_some_and(|most| count >= most);
        of_its_own || self.process.clients.is_full()
    }
}
