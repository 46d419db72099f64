//! Commands of one connection, and the replies to them: from request to command and back.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::login::Login;
use crate::admin::Client;
use crate::command::{Arg, Command, Id};
use crate::deliver::{Alarm, Caller, Door};
use crate::wire::resp::{Scanner, encode_with_places};
use crate::{clock, limits};

/// Where the door of this worker is found.
pub type FindDoor = Rc<dyn Fn() -> Rc<Door>>;

/// Hands commands in at the door, and hears the replies in their order.
pub struct Conversation {
    door: FindDoor,
    client: Arc<Client>,
    caller: Caller,
    /// The latest command, as a request in RESP: so it can be forwarded as it is.
    request: Vec<u8>,
    args: Vec<Arg>,
    /// Finds the end of the reply at hand.
    scanner: Scanner,
    /// How many bytes it has; it is dropped before the next is heard.
    length: usize,
    alarm: Alarm,
    /// The header `Authorization` with which the client has logged in.
    proven: Option<Box<[u8]>>,
}

impl Conversation {
    /// Of a client.
    pub fn new(door: FindDoor, client: Arc<Client>) -> Conversation {
        let caller = Caller::new(client.id, client.origin.clone());
        door().enter();
        Conversation {
            door,
            client,
            caller,
            request: Vec::new(),
            args: Vec::new(),
            scanner: Scanner::default(),
            length: 0,
            alarm: Alarm::default(),
            proven: None,
        }
    }

    /// Another one of the same client, who need not log in again.
    pub fn fork(&self, door: FindDoor) -> Conversation {
        let mut other = Conversation::new(door, self.client.clone());
        other.caller.session.authenticated = self.caller.session.authenticated;
        other.proven = self.proven.clone();
        other
    }

    /// A request begins, with this header `Authorization`: what another one has proven does not
    /// count for it.
    pub fn begin(&mut self, authorization: Option<&[u8]>) {
        if self.proven.as_deref() != authorization {
            self.proven = None;
            self.caller.session.authenticated = false;
        }
    }

    /// Logs in with the header `Authorization`; whether that was right.
    pub async fn log_in(&mut self, authorization: &[u8]) -> bool {
        let Some(login) = Login::read(authorization) else {
            return false;
        };
        match &login.user {
            Some(user) => self.say(Id::Auth, &[b"AUTH", user, &login.password]).await,
            None => self.say(Id::Auth, &[b"AUTH", &login.password]).await,
        }
        let is_right = self.hear().await == b"+OK\r\n";
        if is_right {
            self.proven = Some(authorization.into());
        }
        is_right
    }

    /// The request is answered: an idle conversation keeps no large buffers.
    pub fn end(&mut self) {
        let heard = std::mem::take(&mut self.length);
        self.caller.session.pipeline.written(heard);
    }

    /// Hands in a command: the first word is its name.
    pub async fn say(&mut self, id: Id, words: &[&[u8]]) {
        // A command that has to wait knows whom to wake from its beginning.
        poll_fn(|cx| {
            self.tell_task(cx);
            Poll::Ready(())
        })
        .await;
        self.request.clear();
        self.args.clear();
        encode_with_places(words, &mut self.request, &mut self.args);
        let (clock::Moment { now, ticks }, door) = (clock::moment(), (self.door)());
        let command = Command::new(id.spec(), &self.request, &self.args);
        door.begin(&mut self.caller, ticks);
        door.command(now, &mut self.caller, &command);
        door.end(now, &mut self.caller, &self.request);
        self.client.requested(now, 1);
        if self.request.capacity() > limits::RESERVE_BYTES {
            self.request = Vec::new();
        }
    }

    /// Whether replies should be heard before more is said.
    pub fn is_full(&self) -> bool {
        self.caller.session.pipeline.is_full() || self.caller.is_blocked()
    }

    /// Whether all replies have been heard.
    pub fn is_settled(&self) -> bool {
        let pipeline = &self.caller.session.pipeline;
        pipeline.waiting() == 0 && pipeline.out().is_empty() && !self.caller.is_blocked()
    }

    /// The next reply that has not been heard, in RESP2: there is one for each command.
    pub async fn hear(&mut self) -> &[u8] {
        let heard = std::mem::take(&mut self.length);
        self.caller.session.pipeline.written(heard);
        self.length = poll_fn(|cx| self.poll_reply(cx)).await;
        self.reply()
    }

    /// The reply that was heard last, once more.
    pub fn reply(&self) -> &[u8] {
        let out = self.caller.session.pipeline.out();
        &out[..self.length.min(out.len())]
    }

    /// The length of the next reply.
    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        loop {
            let out = self.caller.session.pipeline.out();
            // Its own replies cannot be faulty.
            if let Ok(Some(length)) = self.scanner.scan(out) {
                if self.caller.session.pipeline.has_answered() {
                    (self.door)().leaves(&mut self.caller);
                }
                return Poll::Ready(length);
            }
            self.tell_task(cx);
            let before = self.caller.session.pipeline.out().len();
            if !self.caller.mailbox.is_empty() {
                (self.door)().collect(&mut self.caller);
            }
            if self.caller.is_blocked() {
                let door = (self.door)();
                ready!(self.alarm.poll_go_on(&door, &mut self.caller, cx));
                continue;
            }
            if self.caller.session.pipeline.out().len() == before {
                return Poll::Pending;
            }
        }
    }

    /// Those who may have to wake this task learn of it.
    fn tell_task(&mut self, cx: &Context<'_>) {
        if !self.caller.task.will_wake(cx.waker()) {
            self.caller.mailbox.set_owner(cx.waker());
            self.caller.task = cx.waker().clone();
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        (self.door)().leave(&mut self.caller, true);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::task::{Wake, Waker};

    use super::*;
    use crate::admin::Process;
    use crate::deliver::Behind;
    use crate::session::{Access, Databases, Greeting};
    use crate::store::Store;
    use crate::wire::resp::Protocol;

    fn conversation(door: &Rc<Door>, process: &Process) -> Conversation {
        let address = || "127.0.0.1:1".to_owned();
        let client = process
            .clients
            .join(0, address(), address(), -1, Arc::default());
        let door = door.clone();
        Conversation::new(Rc::new(move || door.clone()), client)
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }

    #[test]
    fn the_first_command_of_a_connection_is_woken_if_it_has_to_wait() {
        let store = Arc::new(Store::new(1));
        let process = Arc::new(Process::new("test", 1, 10, 1));
        let greeting = Greeting {
            version: "7.0.0",
            newest: Protocol::Resp2,
            access: Access::Store(Arc::default()),
            databases: Databases::Upto(1),
        };
        let door = Door::new(Behind::Node(store), process.clone(), greeting, 1);
        let door = Rc::new(door);
        let mut waits = conversation(&door, &process);
        let mut gives = conversation(&door, &process);
        let mut popped = pin!(async {
            waits.say(Id::Blpop, &[b"BLPOP", b"list", b"0"]).await;
            waits.hear().await.to_vec()
        });
        let pushed = pin!(async {
            gives.say(Id::Rpush, &[b"RPUSH", b"list", b"a"]).await;
            gives.hear().await.to_vec()
        });
        let woken = Arc::new(Woken::default());
        let task = Waker::from(woken.clone());
        let mut cx = Context::from_waker(&task);
        assert!(popped.as_mut().poll(&mut cx).is_pending());
        assert!(!woken.0.load(Relaxed));
        let nobody = &mut Context::from_waker(Waker::noop());
        assert_eq!(pushed.poll(nobody), Poll::Ready(b":1\r\n".to_vec()));
        assert!(woken.0.load(Relaxed));
        let reply = b"*2\r\n$4\r\nlist\r\n$1\r\na\r\n";
        assert_eq!(popped.poll(&mut cx), Poll::Ready(reply.to_vec()));
    }
}
