//! Who may be connected to the admin port at a time, and who goes when too many are.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::AbortHandle;

use crate::log::Complaint;
use crate::{clock, limits};

/// How a connection gets on.
#[derive(Debug)]
pub struct Place {
    from: SocketAddr,
    /// When a byte came or went last, in [`clock::ticks`].
    moved: AtomicU64,
    /// Requests whose answers are being made.
    answering: AtomicUsize,
}

impl Place {
    /// That of a connection which has just come.
    pub fn new(from: SocketAddr) -> Place {
        Place {
            from,
            moved: AtomicU64::new(clock::ticks()),
            answering: AtomicUsize::new(0),
        }
    }

    /// Notes that an answer is being made, until the note is dropped.
    pub fn answering(self: &Arc<Place>) -> Answering {
        self.answering.fetch_add(1, Relaxed);
        Answering(self.clone())
    }

    /// What goes first has the least: who waits for an answer is not the one that is silent.
    fn rank(&self) -> (bool, u64) {
        (self.answering.load(Relaxed) > 0, self.moved.load(Relaxed))
    }
}

/// An answer is being made.
pub struct Answering(Arc<Place>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.fetch_sub(1, Relaxed);
    }
}

/// The connections, in the order in which they came.
#[derive(Debug, Default)]
pub struct Places {
    taken: Vec<(Arc<Place>, AbortHandle)>,
    /// That places have run out, in [`clock::ticks`].
    told: Complaint,
}

impl Places {
    /// Sees to it that there is a place: if all are taken, who was silent longest is closed.
    pub fn make_room(&mut self) {
        self.taken.retain(|(_, task)| !task.is_finished());
        if self.taken.len() < limits::ADMIN_CLIENTS {
            return;
        }
        let ranks = self.taken.iter().map(|(place, _)| place.rank());
        if let Some(i) = first_to_go(ranks) {
            let (place, task) = self.taken.remove(i);
            task.abort();
            self.complain(place.from, clock::ticks());
        }
    }

    /// A connection that is served by this task has taken a place.
    pub fn take(&mut self, place: Arc<Place>, task: AbortHandle) {
        self.taken.push((place, task));
    }

    fn complain(&mut self, from: SocketAddr, now: u64) {
        let Some(more) = self.told.tell(now, limits::ADMIN_COMPLAINT_MS * 1000) else {
            return;
        };
        let most = limits::ADMIN_CLIENTS;
        tracing::warn!(
            client = %from,
            "admin port: all {most} places were taken: closed the connection that was silent \
             longest{more}"
        );
    }
}

fn first_to_go<R: Ord>(ranks: impl Iterator<Item = R>) -> Option<usize> {
    let first = ranks.enumerate().min_by(|(_, a), (_, b)| a.cmp(b));
    first.map(|(i, _)| i)
}

/// A connection that notes when a byte comes or goes.
pub struct Guest<S> {
    stream: S,
    place: Arc<Place>,
}

impl<S> Guest<S> {
    /// Of this stream, in this place.
    pub fn new(stream: S, place: Arc<Place>) -> Guest<S> {
        Guest { stream, place }
    }

    fn moved(&self) {
        self.place.moved.store(clock::ticks(), Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guest<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            this.moved();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guest<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(1..)) = written {
            this.moved();
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_silent_longest_goes_and_who_waits_for_an_answer_last() {
        let ranks = [(true, 1), (false, 9), (false, 5), (false, 5)];
        assert_eq!(first_to_go(ranks.into_iter()), Some(2));
        assert_eq!(first_to_go([(true, 7), (true, 3)].into_iter()), Some(1));
        assert_eq!(first_to_go([(true, 7); 0].into_iter()), None);
        let place = Arc::new(Place::new(([127, 0, 0, 1], 1).into()));
        let note = place.answering();
        assert!(place.rank().0);
        drop(note);
        assert!(!place.rank().0);
    }
}
