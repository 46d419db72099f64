//! Every bound, in one place. Past a limit a client gets a clear error, and the process lives.

/// Longest bulk string in a request, in bytes (Redis: `proto-max-bulk-len`).
pub const BULK_BYTES: usize = 512 * 1024 * 1024;
/// Most arguments in one request to a store (Redis: the same). What bounds memory is how long a
/// request may be: of arguments nothing is kept before their bytes have come.
pub const ARGUMENTS: i64 = i32::MAX as i64;
/// Most arguments in one request to a proxy: a Redis before 7.0 takes no more (1024 * 1024), and
/// closes the connection, which has requests of others on it.
pub const POOL_ARGUMENTS: i64 = 1024 * 1024;
/// Bytes that clients may take together, however little `maxmemory-clients` says (Redis: the same):
/// somebody has to be able to change it.
pub const LEAST_CLIENT_MEMORY: u64 = 128 * 1024;
/// Most codes of errors that are counted one by one.
pub const ERROR_CODES: usize = 128;
/// Longest code of an error that is counted by itself, in bytes.
pub const ERROR_CODE_BYTES: usize = 64;
/// Most arguments in a request to a store of a client that has still to say a password (Redis: 10).
pub const STRANGERS_ARGUMENTS: i64 = 10;
/// Longest bulk string in such a request, in bytes (Redis: 16384).
pub const STRANGERS_BULK_BYTES: usize = 16 * 1024;
/// Longest inline request, and longest line of a request or reply header, in bytes.
pub const LINE_BYTES: usize = 64 * 1024;
/// Most characters of a number in a request's or reply's header line.
pub const LENGTH_DIGITS: usize = 32;
/// Longest key of a memcached, in bytes (memcached: 250).
pub const KEY_BYTES: usize = 250;
/// Longest line of a memcached request that is full of keys, in bytes.
pub const KEYS_LINE_BYTES: usize = 1024 * 1024;
/// Longest line of any other memcached request, in bytes (memcached: 2048).
pub const COMMAND_LINE_BYTES: usize = 2048;
/// Most flags of a meta command (memcached: about 20, by the command).
pub const META_FLAGS: usize = 16;
/// Longest whole request, in bytes: argument places are 32 bits wide.
pub const REQUEST_BYTES: usize = 1024 * 1024 * 1024;
/// Longest whole reply that is taken from a server, in bytes.
pub const REPLY_BYTES: usize = 1024 * 1024 * 1024;
/// Deepest nesting of a reply.
pub const REPLY_DEPTH: usize = 32;
/// Longest value of a string key, in bytes (Redis: 512 MiB).
pub const VALUE_BYTES: usize = 512 * 1024 * 1024;
/// Most bytes that the payload of one RESTORE may unfold to.
pub const RESTORE_BYTES: usize = 1024 * 1024 * 1024;
/// Separately locked parts of a store: a power of two. One small table grows at a time.
pub const SHARDS: usize = 256;
/// Databases that a store has if it is not told how many (Redis: 16).
pub const DATABASES: u32 = 16;
/// The most databases that it may have: each takes a row of a table, and its keys their room.
pub const DATABASES_MOST: u32 = 16_384;
/// Requests that a connection finds in what it has read before it executes the first of them.
pub const REQUESTS_AHEAD: usize = 16;
/// Most keys of one command that are prefetched before it begins.
pub const PREFETCHED_KEYS: usize = 64;
/// A store that takes fewer bytes fits into the processor's caches: nothing is prefetched.
pub const PREFETCH_FROM_BYTES: usize = 1024 * 1024;
/// Keys that are gone and that a node of a ring remembers, so that older copies do not bring them
/// back.
pub const TOMBSTONES: usize = 1024 * 1024;
/// How long such a key is remembered, in milliseconds. Without replicas keys are remembered only
/// for so long after the ring has changed.
pub const TOMBSTONE_MS: u64 = 10 * 60 * 1000;
/// Pause before a node asks another one again, in milliseconds.
pub const ASK_AGAIN_MS: u64 = 50;
/// How long an owner waits before it tells a replica that it is not level, in milliseconds.
pub const NUDGE_MS: u64 = 500;
/// A node that is no member, and has not answered for so many milliseconds, is not asked any more.
pub const NODE_SILENT_MS: u64 = 5_000;
/// Nodes that are no members of the ring, and of which a node remembers what they said.
pub const OUTSIDERS: usize = 1024;
/// How long a node that leaves waits for one that joins, if all others leave, too, in
/// milliseconds.
pub const LAST_MS: u64 = 1_000;
/// Members that are asked for the keys of one that died without having handed them over.
pub const HEIRS: usize = 32;
/// Bytes of keys that one answer to a survey has, about.
pub const SURVEY_BYTES: usize = 64 * 1024;
/// Keys that are looked at for one answer to a survey, about.
pub const SURVEYED: usize = 16 * 1024;
/// Earlier lives of another node whose letters are known to come late.
pub const PAST_LIVES: usize = 8;
/// Keys of a shard that a survey looks at before it lets others have the shard, about.
pub const SURVEYED_AT_ONCE: usize = 256;
/// Bytes of copies that are asked for at once, about. One key may have more.
pub const COPIES_BYTES: usize = 256 * 1024;
/// Keys that are asked for at once.
pub const COPIES: usize = 512;
/// Keys that were fetched before they were surveyed, and are remembered.
pub const FETCHED: usize = 256 * 1024;
/// How long a node waits for another's settings, and before it asks again, in milliseconds.
pub const SETTINGS_MS: u64 = 1000;
/// How often it asks.
pub const SETTINGS_TRIES: u32 = 20;
/// How long a node that is called back may take to answer, in milliseconds.
pub const CALL_BACK_MS: u64 = 1000;
/// How many nodes are called back at a time.
pub const CALLS_BACK: usize = 16;
/// How many nodes are called back in a second.
pub const CALLS_BACK_A_SECOND: u32 = 64;
/// Bytes of the name that a process gives itself.
pub const PROCESS_NAME: usize = 64;
/// How many others a node that joins asks to call it back.
pub const ASKED_TO_CALL_BACK: usize = 3;
/// How long it asks them again when they cannot, in milliseconds.
pub const CALLABLE_MS: u64 = 2000;
/// The same where all that they find is that nothing comes back: a machine may be very busy.
pub const CALLABLE_LATE_MS: u64 = 15_000;
/// Pause before it does, in milliseconds.
pub const CALLABLE_PAUSE_MS: u64 = 500;
/// A node that nobody can call leaves its ring, if it began so many milliseconds ago at most.
pub const YOUNG_MS: u64 = 30_000;
/// From one look at whether another node can be called to the next, in milliseconds.
pub const CALLABLE_EACH_MS: u64 = 5000;
/// Keys that may wait to be sent to one replica; past that it compares all that it holds.
pub const UNSENT: usize = 1024 * 1024;
/// Bytes of changes that may wait to be sent to one replica; past that it gets whole values.
pub const UNSENT_BYTES: usize = 16 * 1024 * 1024;
/// How long a node that stops waits for others to take over what it holds, unless told otherwise,
/// in milliseconds.
pub const LEAVE_TIMEOUT_MS: u64 = 60_000;
/// Pause between two looks at whether they have, in milliseconds.
pub const HANDED_OVER_MS: u64 = 10;
/// How long a command waits for other nodes to give up its keys, in milliseconds.
pub const ADMISSION_MS: u64 = 5_000;
/// How long what holds keys rests at most if nothing happens, in milliseconds.
pub const LONGEST_REST_MS: u64 = 10_000;
/// How long a question about keys waits for its answer, in milliseconds.
pub const HOLD_MS: u64 = 5_000;
/// Pause between two looks at whether all commands are done that a picture has allowed, in
/// microseconds.
pub const PERMIT_US: u64 = 20;
/// Most nodes that hold a key.
pub const REPLICAS: u32 = 16;
/// Bytes a second that a node takes of others when it becomes a holder, unless told otherwise.
pub const PULL_RATE: u64 = 32 * 1024 * 1024;
/// How long a write waits for replicas, in milliseconds.
pub const WRITE_TIMEOUT_MS: u64 = 2_000;
/// How far the clock of another node may be ahead, in milliseconds: what it has executed at a later
/// time is not done again here, but taken as what came of it.
pub const CLOCK_AHEAD_MS: u64 = 24 * 60 * 60 * 1000;
/// How far a node's new versions may be ahead of the clocks of most nodes, in milliseconds.
pub const VERSIONS_AHEAD_MS: u64 = 60 * 1000;
/// How far a version up to which a ring is cleared is ahead of the clock of the node that was asked
/// to, in milliseconds. Where the clocks of nodes differ by more, it takes one more question.
pub const CLEAR_AHEAD_MS: u64 = 1000;
/// So many versions a node remembers up to which the ring was to be cleared.
pub const CLEARINGS: usize = 16;
/// How often a ring is cleared anew that has other members afterwards.
pub const CLEAR_TRIES: usize = 4;
/// How long a node may take to clear its keys away, in milliseconds.
pub const CLEAR_MS: u64 = 30_000;
/// The same for one that leaves the ring, which may be gone already.
pub const CLEAR_LEAVING_MS: u64 = 1000;
/// For how many milliseconds it counts what another node has said of the time.
pub const CLOCK_HEARD_MS: u64 = 60 * 60 * 1000;
/// The latest time of a version, in milliseconds since 1970: in the year 2248. A copy from a later
/// one is refused, for too few versions would be left for the writes after it.
pub const LATEST_MS: u64 = 1 << 43;
/// Requests of one client that may wait for their replies before it is read again.
pub const PIPELINE: usize = 1024;
/// Reply bytes that may wait for one client, those included that are expected of servers, before it
/// is read again.
pub const CLIENT_OUTPUT_BYTES: usize = 1024 * 1024;
/// What a reply is expected to be long before the first has come from a server, in bytes.
pub const FIRST_REPLY_BYTES: usize = 16 * 1024;
/// Requests that may wait on one server connection.
pub const SERVER_QUEUE: usize = 256 * 1024;
/// Request bytes that may wait to be written to one server connection.
pub const SERVER_QUEUE_BYTES: usize = 256 * 1024 * 1024;
/// Commands that one MULTI may queue.
pub const TRANSACTION_COMMANDS: usize = 1024 * 1024;
/// Bytes of messages that a client may leave unread before it is closed (Redis:
/// `client-output-buffer-limit pubsub`).
pub const SUBSCRIBER_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of them that it may leave unread only for so many seconds.
pub const SUBSCRIBER_SOFT: (usize, u64) = (8 * 1024 * 1024, 60);
/// Seconds after which a store probes a client that is silent (Redis: `tcp-keepalive`).
pub const KEEPALIVE_S: u64 = 300;
/// How often a store looks for connections that are idle for too long, in milliseconds.
pub const LOOK_AT_CLIENTS_MS: u64 = 1_000;
/// Least that the longest bulk string and the longest request may be limited to, in bytes.
pub const LEAST_LIMIT: usize = 1024 * 1024;
/// Keys of which clients keep copies, about; past it some are taken for changed (Redis:
/// `tracking-table-max-keys`).
pub const TRACKED_KEYS: usize = 1_000_000;
/// Bytes of changes that a node of a ring may not have asked for yet, whose clients keep copies;
/// past it they are told that everything has changed.
pub const UNHEARD_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of changes that all of them may not have asked for yet; past it that goes for those for
/// whom more waits than their part.
pub const UNHEARD_TOGETHER_BYTES: usize = 64 * 1024 * 1024;
/// Changes that it is told of at a time.
pub const TOLD: usize = 4096;
/// How long its question for changes waits for one, in milliseconds.
pub const HEAR_MS: u64 = 5_000;
/// How long it may ask for none before nothing is kept for it any more, in milliseconds.
pub const UNHEARD_MS: u64 = 15_000;
/// How long CLIENT TRACKING waits until all nodes know the prefixes, in milliseconds. Of what
/// happens at one that learns of them later, clients are told then that everything has changed.
pub const PREFIXES_MS: u64 = 2_000;
/// Prefixes that the clients of one node may be told of.
pub const PREFIXES: usize = 64 * 1024;
/// Nodes for which it is remembered that they have been told of changes: a ring has fewer.
pub const HEARERS: usize = 4096;
/// Channels and patterns that one client may listen to.
pub const SUBSCRIPTIONS: usize = 1024 * 1024;
/// Bytes of further requests that are read from a client while one of its commands waits.
pub const WAITING_INPUT_BYTES: usize = 1024 * 1024;
/// Bytes of one read from a socket.
pub const READ_BYTES: usize = 64 * 1024;
/// Room for more of a request of which little has come, in bytes.
pub const PART_BYTES: usize = 16 * 1024;
/// Most bytes of memory that are set aside for a value before its bytes have come.
pub const RESERVE_BYTES: usize = 1024 * 1024;
/// Largest buffer that an idle connection keeps, in bytes.
pub const IDLE_BUFFER_BYTES: usize = 4 * 1024;
/// Places of arguments for which a connection keeps room after a request that came in parts.
pub const IDLE_ARGUMENTS: usize = 1024;
/// Replies of a connection up to which they wait until others have been read, in bytes: what is
/// longer would have left the processor's cache by then.
pub const WAITING_REPLY_BYTES: usize = 16 * 1024;
/// Reads from one socket in a row before others get their turn.
pub const READS_IN_A_ROW: usize = 4;
/// How long a connection to a server may take to open at most, in milliseconds.
pub const CONNECT_MS: u64 = 5_000;
/// How long a server is left alone after it could not be reached, in milliseconds: at first, and at
/// most. In between it doubles.
pub const FIRST_PAUSE_MS: u64 = 50;
/// See [`FIRST_PAUSE_MS`].
pub const LONGEST_PAUSE_MS: u64 = 2_000;
/// A connection on which requests wait is given up when nothing has come over it for so many times
/// their timeout …
pub const SILENT_TIMEOUTS: u64 = 3;
/// … but not before so many milliseconds.
pub const SILENT_MS: u64 = 1_000;
/// Longest answer to a probe, in bytes.
pub const PROBE_BYTES: usize = 4 * 1024;
/// How often an ejected server is probed where the file does not say, in milliseconds.
pub const PROBE_INTERVAL_MS: u32 = 1_000;
/// How long a probe may take where the file does not say, in milliseconds.
pub const PROBE_TIMEOUT_MS: u32 = 1_000;
/// How often the names of servers are looked up where the file does not say, in milliseconds.
pub const RESOLVE_INTERVAL_MS: u32 = 30_000;
/// How long a graceful stop waits for clients to take their replies, in milliseconds.
pub const STOP_MS: u64 = 10_000;
/// How long requests may wait for a server that a new file has removed, in milliseconds, where the
/// pool's timeout is not shorter.
pub const DRAIN_MS: u64 = 60_000;
/// Batches of requests to a server for which an idle connection keeps room.
pub const IDLE_BATCHES: usize = 256;
/// Connections to the admin port at a time; for one more, that which was silent longest is closed.
pub const ADMIN_CLIENTS: usize = 64;
/// How long such a connection may take for the head of its first request, or of the next, in
/// milliseconds: no usual interval of a scraper, which would meet the connection as it closes.
pub const ADMIN_HEAD_MS: u64 = 7_000;
/// That a client was turned away, for there are too many, is told once in so many milliseconds,
/// with how often it happened.
pub const FULL_COMPLAINT_MS: u64 = 1_000;
/// That its places have run out is told once in so many milliseconds, with how often it happened.
pub const ADMIN_COMPLAINT_MS: u64 = 10_000;
/// Reloads that may be asked for while one is under way; who asks for more waits.
pub const RELOADS: usize = 8;
/// Pause between two looks at whether the configuration file has changed, in milliseconds.
pub const WATCH_MS: u64 = 1_000;
/// Pause after a connection could not be accepted, in milliseconds.
pub const ACCEPT_PAUSE_MS: u64 = 100;
/// Most client connections at a time, if the operating system allows as many files.
pub const CLIENTS: usize = 1_000_000;
/// Fewer than so many are worth a line in the log: Redis's default of `maxclients`.
pub const FEW_CLIENTS: usize = 10_000;
/// Files that are kept free for other things than clients.
pub const SPARE_FILES: usize = 64;
/// Longest configuration file, in bytes.
pub const CONFIG_BYTES: usize = 4 * 1024 * 1024;
/// Longest password in a file of its own, in bytes.
pub const SECRET_BYTES: usize = 4 * 1024;
/// Longest file of certificates or of a key, in bytes.
pub const PEM_BYTES: usize = 4 * 1024 * 1024;
/// How long a client's TLS handshake may take, in milliseconds.
pub const TLS_HANDSHAKE_MS: u64 = 5_000;
/// Handshakes that fail are told once in so many milliseconds for each pool and worker; how many
/// were left out is told with the next.
pub const TLS_COMPLAINT_MS: u64 = 1_000;
/// Most problems that are told of one configuration file.
pub const CONFIG_PROBLEMS: usize = 100;
/// Connections that may wait at a store's listener.
pub const BACKLOG: u32 = 1024;
/// Keys that the background removes in a row because their time is up.
pub const EXPIRE_BUDGET: usize = 1000;
/// Most keys that are looked at to find one to evict.
pub const EVICTION_SAMPLES: u32 = 1000;
/// Keys that one command evicts at most to make room, unless `maxmemory-eviction-tenacity` says
/// otherwise.
pub const EVICTIONS: usize = 64;
/// How long after a look at what is counted the next one comes, for rates, in microseconds (Redis:
/// the same).
pub const LOOK_AT_RATES_US: u64 = 100_000;
/// From so many looks on, the oldest is forgotten (Redis: the same).
pub const RATES: usize = 16;
/// How often a second the background looks for what is due, if it is not told (Redis: `hz`) …
pub const HZ: u64 = 10;
/// … and at most.
pub const HZ_MOST: u64 = 500;
/// Elements that SRANDMEMBER and its kin choose at most if an element may come more than once.
pub const RANDOM_ELEMENTS: usize = 1024 * 1024;
/// Connections that ask for nutcracker's statistics at a time.
pub const STATS_CLIENTS: usize = 64;
/// How long such a connection may take to read them, in milliseconds.
pub const STATS_MS: u64 = 5_000;
/// How long it may stay after that, in milliseconds.
pub const STATS_LINGER_MS: u64 = 500;
/// Highest of nutcracker's log levels.
pub const VERBOSITY: u8 = 11;
/// A node begins a ring alone when no seed has answered for so many milliseconds.
pub const ALONE_AFTER_MS: u64 = 3_000;
/// Pause of a node that has found no other, doubled each time. All nodes may be started at once,
/// and the first is only a little earlier than the rest.
pub const FIRST_JOIN_PAUSE_MS: u64 = 20;
/// From how many milliseconds on a command is slow, if the command line does not say (Redis: 10).
pub const SLOWLOG_MS: f64 = 10.0;
/// Slow commands that are kept where the command line does not say (Redis: 128).
pub const SLOWLOG_ENTRIES: usize = 128;
/// Most slow commands that may be kept.
pub const SLOWLOG_MOST: u32 = 1_000_000;
/// Samples of one event of LATENCY that are kept (Redis: 160).
pub const LATENCY_SAMPLES: usize = 160;
/// Words of a slow command that are shown (Redis: 32).
pub const SLOWLOG_WORDS: usize = 32;
/// Bytes of such a word that are shown (Redis: 128).
pub const SLOWLOG_WORD_BYTES: usize = 128;
/// Of slow commands that a server answered at a time, how many are logged: a stall that thousands
/// have waited for shall not push everything else out.
pub const SLOW_TOGETHER: usize = 4;
/// Most words of a command that counts as quick.
pub const QUICK_WORDS: usize = 16;
/// Of those that come many at a time, one in so many is timed alone: a power of two.
pub const QUICK_TIMED: u64 = 256;
/// Bytes of requests that are kept whole while they wait for their replies, so that the slow log
/// can show them. Of those written in larger runs …
pub const SENT_BYTES: usize = 64 * 1024;
/// … so many of each.
pub const SENT_BEGINNING_BYTES: usize = 512;
/// Buffers of such requests that a connection keeps to use them again.
pub const SENT_SPARE: usize = 4;
/// Largest of them, in bytes.
pub const SENT_SPARE_BYTES: usize = 16 * 1024;
/// How long a thread goes on from what it last read of the clock that people set, in microseconds.
pub const CLOCK_US: u64 = 100_000;
/// How long a look at both clocks may take, in microseconds, before it is tried again.
pub const CLOCK_LOOK_US: u64 = 20;
/// How often that is tried.
pub const CLOCK_LOOKS: usize = 4;
/// By how much time does not go back when the clock that people set is looked at, in microseconds.
pub const CLOCK_TRIFLE_US: u64 = 1_000;
/// Longest Thrift IDL file that a call reads, in bytes.
pub const IDL_BYTES: u64 = 4 * 1024 * 1024;
/// Most words in one of them.
pub const IDL_WORDS: usize = 1024 * 1024;
/// Most of them, includes of includes counted.
pub const IDL_FILES: usize = 1000;
/// Deepest nesting of types and constants in them, of values in a call's body, and of names that
/// stand for names.
pub const IDL_DEPTH: usize = 32;
/// Most bytes of a wrong value that an error shows.
pub const SHOWN_BYTES: usize = 100;
/// Deepest nesting of brackets on a call's command line.
pub const SHON_DEPTH: usize = 32;
/// Longest file with a list of peers, in bytes.
pub const PEERLIST_BYTES: u64 = 4 * 1024 * 1024;
/// Longest head or body that a call reads from a file or from standard input, in bytes.
pub const CALL_BYTES: u64 = 16 * 1024 * 1024;
/// Most calls that a benchmark of calls keeps in flight.
pub const BENCH_IN_FLIGHT: u64 = 65_536;
/// Most connections that it spreads them over.
pub const BENCH_CONNECTIONS: u64 = 4096;
/// Deepest nesting of JSON that the HTTP door takes.
pub const JSON_DEPTH: usize = 256;
/// Keys that one look at a page of them visits.
pub const KEYS_VISITED: usize = 100_000;
/// Longest body of a request over HTTP, in bytes.
pub const HTTP_BODY_BYTES: usize = 64 * 1024 * 1024;
/// Longest head of such a request, in bytes: its first line and its headers.
pub const HTTP_HEAD_BYTES: usize = 64 * 1024;
/// Longest key that a request over HTTP may name, in its path or in its body, in bytes.
pub const HTTP_KEY_BYTES: usize = 32 * 1024;
/// How long a client may take to send the head of a request, in milliseconds; in as much time, part
/// of a body has to come, and part of an answer has to be taken.
pub const HTTP_PATIENCE_MS: u64 = 30_000;
/// How many bytes of a body have to come in that time.
pub const HTTP_PART_BYTES: u64 = 4 * 1024;
/// How long a connection over HTTP may stay without a request, in milliseconds.
pub const HTTP_IDLE_MS: u64 = 600_000;
/// Requests that one connection of HTTP/2 may have under way.
pub const HTTP_STREAMS: u32 = 128;
/// A store that may take less than this many bytes is probably not meant so.
pub const SMALL_STORE_BYTES: u64 = 1_000_000;
/// Prefixes of keys by which memcached's requests are counted.
pub const COUNTED_PREFIXES: usize = 10_000;
/// Versions that a condition may name.
pub const TAGS: usize = 64;
/// Keys that one bulk request may name.
pub const BULK_KEYS: usize = 1000;
/// Keys in a page of them, where the request does not say.
pub const PAGE_KEYS: usize = 1000;
/// Most keys in a page of them.
pub const PAGE_MOST_KEYS: usize = 100_000;
/// From how many bytes on a list of keys is sent as it is made.
pub const KEYS_BYTES: usize = 1024 * 1024;
/// How often a watcher hears that its connection lives, in milliseconds.
pub const HEARTBEAT_MS: u64 = 15_000;
/// Pieces of an answer that wait for a client to take them.
pub const PIECES: usize = 4;
/// How long a call between nodes may take before the connection that carries it is given up. Each
/// request in it has a time of its own, which is shorter.
pub const CALL_LIFE: std::time::Duration = std::time::Duration::from_secs(600);
/// Largest buffer of calls to be written that an idle connection to another node keeps, in bytes.
pub const KEPT_CALL_BYTES: usize = 64 * 1024;
/// How long a forwarded request may wait for its reply, in milliseconds; a long one longer by a
/// millisecond for each [`FORWARD_BYTES`] of it.
pub const FORWARD_MS: u64 = 5_000;
/// See [`FORWARD_MS`].
pub const FORWARD_BYTES: usize = 20_000;
/// Pauses before a request is sent again whose keys the other node does not own, as it sees it:
/// one of the two has not heard of a change of the ring yet. In milliseconds.
pub const MOVED_PAUSES_MS: [u64; 8] = [5, 10, 25, 50, 100, 200, 400, 800];
/// How often a node of a ring notes that it goes on, in milliseconds.
pub const BEAT_MS: u64 = 250;
/// After so many microseconds without that it has stood still.
pub const STILL_US: u64 = 2_000_000;
/// For how many microseconds it then executes nothing that other nodes have sent: less than they
/// try again.
pub const LATE_US: u64 = 500_000;
/// How long a node that leaves its ring still answers the others, so that they hear of it before
/// their requests fail, in milliseconds.
pub const LEAVE_MS: u64 = 300;
/// How long clients that connect wait for the node to find its ring, in milliseconds.
pub const JOIN_MS: u64 = 10_000;
/// How long a command that waits for an element goes on asking who owns its keys, while those who
/// do cannot be reached or do not agree. Long enough to find that a node is dead.
pub const WAIT_ANEW: std::time::Duration = std::time::Duration::from_secs(30);
/// How long a forwarded command may wait for an element that waits for ever: the connection between
/// the nodes ends sooner, if it is broken.
pub const WAITING_CALL: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);
/// How often a random key is drawn where those of other nodes may be among them.
pub const RANDOM_KEYS: usize = 100;
