//! The doors of a store in which commands come as such: Redis's and memcached's.

use std::sync::Arc;

use crate::admin::{Process, REDIS_VERSION};
use crate::deliver::{Behind, Door, Ring};
use crate::net::{Listener, MakeDoor, Service, Speaks, Tuning};
use crate::peer::Keyspace;
use crate::pool::Peers;
use crate::session::{Access, Databases, Greeting};
use crate::socket::Scratch;
use crate::store::Store;
use crate::wire::Wire;
use crate::wire::resp::Protocol;
use crate::{limits, run};

/// A door: over the keys of all nodes where there is a `keyspace` of more than this one.
pub fn service(
    name: &str,
    wire: Wire,
    listener: Listener,
    store: &Arc<Store>,
    process: &Arc<Process>,
    keyspace: Option<Arc<Keyspace>>,
) -> Service {
    let (store, process) = (store.clone(), process.clone());
    let greeting = Greeting {
        version: REDIS_VERSION,
        newest: Protocol::Resp3,
        access: Access::Store(process.password.clone()),
        databases: match &keyspace {
            None => Databases::Upto(store.databases()),
            Some(_) => Databases::OfRing,
        },
    };
    let door: MakeDoor = Arc::new(move |scratch: &_, _| {
        let door = Door::new(
            Behind::Node(store.clone()),
            process.clone(),
            greeting.clone(),
            run::seed(),
        );
        match &keyspace {
            None => door,
            Some(keyspace) => {
                let peers = Peers::new(keyspace.others.clone(), Scratch::clone(scratch));
                door.in_ring(Ring::new(keyspace.clone(), peers))
            }
        }
    });
    Service {
        name: name.into(),
        speaks: Speaks::Wire(wire),
        tls: None,
        listener: Arc::new(listener),
        most_clients: None,
        door,
    }
}

/// How a store's listeners are set up.
pub fn tuning() -> Tuning {
    Tuning {
        backlog: limits::BACKLOG,
        // Each connection is set up as CONFIG SET tcp-keepalive says.
        keepalive: false,
        reuseport: false,
    }
}
