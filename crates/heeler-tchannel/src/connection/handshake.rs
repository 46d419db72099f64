//! The handshake: each side says who it is, the dialler first.

use super::{CloseReason, Connection, Event, Output, Role, State};
use crate::frame::{Body, ErrorCode, Frame, Init, NO_ID, Pairs};

const VERSION: u16 = 2;

/// What we say about ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity(Pairs);

impl Identity {
    /// `host_port` is the address where we can be called, in the form in which the others know it
    /// (tchannel-node takes only `IPv4:port`); `0.0.0.0:0` if we do not listen. `process_name` is
    /// for people.
    ///
    /// Longer texts are cut after 1024 bytes.
    pub fn new(host_port: &str, process_name: &str) -> Self {
        let cut = |text: &str| text[..text.floor_char_boundary(1024)].to_owned();
        Identity(Pairs::new([
            ("host_port", cut(host_port).as_str()),
            ("process_name", cut(process_name).as_str()),
            ("tchannel_language", "rust"),
            ("tchannel_language_version", env!("CARGO_PKG_RUST_VERSION")),
            ("tchannel_version", env!("CARGO_PKG_VERSION")),
        ]))
    }
}

/// What the peer says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Where it can be called; see [`Peer::is_ephemeral`].
    pub host_port: String,
    /// Its process, for people.
    pub process_name: String,
    /// The language of its implementation: `node`, `go`, `python`, `java`, `rust`; may be empty.
    pub language: String,
    /// The version of the language; may be empty.
    pub language_version: String,
    /// The version of its implementation; may be empty.
    pub version: String,
}

impl Peer {
    /// Whether it does not listen: then it is known by its socket's address alone.
    pub fn is_ephemeral(&self) -> bool {
        self.host_port == "0.0.0.0:0"
    }

    fn new(init: &Init) -> Option<Self> {
        let text = |key| init.headers.get(key).unwrap_or_default().to_owned();
        let host_port = text("host_port");
        let (host, port) = host_port.rsplit_once(':')?;
        (!host.is_empty() && port.parse::<u16>().is_ok()).then(|| Peer {
            process_name: text("process_name"),
            language: text("tchannel_language"),
            language_version: text("tchannel_language_version"),
            version: text("tchannel_version"),
            host_port: host_port.clone(),
        })
    }
}

impl Connection {
    pub(super) fn send_init_req(&mut self, out: &mut Output) {
        let id = self.next_id();
        let body = Body::InitReq(self.init());
        self.send(Frame { id, body }, out);
    }

    /// What it says of itself.
    fn init(&self) -> Init {
        Init {
            version: VERSION,
            headers: self.identity.0.clone(),
        }
    }

    /// Takes the first frame.
    pub(super) fn shake_hands(&mut self, frame: Frame, out: &mut Output) {
        match (self.role, frame.body) {
            (Role::Listener, Body::InitReq(init)) => self.init_req(frame.id, &init, out),
            (Role::Dialler, Body::InitRes(init)) => self.init_res(&init, out),
            (_, Body::Error(error)) => {
                let message = String::from_utf8_lossy(&error.message).into_owned();
                self.shut(CloseReason::ByPeer(message), out);
            }
            (Role::Listener, _) => self.shut(CloseReason::Protocol(BEFORE_INIT_REQ), out),
            (Role::Dialler, _) => self.shut(CloseReason::Protocol(BEFORE_INIT_RES), out),
        }
    }

    fn init_req(&mut self, id: u32, init: &Init, out: &mut Output) {
        if init.version < VERSION {
            return self.refuse_init(id, LOW_VERSION, out);
        }
        let Some(peer) = Peer::new(init) else {
            return self.refuse_init(id, HOST_PORT, out);
        };
        let body = Body::InitRes(self.init());
        self.send(Frame { id, body }, out);
        self.open(peer, out);
    }

    fn init_res(&mut self, init: &Init, out: &mut Output) {
        if init.version != VERSION {
            return self.refuse_init(NO_ID, OTHER_VERSION, out);
        }
        match Peer::new(init) {
            None => self.refuse_init(NO_ID, HOST_PORT, out),
            Some(peer) if peer.is_ephemeral() => self.refuse_init(NO_ID, EPHEMERAL, out),
            Some(peer) => self.open(peer, out),
        }
    }

    fn open(&mut self, peer: Peer, out: &mut Output) {
        self.state = State::Open;
        self.next_wake = None;
        out.events.push_back(Event::Opened(peer));
        self.say_draining(out);
    }

    fn refuse_init(&mut self, id: u32, why: &'static str, out: &mut Output) {
        self.send_error(id, ErrorCode::Protocol, Default::default(), why, out);
        self.shut(CloseReason::Protocol(why), out);
    }
}

const BEFORE_INIT_REQ: &str = "call request before init request";
const BEFORE_INIT_RES: &str = "call response before init response";
const LOW_VERSION: &str = "unsupported protocol version: this is version 2";
const OTHER_VERSION: &str = "unsupported protocol version in init response: this is version 2";
const HOST_PORT: &str = "invalid host:port string in init header";
const EPHEMERAL: &str = "tchannel: got invalid 0.0.0.0:0 as hostPort in Init Response";
