//! Replies of servers on their way to the connection that waits for them.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Waker;

/// Where one client connection finds the replies that servers have sent for it.
///
/// All replies lie in one run of bytes, so that a reply costs no allocation.
#[derive(Debug, Default)]
pub struct Mailbox {
    inner: RefCell<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    letters: Vec<Letter>,
    bytes: Vec<u8>,
    owner: Option<Waker>,
    closed: bool,
}

/// For which request a reply is, and how long it is.
#[derive(Clone, Copy, Debug)]
struct Letter {
    ticket: u64,
    part: u32,
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
    /// Puts the reply into the mailbox, and wakes its owner if the mailbox was empty.
    pub fn send(self, reply: &[u8]) {
        let inner = &mut *self.mailbox.inner.borrow_mut();
        if inner.closed {
            return;
        }
        inner.bytes.extend_from_slice(reply);
        let (ticket, part) = (self.ticket, self.part);
        inner.letters.push(Letter {
            ticket,
            part,
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
    /// Takes out all replies: `read(ticket, part, reply)`.
    pub fn empty(&self, mut read: impl FnMut(u64, u32, &[u8])) {
        let inner = &mut *self.inner.borrow_mut();
        let mut rest = inner.bytes.as_slice();
        for letter in inner.letters.drain(..) {
            let (reply, after) = rest.split_at(letter.length);
            read(letter.ticket, letter.part, reply);
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
