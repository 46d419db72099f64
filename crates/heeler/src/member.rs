//! `heeler ringpop`: a bare member of a ring.

use std::pin::pin;
use std::sync::Arc;

use crate::admin::Process;
use crate::http::{AdminPort, Pools, Subject};
use crate::{peer, run};

/// What `heeler ringpop` is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// How it takes part in the ring.
    pub member: peer::Options,
    /// `host:port` of the admin port, if there shall be one.
    pub admin: Option<String>,
}

/// Runs until it is asked to stop; then tells the others.
///
/// # Errors
/// It could not start, or not join.
pub fn run(options: &Options) -> anyhow::Result<()> {
    run::control(async {
        let mut stop = pin!(run::asked_to_stop()?);
        run::outlive_hangup()?;
        let admin = options.admin.as_deref().map(AdminPort::bind).transpose()?;
        let ringpop = peer::member(&options.member)?.start().await?;
        tracing::info!(
            peer = ringpop.whoami(),
            app = ringpop.app(),
            "joining the ring"
        );
        if let Some(admin) = admin {
            tokio::spawn(admin.serve(Subject {
                process: Arc::new(Process::new(
                    "ringpop",
                    1,
                    run::most_clients(0),
                    run::seed(),
                )),
                pools: Pools::default(),
                store: None,
                ring: Some(ringpop.clone()),
                keyspace: None,
                reload: None,
            }));
        }
        tokio::select! {
            () = &mut stop => {}
            joined = ringpop.ready() => {
                joined?;
                stop.await;
            }
        }
        ringpop.shut_down().await;
        tracing::info!("stopped");
        Ok(())
    })
}
