//! Rings of this library's members, over real sockets of 127.0.0.1.

#[path = "channel/held.rs"]
mod held;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use heeler_ringpop::channel::Call;
use heeler_ringpop::{
    Discovery, Forwarding, Handled, HttpRequest, Proxied, Request, Response, Ringpop, Status,
};
use http::StatusCode;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

/// A member that keeps values, as the key-value example does.
async fn start(seeds: &Discovery) -> Ringpop {
    let ringpop = Ringpop::builder("kv")
        .seeds(seeds.clone())
        .configure(|config| config.suspect_ms = 500)
        .start()
        .await
        .unwrap();
    let values: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    let this = ringpop.clone();
    ringpop.channel().service("kv").fallback(move |call: Call| {
        let (this, values) = (this.clone(), values.clone());
        async move {
            let text = String::from_utf8_lossy(call.body()).into_owned();
            let (key, value) = text.split_once('=').unwrap_or((&text, ""));
            let how = Forwarding::default().until(call.deadline);
            match this
                .handle_or_forward_with(key, call.request.clone(), &how)
                .await
            {
                Err(error) => Err(error.to_failure()),
                Ok(Handled::There { response, .. }) => Ok(response),
                Ok(Handled::Here(request)) => {
                    let mut values = values.lock().unwrap();
                    if request.arg1 == "put" {
                        values.insert(key.into(), value.into());
                    }
                    let found = values.get(key).cloned().unwrap_or_default();
                    Ok(Response::raw(format!("{found} at {}", this.whoami())))
                }
            }
        }
    });
    ringpop
}

async fn ring_of(size: usize) -> Vec<Ringpop> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hosts.json");
    let hosts: Vec<String> = (0..size).map(|_| held::address()).collect();
    std::fs::write(&file, serde_json::to_string(&hosts).unwrap()).unwrap();
    let mut members = Vec::new();
    for host in &hosts {
        let ringpop = Ringpop::builder("kv")
            .listen(host)
            .seeds(Discovery::file(&file));
        let ringpop = ringpop.configure(|config| config.suspect_ms = 500);
        members.push(ringpop.start().await.unwrap());
    }
    agreed(&members).await;
    members
}

/// Waits until all know the same members, all of them.
async fn agreed(members: &[Ringpop]) {
    let agree = async {
        loop {
            let all = members
                .iter()
                .all(|member| member.ring().len() == members.len());
            let first = members[0].membership_checksum();
            if all
                && members
                    .iter()
                    .all(|member| member.membership_checksum() == first)
            {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, agree).await.expect("they agree");
}

#[tokio::test]
async fn members_agree_about_owners() {
    let members = ring_of(5).await;
    for key in 0..1000 {
        let key = format!("key-{key}");
        let owner = members[0].lookup(&key);
        assert!(members.iter().all(|member| member.lookup(&key) == owner));
        assert_eq!(members[0].lookup_n(&key, 9).len(), 5);
        assert_eq!(members[0].lookup_n(&key, 1), [owner]);
    }
    assert!(
        members
            .iter()
            .all(|member| member.checksum() == members[0].checksum())
    );
}

#[tokio::test]
async fn requests_go_to_their_owners() {
    let first = start(&Discovery::list(["127.0.0.1:1"; 0])).await;
    let seeds = Discovery::list([first.whoami()]);
    let members = [first, start(&seeds).await, start(&seeds).await];
    agreed(&members).await;
    let client = heeler_ringpop::Channel::builder("client")
        .start()
        .await
        .unwrap();
    for key in 0..30 {
        let key = format!("key-{key}");
        let owner = members[0].lookup(&key);
        for (n, member) in members.iter().enumerate() {
            let put = Request::raw("kv", "client", "put", format!("{key}={n}"));
            let time = PATIENCE;
            let answer = client.call(member.whoami(), put, time).await.unwrap();
            assert_eq!(answer.arg3, format!("{n} at {owner}"));
        }
    }
    assert!(members[0].statistics().counter("requestProxy.egress") > 0);
}

#[tokio::test]
async fn a_request_takes_one_hop() {
    let member = start(&Discovery::list(["127.0.0.1:1"; 0])).await;
    let seeds = Discovery::list([member.whoami()]);
    let other = start(&seeds).await;
    agreed(&[member.clone(), other.clone()]).await;
    let key = (0..)
        .map(|n| n.to_string())
        .find(|key| other.owns(key))
        .unwrap();
    let client = heeler_ringpop::Channel::builder("client")
        .start()
        .await
        .unwrap();
    let headers = [("as", "raw"), ("cn", "client"), ("heeler-hop", "1")];
    let request = Request {
        headers: heeler_ringpop::channel::Headers::new(headers).unwrap(),
        ..Request::raw("kv", "client", "get", key)
    };
    let answer = client.call(member.whoami(), request, PATIENCE).await;
    let failure = answer.unwrap_err().to_string();
    assert!(failure.contains("does not own the key"), "{failure}");
}

#[tokio::test]
async fn who_stops_gently_is_out_at_once_and_who_dies_after_a_while() {
    let mut members = ring_of(4).await;
    let gone = members.pop().unwrap();
    gone.shut_down().await;
    let status = |member: &Ringpop, of: &str| {
        let members = member.members();
        members.iter().find(|m| &*m.address == of).map(|m| m.status)
    };
    let out = async {
        while !members
            .iter()
            .all(|m| status(m, gone.whoami()) == Some(Status::Faulty))
        {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, out)
        .await
        .expect("all know that it has left");
    agreed(&members).await;
    let died = members.pop().unwrap();
    let address = died.whoami().to_string();
    died.channel().close("died", Duration::ZERO).await;
    drop(died);
    let out = async {
        while !members
            .iter()
            .all(|m| status(m, &address) == Some(Status::Faulty))
        {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, out)
        .await
        .expect("all notice that it died");
}

#[tokio::test]
async fn events_tell_what_happens() {
    let member = start(&Discovery::list(["127.0.0.1:1"; 0])).await;
    let mut events = member.events();
    let other = start(&Discovery::list([member.whoami()])).await;
    let seen = async {
        loop {
            let event = events.next().await.unwrap();
            if let heeler_ringpop::Event::RingChecksumComputed { checksum } = event {
                return checksum;
            }
        }
    };
    let checksum = timeout(PATIENCE, seen).await.unwrap();
    assert_eq!(checksum, member.checksum());
    agreed(&[member.clone(), other.clone()]).await;
    member.leave().await.unwrap();
    let left = async {
        while other.ring().len() != 1 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, left).await.unwrap();
    assert!(member.leave().await.is_err());
    member.rejoin().await.unwrap();
    agreed(&[member, other]).await;
}

#[tokio::test]
async fn http_requests_go_to_their_owners() {
    let hosts = [held::address(), held::address()];
    let mut members = Vec::new();
    for host in &hosts {
        let me = host.clone();
        let answer = move |request: HttpRequest| {
            let text = format!("{} {} at {me}", request.method(), request.uri());
            let sent = request.headers()["x-more"].clone();
            let response = http::Response::builder().status(201).header("x-more", sent);
            let response = response.body(Bytes::from(text)).unwrap();
            async move { response }
        };
        let ringpop = Ringpop::builder("web").listen(host).on_http(answer);
        let ringpop = ringpop.seeds(Discovery::list(&hosts));
        members.push(ringpop.start().await.unwrap());
    }
    agreed(&members).await;
    let theirs = |n: &usize| *members[0].lookup(n.to_string()) == *members[1].whoami();
    let key = (0..).find(theirs).unwrap().to_string();
    let request = || {
        let request = http::Request::put(format!("/things/{key}?a=b")).header("x-more", "more");
        request.body(Bytes::from("body")).unwrap()
    };
    let answer = members[0].handle_or_proxy(&key, request()).await.unwrap();
    let Proxied::There(answer) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.headers()["x-more"], "more");
    assert_eq!(
        *answer.body(),
        format!("PUT /things/{key}?a=b at {}", hosts[1])
    );
    let Proxied::Here(kept) = members[1].handle_or_proxy(&key, request()).await.unwrap() else {
        panic!("it is that member's own")
    };
    assert_eq!(kept.body(), "body");

    // A member whose ring is another is refused, as ringpop-node refuses it.
    let head = r#"{"url":"/","method":"GET","headers":{},"ringpopChecksum":1,"ringpopKeys":[]}"#;
    let call = Request {
        arg2: head.into(),
        ..Request::raw("ringpop", "ringpop", "/proxy/req", "")
    };
    let channel = members[0].channel();
    let refused = channel.call(&hosts[1], call, PATIENCE).await.unwrap();
    let error: serde_json::Value = serde_json::from_slice(&refused.arg3).unwrap();
    assert_eq!(error["type"], "ringpop.request-proxy.invalid-checksum");
    assert_eq!(
        (&error["actual"], &error["expected"]),
        (&1.into(), &members[1].checksum().into())
    );
}

#[tokio::test]
async fn keys_of_many_owners_are_grouped() {
    let members = ring_of(3).await;
    for member in &members {
        let me = member.whoami().to_string();
        member.channel().service("app").fallback(move |call: Call| {
            let answer = format!("{} at {me}", String::from_utf8_lossy(call.body()));
            async move { Ok(Response::raw(answer)) }
        });
    }
    let keys: Vec<String> = (0..30).map(|key| key.to_string()).collect();
    let request = |keys: &[&String]| {
        let body: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
        Request::raw("app", "test", "many", body.join(","))
    };
    let parts = members[0].handle_or_forward_all(&keys, request).await;
    assert_eq!(parts.len(), 3);
    let mut seen = Vec::new();
    for part in parts {
        let owner = members[0].lookup(part.keys[0]);
        assert!(part.keys.iter().all(|key| members[0].lookup(key) == owner));
        let body = request(&part.keys).arg3;
        match part.result.unwrap() {
            Handled::Here(kept) => assert_eq!((kept.arg3, &*owner), (body, members[0].whoami())),
            Handled::There { response, .. } => {
                let body = String::from_utf8_lossy(&body).into_owned();
                assert_eq!(response.arg3, format!("{body} at {owner}"));
            }
        }
        seen.extend(part.keys);
    }
    seen.sort();
    let mut all: Vec<&String> = keys.iter().collect();
    all.sort();
    assert_eq!(seen, all);
}
