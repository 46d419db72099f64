//! Servers that answer what a test wants them to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use heeler::wire::resp::Decoder;

use crate::servers::free_port;

/// A server that answers every request with the bytes that a function of its words gives. Its
/// threads live as long as the test's process.
pub struct Fake {
    /// Where it listens.
    pub port: u16,
    connections: Arc<AtomicUsize>,
}

impl Fake {
    /// Starts one. The function gets the number of the connection, from 0, and the words.
    pub fn start(answer: impl Fn(usize, &[Vec<u8>]) -> Vec<u8> + Send + Sync + 'static) -> Fake {
        let port = free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (answer, count) = (Arc::new(answer), connections.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (answer, stream) = (answer.clone(), stream.unwrap());
                thread::spawn(move || serve(stream, |words| answer(number, words)));
            }
        });
        Fake { port, connections }
    }

    /// `127.0.0.1:port`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How many connections it has taken.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, answer: impl Fn(&[Vec<u8>]) -> Vec<u8>) {
    stream.set_nodelay(true).unwrap();
    let (mut decoder, mut input, mut chunk) = (Decoder::default(), Vec::new(), [0; 16 * 1024]);
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        input.extend_from_slice(&chunk[..count]);
        let mut output = Vec::new();
        while let Some(length) = decoder.decode(&input).expect("the proxy sends requests") {
            let (raw, args) = decoder.request(&input);
            let word = |a: &heeler::command::Arg| raw[a.start as usize..a.end as usize].to_vec();
            output.extend(answer(&args.iter().map(word).collect::<Vec<_>>()));
            input.drain(..length);
        }
        if stream.write_all(&output).is_err() {
            return;
        }
    }
}
