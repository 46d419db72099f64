//! One machine, and the test in the place of all its peers.

use std::collections::BTreeMap;

use heeler_swim::{
    Command, Config, Endpoint, Event, Failure, Input, Now, Output, RequestId, Stat, Status, Swim,
};

/// A request of the machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    pub id: RequestId,
    pub to: String,
    pub endpoint: Endpoint,
    pub body: String,
    pub timeout_ms: u64,
}

pub struct Machine {
    pub swim: Swim,
    pub now: Now,
    pub events: Vec<Event>,
    pub sent: Vec<Sent>,
    pub done: Vec<Output>,
    pub counts: BTreeMap<&'static str, u64>,
    answers: BTreeMap<u64, Result<String, String>>,
    tokens: u64,
}

pub const ME: &str = "127.0.0.1:3100";
/// The wall clock at the start, and so this member's incarnation number.
pub const BORN: u64 = 1_795_163_823_914;

/// As Ringpop has it, and no more than is tested: no healing, no announcements, no reports.
pub fn plain() -> Config {
    let mut config = Config::new("kv", ME);
    config.healing = None;
    config.bootstrap.announce = false;
    config.checksum_report_ms = 0;
    config
}

impl Machine {
    /// A member that has no seeds yet.
    pub fn idle(config: Config) -> Machine {
        let now = Now {
            ms: 1000,
            wall_ms: BORN,
        };
        Machine {
            swim: Swim::new(config, now, 7).unwrap(),
            now,
            events: Vec::new(),
            sent: Vec::new(),
            done: Vec::new(),
            counts: BTreeMap::new(),
            answers: BTreeMap::new(),
            tokens: 0,
        }
    }

    /// A member that is ready, has told of itself enough, does not ping by the clock, and holds
    /// these others for what is said.
    pub fn ready(config: Config, others: &[(&str, &str, u64)]) -> Machine {
        let mut machine = Machine::idle(config);
        machine.bootstrap(others);
        machine.command(Command::StopGossip);
        for i in 0..100 {
            if machine.swim.rumors() == 0 {
                break;
            }
            // Strangers who hold the same list take what is told.
            let checksum = machine.swim.checksum(machine.swim.form());
            machine.ping_from("9.9.9.9:9", i, checksum, "").unwrap();
        }
        assert_eq!(machine.swim.rumors(), 0);
        machine.forget();
        machine
    }

    /// Joins by a seed that lists these others.
    pub fn bootstrap(&mut self, others: &[(&str, &str, u64)]) {
        if others.is_empty() {
            self.input(Input::Seeds(vec![ME.into()]));
            return;
        }
        self.input(Input::Seeds(vec![ME.into(), others[0].0.into()]));
        let id = self.sent.last().unwrap().id;
        let list: Vec<String> = others.iter().map(|(a, s, i)| change(a, s, *i)).collect();
        let body = format!(r#"{{"app":"kv","membership":[{}]}}"#, list.join(","));
        self.answer(id, &body);
        assert!(self.swim.is_ready());
    }

    pub fn input(&mut self, input: Input<'_>) {
        let mut out = Vec::new();
        self.swim.handle(self.now, input, &mut out);
        self.take(out);
    }

    pub fn forget(&mut self) {
        (self.events, self.sent) = (Vec::new(), Vec::new());
        self.counts.clear();
    }

    fn take(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send {
                    id,
                    to,
                    endpoint,
                    body,
                    timeout_ms,
                } => self.sent.push(Sent {
                    id,
                    to: to.to_string(),
                    endpoint,
                    body: String::from_utf8(body).unwrap(),
                    timeout_ms,
                }),
                Output::Respond { token, result } => {
                    let text = |bytes| String::from_utf8(bytes).unwrap();
                    let result = result.map(text).map_err(text);
                    assert!(
                        self.answers.insert(token, result).is_none(),
                        "answered once"
                    );
                }
                Output::Done { .. } | Output::FetchSeeds => self.done.push(output),
                Output::Event(event) => self.events.push(event),
                Output::Stat(Stat::Count(name, n)) => {
                    *self.counts.entry(name).or_default() += n;
                }
                Output::Stat(_) => {}
            }
        }
    }

    /// Lets time pass, doing what is due when it is.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now.ms + ms;
        while let Some(at) = self.swim.next_wake().filter(|at| *at <= end) {
            self.forward(at.max(self.now.ms));
            let mut out = Vec::new();
            self.swim.wake(self.now, &mut out);
            self.take(out);
        }
        self.forward(end);
    }

    fn forward(&mut self, ms: u64) {
        self.now.wall_ms += ms - self.now.ms;
        self.now.ms = ms;
    }

    /// Asks, and returns the token of the answer.
    pub fn ask_later(&mut self, endpoint: Endpoint, body: &str) -> u64 {
        self.tokens += 1;
        let token = self.tokens;
        self.input(Input::Request {
            token,
            endpoint,
            body: body.as_bytes(),
        });
        token
    }

    pub fn answer_to(&mut self, token: u64) -> Option<Result<String, String>> {
        self.answers.remove(&token)
    }

    pub fn ask(&mut self, endpoint: Endpoint, body: &str) -> Result<String, String> {
        let token = self.ask_later(endpoint, body);
        self.answer_to(token).expect("an answer at once")
    }

    /// A ping with these changes, with commas between them.
    pub fn ping_from(
        &mut self,
        source: &str,
        incarnation: u64,
        checksum: u32,
        changes: &str,
    ) -> Result<String, String> {
        let born = format!(r#""sourceIncarnationNumber":{incarnation}}}"#);
        let body = format!(
            r#"{{"checksum":{checksum},"changes":[{changes}],"source":"{source}","app":"kv",{born}"#
        );
        self.ask(Endpoint::Ping, &body)
    }

    /// Tells something, and takes no notice of the answer.
    pub fn tell(&mut self, changes: &str) {
        self.ping_from("9.9.9.9:9", 1, 1, changes).unwrap();
        // No answers to what it asks back.
        self.sent.retain(|sent| sent.endpoint != Endpoint::Join);
    }

    pub fn answer(&mut self, id: RequestId, body: &str) {
        self.input(Input::Response {
            id,
            body: body.as_bytes(),
        });
    }

    pub fn fail(&mut self, id: RequestId, failure: Failure) {
        self.input(Input::Failure { id, failure });
    }

    pub fn command(&mut self, command: Command) {
        self.input(Input::Command { token: 1, command });
    }

    /// What is held of a member, as `status incarnation`.
    pub fn holds(&self, address: &str) -> String {
        match self.swim.member(address) {
            Some(member) => format!("{} {}", member.status, member.incarnation),
            None => "nothing".into(),
        }
    }

    pub fn status(&self, address: &str) -> Option<Status> {
        self.swim.member(address).map(|member| member.status)
    }

    /// Begins one protocol period and returns its ping.
    pub fn tick(&mut self) -> Sent {
        self.command(Command::Tick);
        let ping = self.sent.pop().expect("a ping");
        assert_eq!(ping.endpoint, Endpoint::Ping);
        ping
    }

    /// Answers of a strangers' ping with the right checksum: what is still told.
    pub fn told(&mut self) -> String {
        let checksum = self.swim.checksum(self.swim.form());
        let answer = self.ping_from("8.8.8.8:8", 1, checksum, "").unwrap();
        let inner = answer.strip_prefix("{\"changes\":[").unwrap();
        inner.strip_suffix("]}").unwrap().into()
    }
}

/// A change without id and source.
pub fn change(address: &str, status: &str, incarnation: u64) -> String {
    let tombstone = if status == "tombstone" {
        ",\"tombstone\":true"
    } else {
        ""
    };
    let status = if status == "tombstone" {
        "faulty"
    } else {
        status
    };
    let claim = format!(r#""status":"{status}","incarnationNumber":{incarnation}{tombstone}"#);
    format!(r#"{{"address":"{address}",{claim}}}"#)
}

/// A change with a source.
pub fn change_by(source: &str, at: u64, address: &str, status: &str, incarnation: u64) -> String {
    let change = change(address, status, incarnation);
    let rest = change.strip_prefix('{').unwrap();
    format!(r#"{{"source":"{source}","sourceIncarnationNumber":{at},{rest}"#)
}

/// A text without the ids of changes, which are chance.
pub fn without_ids(text: &str) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some(at) = rest.find("\"id\":\"") {
        out.push_str(&rest[..at]);
        let after = &rest[at + 6..];
        rest = &after[after.find("\",").expect("the end of an id") + 2..];
    }
    out + rest
}
