//! Servers that answer what a test wants them to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use heeler::wire::memcache::Decoder;

use crate::servers::free_port;

/// A server that answers every request with the bytes that a function of it gives. Its threads
/// live as long as the test's process.
pub struct Fake {
    /// Where it listens.
    pub port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Starts one. The function gets the number of the connection, from 0, and the request.
    pub fn start(answer: impl Fn(usize, &str) -> Vec<u8> + Send + Sync + 'static) -> Fake {
        let port = free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), requests.clone());
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (answer, seen) = (answer.clone(), seen.clone());
                let answer = move |request: &str| {
                    seen.lock().unwrap().push(request.to_owned());
                    answer(number, request)
                };
                thread::spawn(move || serve(stream.unwrap(), answer));
            }
        });
        Fake { port, requests }
    }

    /// `127.0.0.1:port`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// All requests that it has got.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, answer: impl Fn(&str) -> Vec<u8>) {
    stream.set_nodelay(true).unwrap();
    let (mut decoder, mut input, mut chunk) = (Decoder::default(), Vec::new(), [0; 16 * 1024]);
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        input.extend_from_slice(&chunk[..count]);
        let mut output = Vec::new();
        while let Some(length) = decoder.decode(&input).expect("the proxy sends requests") {
            let request: Vec<u8> = input.drain(..length).collect();
            output.extend(answer(std::str::from_utf8(&request).unwrap()));
        }
        if stream.write_all(&output).is_err() {
            return;
        }
    }
}
