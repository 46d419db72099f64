//! What the log says of connections: those of a proxy lead to servers, those of a ring to nodes.

use super::Seat;

/// What has happened to a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'a> {
    /// It could not be opened, or has ended.
    Lost {
        /// How many requests got an error for that, and, before it was tried again, for the failure
        /// before.
        failed: usize,
        /// Why.
        reason: &'a str,
    },
    /// Nobody waited for a reply when the other side closed it.
    Closed,
    /// It could not be opened once more.
    StillAway(&'a str),
    /// It is used again.
    Back,
    /// Requests have waited for so many milliseconds.
    TimedOut(usize, u64),
}

impl Seat {
    /// Logs it.
    pub(super) fn log(&self, event: Event<'_>) {
        let (pool, server) = self.names();
        match self.settings.calls {
            None => log_of_server(pool, server, event),
            Some(_) => log_of_node(server, event),
        }
    }
}

fn log_of_server(pool: &str, server: &str, event: Event<'_>) {
    match event {
        Event::Lost { failed, reason } => {
            let failed = some(failed);
            tracing::warn!(
                pool,
                server,
                failed,
                "lost a connection to a server: {reason}"
            );
        }
        Event::Closed => tracing::info!(pool, server, "the server closed an idle connection"),
        Event::StillAway(reason) => {
            tracing::debug!(pool, server, "the server is still away: {reason}");
        }
        Event::Back => tracing::info!(pool, server, "connected to the server again"),
        Event::TimedOut(expired, timeout) => tracing::warn!(
            pool,
            server,
            expired,
            "requests timed out after {timeout} ms"
        ),
    }
}

fn log_of_node(node: &str, event: Event<'_>) {
    match event {
        Event::Lost { failed, reason } => {
            let failed = some(failed);
            tracing::warn!(node, failed, "lost a connection to a node: {reason}");
        }
        Event::Closed => tracing::info!(node, "the node closed an idle connection"),
        Event::StillAway(reason) => tracing::debug!(node, "the node is still away: {reason}"),
        Event::Back => tracing::info!(node, "connected to the node again"),
        Event::TimedOut(expired, timeout) => tracing::warn!(
            node,
            expired,
            "requests to the node timed out after {timeout} ms"
        ),
    }
}

/// A number that is left out where it is 0: requests that timed out before have been told of.
fn some(count: usize) -> Option<usize> {
    (count > 0).then_some(count)
}
