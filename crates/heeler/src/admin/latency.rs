//! LATENCY: no event is watched here, so there is never a sample.

use crate::command::{Command, Id, Reply};

/// Answers one of its subcommands.
pub(super) fn answer(command: &Command<'_>) -> Reply {
    match command.spec.id {
        Id::LatencyDoctor => doctor(),
        Id::LatencyGraph => graph(command),
        Id::LatencyHistogram => Reply::Map(Vec::new()),
        Id::LatencyHistory | Id::LatencyLatest => Reply::Array(Vec::new()),
        Id::LatencyReset => Reply::Int(0),
        Id::LatencyHelp => help(),
        _ => command.unknown(|_| false),
    }
}

fn doctor() -> Reply {
    Reply::Text(
        "Latency events are not watched by this server. What its requests take is told by the \
         metrics of the admin port (--admin).\n"
            .into(),
    )
}

fn graph(command: &Command<'_>) -> Reply {
    let event = String::from_utf8_lossy(command.arg(2));
    Reply::error(format!("ERR No samples available for event '{event}'"))
}

fn help() -> Reply {
    super::lines(&[
        "LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DOCTOR",
        "    Return a human readable latency analysis report.",
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        "    Return a cumulative distribution of latencies in the format of a histogram for the \
         specified command names.",
        "    If no commands are specified then all histograms are replied.",
        "HELP",
        "    Prints this help.",
    ])
}
