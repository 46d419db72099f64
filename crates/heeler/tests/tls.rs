//! `heeler proxy` speaks TLS to clients and servers, and keeps passwords to itself.

mod servers;

#[path = "tls/authority.rs"]
mod authority;
#[path = "tls/clients.rs"]
mod clients;
#[path = "reload/load.rs"]
mod load;
#[path = "tls/proxy.rs"]
mod proxy;
#[path = "tls/refused.rs"]
mod refused;
#[path = "tls/renewal.rs"]
mod renewal;
#[path = "tls/secrets.rs"]
mod secrets;
#[path = "tls/servers.rs"]
mod to_servers;
