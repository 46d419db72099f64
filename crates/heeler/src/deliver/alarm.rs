//! Sees a command that waits to its end, in the task of its connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;

use super::{Caller, Door};
use crate::clock;

/// Wakes a connection's task when its command that waits gives up.
#[derive(Debug, Default)]
pub struct Alarm {
    /// The time for which it is set, in milliseconds since 1970.
    set: Option<(u64, Pin<Box<Sleep>>)>,
}

impl Alarm {
    /// Goes on with the command that waits. Ready once none does; until then whoever may end that
    /// wakes the caller's task.
    pub fn poll_go_on(
        &mut self,
        door: &Door,
        caller: &mut Caller,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            door.go_on(clock::now(), caller);
            if !caller.is_blocked() {
                self.set = None;
                return Poll::Ready(());
            }
            let Some(at) = caller.wakes_at() else {
                return Poll::Pending;
            };
            ready!(self.poll_until(at, cx));
        }
    }

    /// Ready once this time has come.
    fn poll_until(&mut self, at: u64, cx: &mut Context<'_>) -> Poll<()> {
        if self.set.as_ref().is_none_or(|(set, _)| *set != at) {
            let left = Duration::from_millis(at.saturating_sub(clock::now()).max(1));
            self.set = Some((at, Box::pin(tokio::time::sleep(left))));
        }
        if let Some((_, sleep)) = &mut self.set {
            ready!(sleep.as_mut().poll(cx));
        }
        self.set = None;
        Poll::Ready(())
    }
}
