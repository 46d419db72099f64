//! Replies of servers on their way to the connection that waits for them.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use crate::slowlog::Origin;
use crate::stats::ErrorKind;

/// Where one client connection finds the replies that servers have sent for it.
///
/// All replies lie in one run of bytes, so that a reply costs no allocation.
#[derive(Debug, Default)]
pub struct Mailbox {
    inner: RefCell<Inner>,
    origin: Arc<Origin>,
}

#[derive(Debug, Default)]
struct Inner {
    letters: Vec<Letter>,
    bytes: Vec<u8>,
    owner: Option<Waker>,
    closed: bool,
}

/// A reply in a mailbox.
#[derive(Clone, Copy, Debug)]
pub struct Letter {
    /// The request that it is for.
    pub ticket: u64,
    /// Which part of the request it is for.
    pub part: u32,
    /// Why it is an error, if it is one.
    pub failed: Option<ErrorKind>,
    length: usize,
}

/// The address of one request's reply.
#[derive(Debug)]
pub struct ReplyTo {
    /// The connection that waits.
    pub mailbox: Rc<Mailbox>,
    /// The request's place in its connection's order.
    pub ticket: u64,
    /// Which part of the request it was.
    pub part: u32,
}

impl ReplyTo {
    /// Who waits for the reply.
    pub fn origin(&self) -> &Arc<Origin> {
        &self.mailbox.origin
    }

    /// Puts the reply into the mailbox, and wakes its owner if the mailbox was empty. `failed`: why
    /// it is an error, if it is one.
    pub fn send(self, reply: &[u8], failed: Option<ErrorKind>) {
        let inner = &mut *self.mailbox.inner.borrow_mut();
        if inner.closed {
            return;
        }
        inner.bytes.extend_from_slice(reply);
        let (ticket, part) = (self.ticket, self.part);
        inner.letters.push(Letter {
            ticket,
            part,
            failed,
            length: reply.len(),
        });
        if inner.letters.len() == 1
            && let Some(owner) = &inner.owner
        {
            owner.wake_by_ref();
        }
    }
}

impl Mailbox {
    /// The mailbox of this client.
    pub fn new(origin: Arc<Origin>) -> Mailbox {
        Mailbox {
            inner: RefCell::default(),
            origin,
        }
    }

    /// Whether there is no reply in it.
    pub fn is_empty(&self) -> bool {
        self.inner.borrow().letters.is_empty()
    }

    /// Takes out all replies: `read(letter, reply)`.
    pub fn empty(&self, mut read: impl FnMut(Letter, &[u8])) {
        let inner = &mut *self.inner.borrow_mut();
        let mut rest = inner.bytes.as_slice();
        for letter in inner.letters.drain(..) {
            let (reply, after) = rest.split_at(letter.length);
            read(letter, reply);
            rest = after;
        }
        if inner.bytes.capacity() > crate::limits::IDLE_BUFFER_BYTES {
            inner.bytes = Vec::new();
        } else {
            inner.bytes.clear();
        }
    }

    /// Who is woken when replies come.
    pub fn set_owner(&self, waker: &Waker) {
        self.inner.borrow_mut().owner = Some(waker.clone());
    }

    /// Nobody waits any more: replies are dropped from now on.
    pub fn close(&self) {
        *self.inner.borrow_mut() = Inner {
            closed: true,
            ..Inner::default()
        };
    }
}
