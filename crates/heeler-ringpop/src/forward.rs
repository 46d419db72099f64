//! Requests for keys of others, sent to their owners.
//!
//! A request goes one hop and no further: it carries the transport header `heeler-hop`, and a
//! member that gets such a request for a key that it does not own declines it, so that the sender
//! looks the owner up again. (ringpop-node passes it on instead, until its time is up.) Ringpop's
//! own members do not know the header, and pay no heed to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use heeler_tchannel::{ErrorCode, Failure, Headers, Origin, Request, Response};

use crate::ringpop::Ringpop;

/// The transport header of a request that has been forwarded.
const HOP: &str = "heeler-hop";

/// How requests are forwarded.
#[derive(Clone, Debug, PartialEq)]
pub struct Forwarding {
    /// Time for an answer, of each attempt.
    pub timeout: Duration,
    /// Pauses before the second attempt and those after it. Before each the owner is looked up
    /// anew.
    pub retries: Arc<[Duration]>,
    /// Try again also where the owner may have done what was asked: after a timeout, or when the
    /// connection broke. Right if doing it twice is doing it once.
    pub retry_unknown: bool,
    /// When the caller stops waiting: no attempt lasts longer.
    pub deadline: Option<Instant>,
}

impl Default for Forwarding {
    /// Three seconds an attempt, as ringpop-go has it, and three more attempts: at once, after 200
    /// milliseconds, after a second. Ringpop's pauses are of seconds.
    fn default() -> Forwarding {
        Forwarding {
            timeout: Duration::from_secs(3),
            retries: [0, 200, 1000].map(Duration::from_millis).into(),
            retry_unknown: false,
            deadline: None,
        }
    }
}

impl Forwarding {
    /// The same for a caller that stops waiting then.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Forwarding {
        Forwarding {
            deadline: Some(deadline),
            ..self.clone()
        }
    }

    fn time_left(&self) -> Duration {
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        let left = self.deadline.map_or(self.timeout, left);
        left.min(self.timeout)
    }

    fn tries_again(&self, failure: &Failure) -> bool {
        match (failure.code, failure.origin) {
            // The owner has not begun: it is somebody else's, it is busy, it is about to end.
            (ErrorCode::Declined | ErrorCode::Busy, _) => true,
            (ErrorCode::Network | ErrorCode::Unhealthy, Origin::Here) => true,
            (ErrorCode::Timeout | ErrorCode::Network | ErrorCode::Unhealthy, _) => {
                self.retry_unknown
            }
            _ => false,
        }
    }
}

/// Where a request has been handled.
#[derive(Debug)]
pub enum Handled {
    /// Nowhere yet: it is this member's.
    Here(Request),
    /// By its owner.
    There {
        /// The owner.
        owner: Arc<str>,
        /// Its answer, which may be an error of the application.
        response: Response,
    },
}

/// The keys of one owner, out of many.
#[derive(Debug)]
pub struct Part<K> {
    /// They.
    pub keys: Vec<K>,
    /// What came of their request.
    pub result: Result<Handled, ForwardError>,
}

/// Why a request was not handled.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// It has been forwarded to this member, which does not own the key.
    #[error("{me} does not own the key, {owner} does")]
    Moved {
        /// This member.
        me: Arc<str>,
        /// The owner as this member sees it.
        owner: Arc<str>,
    },
    /// The owner did not answer.
    #[error("{owner} did not answer, at attempt {attempts}: {failure}")]
    Failed {
        /// The owner.
        owner: Arc<str>,
        /// How many attempts were made.
        attempts: usize,
        /// The last failure.
        failure: Failure,
    },
}

impl ForwardError {
    /// What the caller is to be told.
    pub fn to_failure(&self) -> Failure {
        let code = match self {
            ForwardError::Moved { .. } => ErrorCode::Declined,
            ForwardError::Failed { failure, .. } => failure.code,
        };
        Failure::here(code, self.to_string())
    }
}

impl Ringpop {
    /// Forwards a request to the owner of a key, unless this member is the owner.
    ///
    /// # Errors
    /// The owner cannot be reached, or a forwarded request has come to the wrong member.
    pub async fn handle_or_forward(
        &self,
        key: impl AsRef<[u8]>,
        request: Request,
    ) -> Result<Handled, ForwardError> {
        let forwarding = &self.inner.forwarding;
        self.handle_or_forward_with(key, request, forwarding).await
    }

    /// [`handle_or_forward`](Ringpop::handle_or_forward), in another way than usual.
    ///
    /// # Errors
    /// As there.
    pub async fn handle_or_forward_with(
        &self,
        key: impl AsRef<[u8]>,
        mut request: Request,
        how: &Forwarding,
    ) -> Result<Handled, ForwardError> {
        let mut owner = self.lookup(&key);
        if *owner == *self.whoami() {
            return Ok(Handled::Here(request));
        }
        self.mark(&mut request, &owner)?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let failure = match self.send(&owner, &request, how).await {
                Ok(response) => return Ok(Handled::There { owner, response }),
                Err(failure) => failure,
            };
            if !self.pause(attempts, how, &failure).await {
                return Err(ForwardError::Failed {
                    owner,
                    attempts,
                    failure,
                });
            }
            owner = self.lookup(&key);
            if *owner == *self.whoami() {
                self.inner
                    .statistics
                    .count("requestProxy.retry.reroute.local", 1);
                unmark(&mut request);
                return Ok(Handled::Here(request));
            }
        }
    }

    /// Groups keys by their owners, and forwards one request for each group, all at the same time.
    /// `request` makes the request for some of the keys. Where owners change on the way, a group is
    /// parted again.
    pub async fn handle_or_forward_all<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        request: impl Fn(&[K]) -> Request,
    ) -> Vec<Part<K>> {
        let how = &self.inner.forwarding;
        let mut parts = Vec::new();
        let mut under_way: FuturesUnordered<_> = self
            .group(keys)
            .into_iter()
            .map(|(owner, keys)| self.try_part(owner, keys, 0, &request, how))
            .collect();
        while let Some(tried) = under_way.next().await {
            match tried {
                Tried::Over(part) => parts.push(part),
                Tried::Again(keys, attempts) => under_way.extend(
                    self.group(keys)
                        .into_iter()
                        .map(|(owner, keys)| self.try_part(owner, keys, attempts, &request, how)),
                ),
            }
        }
        parts
    }

    async fn try_part<K: AsRef<[u8]>>(
        &self,
        owner: Arc<str>,
        keys: Vec<K>,
        attempts: usize,
        request: impl Fn(&[K]) -> Request,
        how: &Forwarding,
    ) -> Tried<K> {
        let mut request = request(&keys);
        if *owner == *self.whoami() {
            let result = Ok(Handled::Here(request));
            return Tried::Over(Part { keys, result });
        }
        let result = match self.mark(&mut request, &owner) {
            Ok(()) => self.send(&owner, &request, how).await,
            Err(error) => {
                let result = Err(error);
                return Tried::Over(Part { keys, result });
            }
        };
        let attempts = attempts + 1;
        let result = match result {
            Ok(response) => Ok(Handled::There { owner, response }),
            Err(failure) => {
                if self.pause(attempts, how, &failure).await {
                    return Tried::Again(keys, attempts);
                }
                Err(ForwardError::Failed {
                    owner,
                    attempts,
                    failure,
                })
            }
        };
        Tried::Over(Part { keys, result })
    }

    /// The keys of each owner.
    fn group<K: AsRef<[u8]>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> BTreeMap<Arc<str>, Vec<K>> {
        let ring = self.ring();
        let mut groups = BTreeMap::new();
        for key in keys {
            let owner = ring.lookup_index(key.as_ref());
            let owner = owner.map_or(&self.inner.address, |owner| {
                ring.members()[owner].shared_address()
            });
            let group: &mut Vec<K> = groups.entry(owner.clone()).or_default();
            group.push(key);
        }
        groups
    }

    /// Says that the request has been forwarded, unless it has been before.
    fn mark(&self, request: &mut Request, owner: &Arc<str>) -> Result<(), ForwardError> {
        if request.headers.get(HOP).is_some() {
            let me = self.inner.address.clone();
            let owner = owner.clone();
            return Err(ForwardError::Moved { me, owner });
        }
        let marked = request
            .headers
            .iter()
            .chain([(HOP.as_bytes(), b"1".as_slice())]);
        match Headers::new(marked) {
            Ok(headers) => request.headers = headers,
            // It has as many headers as there may be.
            Err(error) => tracing::warn!("a request cannot be marked as forwarded: {error}"),
        }
        Ok(())
    }

    /// One attempt.
    async fn send(
        &self,
        owner: &str,
        request: &Request,
        how: &Forwarding,
    ) -> Result<Response, Failure> {
        let statistics = &self.inner.statistics;
        statistics.count("requestProxy.egress", 1);
        let result = self
            .inner
            .channel
            .call(owner, request.clone(), how.time_left())
            .await;
        let name = match result {
            Ok(_) => "requestProxy.send.success",
            Err(_) => "requestProxy.send.error",
        };
        statistics.count(name, 1);
        result
    }

    /// Waits for the attempt after so many. False if there is none.
    async fn pause(&self, attempts: usize, how: &Forwarding, failure: &Failure) -> bool {
        let statistics = &self.inner.statistics;
        let pause = how.retries.get(attempts - 1);
        let pause = pause.filter(|_| how.tries_again(failure));
        let Some(&pause) = pause.filter(|&&pause| pause < how.time_left()) else {
            statistics.count("requestProxy.retry.failed", 1);
            return false;
        };
        statistics.count("requestProxy.retry.attempted", 1);
        tokio::time::sleep(pause).await;
        true
    }
}

enum Tried<K> {
    Over(Part<K>),
    Again(Vec<K>, usize),
}

fn unmark(request: &mut Request) {
    let others = request
        .headers
        .iter()
        .filter(|(key, _)| *key != HOP.as_bytes());
    if let Ok(headers) = Headers::new(others) {
        request.headers = headers;
    }
}
