//! Ringpop's key-value example: a process that keeps its share of all keys.
//!
//! ```text
//! cargo run -p heeler-ringpop --example key_value -- 127.0.0.1:3000
//! cargo run -p heeler-ringpop --example key_value -- 127.0.0.1:3001 127.0.0.1:3000
//! tcurl -p 127.0.0.1:3000 kv put -3 '{"key":"foo","value":"bar"}' --timeout 1000
//! tcurl -p 127.0.0.1:3001 kv get -3 '{"key":"foo"}' --timeout 1000
//! ```
//!
//! The first argument is where to listen, the others are members to join: processes of this example
//! or of ringpop-node's `examples/key_value.js -n kv`.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};

use heeler_ringpop::channel::{Answer, Call, ErrorCode};
use heeler_ringpop::{Discovery, Failure, Forwarding, Handled, Response, Ringpop};
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let listen = args.next().unwrap_or("127.0.0.1:3000".into());
    let seeds: Vec<String> = args.chain([listen.clone()]).collect();
    let ringpop = Ringpop::builder("kv")
        .listen(&listen)
        .seeds(Discovery::list(seeds))
        .bootstrap()
        .await?;

    let values = Arc::new(Mutex::new(HashMap::new()));
    for endpoint in ["get", "put"] {
        let node = Node {
            ringpop: ringpop.clone(),
            values: values.clone(),
        };
        let service = ringpop.channel().service("kv");
        service.endpoint(endpoint, move |call| node.clone().handle(call));
    }
    println!("{} keeps keys", ringpop.whoami());

    tokio::signal::ctrl_c().await?;
    // Tells the others, so that they do not wait for this process.
    ringpop.shut_down().await;
    Ok(())
}

#[derive(Clone)]
struct Node {
    ringpop: Ringpop,
    values: Arc<Mutex<HashMap<String, String>>>,
}

impl Node {
    async fn handle(self, call: Call) -> Answer {
        let body: Value = serde_json::from_slice(call.body())
            .map_err(|error| Failure::here(ErrorCode::BadRequest, error.to_string()))?;
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_string();
        let key = text("key");

        // Whose key is it? If it is another's, the owner has answered already.
        let how = Forwarding::default().until(call.deadline);
        let handled = self
            .ringpop
            .handle_or_forward_with(&key, call.request, &how);
        let request = match handled.await {
            Ok(Handled::Here(request)) => request,
            Ok(Handled::There { response, .. }) => return Ok(response),
            Err(error) => return Err(error.to_failure()),
        };

        let Ok(mut values) = self.values.lock() else {
            return Err(Failure::here(ErrorCode::Unexpected, "the values are lost"));
        };
        if request.arg1 == "put" {
            values.insert(key, text("value"));
            return Ok(Response::raw("\"OK\""));
        }
        let value = values.get(&key).map_or("undefined", String::as_str);
        Ok(Response::raw(Value::from(value).to_string()))
    }
}
