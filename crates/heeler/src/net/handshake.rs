//! The TLS handshake of a client that has connected.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::worker::Entrance;
use crate::admin::Client;
use crate::log::Complaint;
use crate::socket::Stream;
use crate::tls::{self, Acceptor};
use crate::{clock, limits};

/// How the clients of a service shake hands, on one worker.
#[derive(Clone)]
pub(super) struct Handshake {
    acceptor: Acceptor,
    complaints: Rc<Complaints>,
}

impl Handshake {
    /// With these certificates, for the service of this name.
    pub fn new(acceptor: Acceptor, service: String) -> Handshake {
        let complaints = Rc::new(Complaints {
            service,
            told: Cell::default(),
        });
        Handshake {
            acceptor,
            complaints,
        }
    }

    /// Shakes hands. `None` where that fails, which is logged and counted, and where the process
    /// stops meanwhile.
    pub async fn shake(
        &self,
        stream: Stream,
        client: &Client,
        entrance: &Entrance,
    ) -> Option<Stream> {
        let stopped = poll_fn(|cx| {
            client.set_task(cx.waker());
            match client.is_stopped() || client.is_killed() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        let patience = Duration::from_millis(limits::TLS_HANDSHAKE_MS);
        let shaking = tokio::time::timeout(patience, self.acceptor.accept(stream));
        let shaken = tokio::select! {
            shaken = shaking => shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            () = stopped => return None,
        };
        let error = match shaken {
            Ok(stream) => {
                entrance.door().shook_hands(true);
                return Some(stream);
            }
            Err(error) => error,
        };
        if error.kind() == io::ErrorKind::UnexpectedEof {
            // As those do who only look whether the port is open.
            tracing::debug!(client = %client.origin.address(), "left without a TLS handshake");
            return None;
        }
        entrance.door().shook_hands(false);
        self.complaints.tell(client, &error);
        None
    }
}

/// Tells of handshakes that fail, but not of every one of them.
struct Complaints {
    service: String,
    told: Cell<Complaint>,
}

impl Complaints {
    fn tell(&self, client: &Client, error: &io::Error) {
        let mut told = self.told.get();
        let more = told.tell(clock::now(), limits::TLS_COMPLAINT_MS);
        self.told.set(told);
        let Some(more) = more else {
            return;
        };
        let reason = match tls::reason(error) {
            Some(reason) => reason,
            None if error.kind() == io::ErrorKind::TimedOut => {
                format!("not done within {} ms", limits::TLS_HANDSHAKE_MS)
            }
            None => error.to_string(),
        };
        let (service, client) = (&self.service, client.origin.address());
        tracing::warn!(%service, %client, "TLS handshake failed: {reason}{more}");
    }
}
