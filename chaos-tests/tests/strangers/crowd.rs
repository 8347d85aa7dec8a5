//! A thousand clients whose certificates are another authority's, each from an address of its own, and one that may.
#![expect(clippy::print_stdout, reason = "how long calls took, for the record of the run")]

use super::{PORT_BASE, impostor, trust, user};
use sekisho_chaos::federation::Federation;
use sekisho_transport::address::Address;
use sekisho_transport::credential::Identity;
use sekisho_transport::dial::{DialError, Dialer};
use sekisho_transport::pki::Issuer;
use sekisho_transport::verify::Expect;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Clients with certificates that nobody knows.
const CROWD: u16 = 1000;
/// Calls of the one that may, each on a connection of its own.
const CALLS: u32 = 60;
/// Pause of a client between two attempts: five thousand a second come in all.
const PAUSE: Duration = Duration::from_millis(200);

struct Count {
    /// A permit for each client that has begun.
    begun: Semaphore,
    attempts: AtomicU64,
    /// The member did its part of the handshake.
    looked_at: AtomicU64,
    over: AtomicBool,
}

/// One of the crowd, until it is over.
async fn stranger(number: u16, dialer: Dialer, count: Arc<Count>) {
    let [high, low] = number.to_be_bytes();
    let dialer = dialer.leaving(IpAddr::from([127, 2, high, low]));
    let to = Address::from(SocketAddr::from(([127, 0, 0, 1], PORT_BASE)));
    count.begun.add_permits(1);
    while !count.over.load(Ordering::Relaxed) {
        count.attempts.fetch_add(1, Ordering::Relaxed);
        let dialled = dialer.connect(&to, &Expect::AnyMember).await;
        if let Err(DialError::Connect(_, why)) = &dialled {
            assert_ne!(why.kind(), ErrorKind::AddrNotAvailable, "no address of its own");
        }
        if let Ok(mut conn) = dialled {
            count.looked_at.fetch_add(1, Ordering::Relaxed);
            assert!(conn.read_u8().await.is_err(), "a stranger was answered");
        }
        // waits: whoever is turned away comes again after a while; this is how many come in a second.
        tokio::time::sleep(PAUSE).await;
    }
}

/// Calls of somebody who may; the time that half of them took at most, and the longest.
async fn calls(federation: &Federation, admin: &Identity) -> (Duration, Duration) {
    let mut times = Vec::new();
    for _ in 0..CALLS {
        let began = Instant::now();
        for answer in super::ask(federation, Some(admin.clone())).await {
            answer.unwrap();
        }
        times.push(began.elapsed());
    }
    times.sort();
    let half = times.get(times.len() / 2).copied().unwrap_or_default();
    (half, times.last().copied().unwrap_or_default())
}

pub(crate) async fn slows_nobody(federation: &Federation) {
    let admin = Identity::load(&federation.dir().join("operators/kanto/users/admin")).unwrap();
    let quiet = calls(federation, &admin).await;
    let dialer = Dialer::new(Some(impostor()), trust(federation));
    let count = Arc::new(Count {
        begun: Semaphore::new(0),
        attempts: AtomicU64::default(),
        looked_at: AtomicU64::default(),
        over: AtomicBool::default(),
    });
    let mut crowd = JoinSet::new();
    for number in 0..CROWD {
        crowd.spawn(stranger(number, dialer.clone(), Arc::clone(&count)));
    }
    drop(count.begun.acquire_many(u32::from(CROWD)).await.unwrap());
    let began = count.attempts.load(Ordering::Relaxed);
    let crowded = calls(federation, &admin).await;
    let during = count.attempts.load(Ordering::Relaxed).saturating_sub(began);
    count.over.store(true, Ordering::Relaxed);
    while let Some(ended) = crowd.join_next().await {
        ended.unwrap();
    }
    let looked_at = count.looked_at.load(Ordering::Relaxed);
    for (what, (p50, most)) in [("quiet", quiet), ("crowd", crowded)] {
        println!("{what}: a connection and two calls, p50 and most: {p50:?} {most:?}");
    }
    let attempts = count.attempts.load(Ordering::Relaxed);
    println!(
        "{attempts} attempts of strangers, {during} of them meanwhile; looked at: {looked_at}"
    );
    assert!(looked_at > 0 && looked_at < attempts / 2, "{looked_at} of {attempts}");
    // And whoever is one of a kind with them is let in when they are gone.
    let issuer = Issuer::load(&federation.dir().join("operators/hokuto"));
    for answer in super::ask(federation, Some(user(&issuer.unwrap(), "mallory"))).await {
        answer.unwrap_err();
    }
}
