//! How many calls a second a channel serves, or makes.
//!
//! ```text
//! cargo run --release -p heeler-ringpop --example calls -- serve 127.0.0.1:4000
//! cargo run --release -p heeler-ringpop --example calls -- 127.0.0.1:4000 32 1000000
//! ```
//!
//! The first serves `kv` with `get` and `put` from memory, on one thread. The second makes so many
//! calls, so many of them in flight at a time, over one connection, on one thread.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use heeler_ringpop::channel::{Channel, Request};
use parking_lot::Mutex;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address] => serve(address).await,
        [address, in_flight, calls] => call(address, in_flight.parse()?, calls.parse()?).await,
        _ => Err("what? serve ADDRESS, or ADDRESS CALLS-IN-FLIGHT CALLS".into()),
    }
}

async fn serve(address: &str) -> Result<(), Box<dyn Error>> {
    let channel = Channel::builder("calls").listen(address).start().await?;
    let store = Arc::new(Mutex::new(HashMap::<Bytes, Bytes>::new()));
    let (reader, writer) = (store.clone(), store);
    // arg2 is the key here, arg3 the value.
    channel
        .service("kv")
        .endpoint("get", move |call| {
            let found = reader.lock().get(&call.request.arg2).cloned();
            async move { Ok(call.reply(found.unwrap_or_default())) }
        })
        .endpoint("put", move |call| {
            // A copy, so that the value does not keep what came with it.
            let copy = Bytes::copy_from_slice;
            writer
                .lock()
                .insert(copy(&call.request.arg2), copy(call.body()));
            async move { Ok(call.reply("OK")) }
        });
    eprintln!("serving on {}", channel.host_port());
    std::future::pending().await
}

async fn call(address: &str, in_flight: u64, calls: u64) -> Result<(), Box<dyn Error>> {
    let channel = Channel::builder("calls").start().await?;
    let timeout = Duration::from_secs(5);
    let mut put = Request::raw("kv", "calls", "put", vec![b'x'; 100]);
    put.arg2 = Bytes::from("key");
    channel.call(address, put, timeout).await?;
    let mut get = Request::raw("kv", "calls", "get", "");
    get.arg2 = Bytes::from("key");
    let (next, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let callers = (0..in_flight).map(|_| {
        let (peer, get, next) = (channel.peer(address), get.clone(), next.clone());
        tokio::spawn(async move {
            while next.fetch_add(1, Relaxed) < calls {
                peer.call(get.clone(), timeout).await?;
            }
            Ok::<(), heeler_ringpop::channel::Failure>(())
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await??;
    }
    let rate = calls as f64 / begun.elapsed().as_secs_f64();
    println!("{in_flight} in flight: {rate:.0} calls a second");
    Ok(())
}
