//! Bounds of this crate, each with its reason.

use std::time::Duration;

/// From accepted socket to authenticated peer. A full handshake takes 2 ms of CPU and two round trips; whoever
/// needs longer holds a slot that another peer waits for.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Handshakes in progress at once on one listener: 256 of them are half a second of one core.
pub const HANDSHAKES_MAX: usize = 256;

/// Connections that the kernel holds until their handshake may begin; the next dialler's packets are dropped, and it tries
/// again a second later. Few: those in front of them take half a second each, and whoever has waited for longer than
/// [`HANDSHAKE_TIMEOUT`] is gone when its turn comes. With a long queue a member that many come to at once would do
/// nothing but handshakes with those that have left.
pub const BACKLOG: u32 = 128;

/// Authenticated connections of one listener: 10,000 agents, their re-dials, members and users.
pub const CONNECTIONS_MAX: usize = 16_384;

/// Authenticated connections of one principal on one listener: a thirty-second of all, so that no client takes the place of
/// the agents. A bench or a console with hundreds of panes needs fewer.
pub const CONNECTIONS_PER_PEER: usize = 512;

/// Handshakes that failed, or never came, within [`TROUBLE_WINDOW`] or two of it, from which on sources are told apart. Less
/// than one wave of [`HANDSHAKES_MAX`]; far more than a fleet whose certificates ended shows by itself.
pub const TROUBLE_FAILURES: u32 = 64;

/// For how long a failed handshake counts, at least; at most twice as long.
pub const TROUBLE_WINDOW: Duration = Duration::from_secs(10);

/// For how long a source is remembered that had a good handshake, at least: agents come back within a lease, people within a
/// working hour.
pub const STANDING_KEPT: Duration = Duration::from_secs(3600);

/// Failures of one source within the window from which on its good handshake says nothing: a host whose certificate ended
/// dials a few times.
pub const SOURCE_FAILURES: u32 = 16;

/// Sources of which something is remembered, in each half of a time; three MiB at most.
pub const SOURCES_KEPT: usize = 16_384;

/// Handshakes in progress of all sources without standing, while many fail: a quarter of [`HANDSHAKES_MAX`].
pub const UNKNOWN_AT_ONCE: usize = 64;

/// The same of one such source.
pub const UNKNOWN_PER_SOURCE: usize = 8;

/// The same in a second: two milliseconds each are a tenth of a core.
pub const UNKNOWN_PER_SECOND: u32 = 50;

/// Anonymous connections of one listener: joining is rare, and these peers have proven nothing.
pub const ANONYMOUS_MAX: usize = 64;

/// Anonymous connections of one source, an address or a /64: a quarter of all, so that one host without a certificate keeps
/// nobody else from joining or logging in. Sixteen hosts or people behind one address may come within a second.
pub const ANONYMOUS_PER_SOURCE: usize = 16;

/// Life of an anonymous connection: a join takes under a second.
pub const ANONYMOUS_LIFETIME: Duration = Duration::from_secs(60);

/// Handshaken connections that wait for the server to take them.
pub const ACCEPT_QUEUE: usize = 64;

/// Pause after a failed `accept`: with no file descriptor left the call fails at once, again and again.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One TCP connect: covers two lost SYNs between any two places in Japan.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Addresses tried for one host name.
pub const ADDRESSES_MAX: usize = 8;

/// Resolvers that may be set, which are asked at once: two of one's own, and one for when both are down.
pub const RESOLVERS_MAX: usize = 3;

/// One question to a resolver: it stands at the site or near it, and asks on where it does not know.
pub const RESOLVER_TIMEOUT: Duration = Duration::from_secs(1);

/// Repetitions of a question that got no answer.
pub const RESOLVER_RETRIES: usize = 1;

/// One name as a whole, over TCP as well where the answer fits no datagram. As long as one connect.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Answers of one resolver that are kept: both families of each member and landmark, with room for what they are called.
pub const NAMES_KEPT: u64 = 512;

/// Longest time that an answer is kept, if its own is longer: a member that moves is found again by then.
pub const NAME_KEPT_MAX: Duration = Duration::from_secs(300);

/// Longest time that "no such name" is kept: dials come back every few seconds, and a corrected name is to be seen soon.
pub const NAME_MISSED_MAX: Duration = Duration::from_secs(5);

/// Silence after which TCP probes the peer. Below the lease, so that a dead path is found within it.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);

/// Time between two TCP probes.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);

/// Unanswered TCP probes after which the connection is dead.
pub const KEEPALIVE_PROBES: u32 = 3;

/// Age of unacknowledged data at which the connection is dead: without it a cut path keeps a writer for minutes.
pub const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);

/// HTTP/2 ping interval on dialled channels: finds a peer whose kernel answers but whose process does not.
pub const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Time for the answer to an HTTP/2 ping.
pub const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// HTTP/2 window of one stream, bytes: 4 MiB keep a snapshot stream busy at 1 Gbit/s and 30 ms.
pub const STREAM_WINDOW: u32 = 4 * 1024 * 1024;

/// HTTP/2 window of one connection, bytes.
pub const CONNECTION_WINDOW: u32 = 2 * STREAM_WINDOW;

/// Addresses of one [`crate::leader::Endpoints`], hints included: seven voters and as many learners.
pub const ENDPOINTS_MAX: usize = 16;

/// One question to an identity provider as a whole, connecting included: it stands elsewhere, and may ask a directory.
pub const HTTPS_TIMEOUT: Duration = Duration::from_secs(10);

/// An identity provider's answer, bytes: its keys and its description of itself have some thousand.
pub const HTTPS_ANSWER_MAX: usize = 64 * 1024;

/// Certificate signing request, bytes: a P-384 one has under 1 KiB.
pub const CSR_MAX: usize = 16 * 1024;

/// Clocks of two sites may differ: a certificate is valid from this long before it is issued.
pub const BACKDATE: Duration = Duration::from_secs(300);

/// Life of an operator's root certificate.
pub const ROOT_LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Life of an issuer certificate.
pub const ISSUER_LIFETIME: Duration = Duration::from_secs(365 * 86_400);

/// Longest life of a member's or agent's certificate: sites without a controller renew once a week.
pub const LEAF_LIFETIME_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Longest life of a user's certificate: as long as the key beside it.
pub const USER_LIFETIME_MAX: Duration = sekisho_types::limit::LOGIN_LIFETIME_MAX;

/// Refused handshakes that wait to be written down; those beyond are counted.
pub const REFUSED_QUEUE: usize = 256;
