//! An auditor's own tlog client, over real mutual TLS on loopback.

use super::*;
use crate::session::over_tls::{LIFE, Site, site};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use sekisho_evidence::checkpoint::verify_note;
use sekisho_evidence::merkle::leaf;
use sekisho_evidence::tile::unpack;
use sekisho_fsm::command::Command;
use sekisho_fsm::testing::{self, BEGIN, admin, member};
use sekisho_transport::credential::Identity;
use sekisho_transport::pki::Validity;
use sekisho_transport::verify::Expect;
use sekisho_types::id::MemberId;
use std::collections::BTreeMap;
use tlog_tiles::tile::{Tile, TileHashReader, TileReader};
use tlog_tiles::tlog::{self, Hash};
use tonic::transport::Channel;

/// A person of kanto, with a certificate for this name.
fn person(site: &Site, name: &str) -> Channel {
    let issuer = site.ca.issuer(&[], BEGIN).unwrap();
    let validity = Validity { now: BEGIN, lifetime: LIFE };
    let (issued, key) = issuer.issue_user(&name.parse().unwrap(), validity).unwrap();
    let identity = Identity::from_pem(&issued.chain_pem, key.expose()).unwrap();
    site.channel(Some(identity), &Expect::AnyMember)
}

async fn ask(channel: &Channel, method: Method, path: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let mut channel = channel.clone();
    std::future::poll_fn(|cx| Service::<Request<Body>>::poll_ready(&mut channel, cx))
        .await
        .unwrap();
    let (head, body) = channel.call(request).await.unwrap().into_parts();
    (head.status, head.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

async fn get(channel: &Channel, path: &str) -> (StatusCode, Vec<u8>) {
    let (status, _, bytes) = ask(channel, Method::GET, path).await;
    (status, bytes)
}

/// Tiles that were fetched before; what the library asks for beyond is noted.
#[derive(Default)]
struct Fetched {
    tiles: BTreeMap<String, Vec<u8>>,
    wants: Mutex<Vec<String>>,
}

impl TileReader for Fetched {
    fn height(&self) -> u8 {
        8
    }
    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog::Error> {
        let paths: Vec<String> = tiles.iter().map(|tile| TilePath::of(*tile)).collect();
        let lacks = paths.iter().filter(|path| !self.tiles.contains_key(*path)).cloned();
        self.wants.lock().extend(lacks);
        let found = paths.iter().map(|path| self.tiles.get(path).cloned());
        found.collect::<Option<_>>().ok_or(tlog::Error::InvalidTile)
    }
    fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
}

/// Has `prove` come to an answer, fetching the tiles that it wants.
async fn with_tiles<T>(
    channel: &Channel,
    fetched: &mut Fetched,
    prove: impl Fn(&Fetched) -> Result<T, tlog::Error>,
) -> T {
    loop {
        match prove(fetched) {
            Ok(proven) => return proven,
            Err(error) => {
                let wants = std::mem::take(&mut *fetched.wants.lock());
                assert!(!wants.is_empty(), "{error}");
                for path in wants {
                    let (status, bytes) = get(channel, &path).await;
                    assert_eq!(status, StatusCode::OK, "{path}");
                    fetched.tiles.insert(path, bytes);
                }
            }
        }
    }
}

/// Everybody signs what the member of kanto signed last.
fn cover(site: &Site) {
    let core = &site.fake.core;
    site.fake.replica.elsewhere(|f| f.accept(member("kanto"), Command::Tick));
    let state = core.replica.state();
    let bundle = &state.federation().unwrap().bundle;
    let head = core.heads.latest().unwrap();
    for endorser in &bundle.endorsers {
        let key = testing::checkpoint_key(endorser.member);
        let line = head.checkpoint.sign(&endorser.operator, endorser.member, &key).unwrap();
        core.note(bundle, endorser.member, &head.text, &line);
    }
}

#[tokio::test]
async fn a_tlog_client_proves_records_and_growth_from_tiles() {
    let site = site().await;
    let auditor = person(&site, "admin");
    assert_eq!(get(&auditor, CHECKPOINT).await.0, StatusCode::NOT_FOUND);
    // More than one tile of records.
    site.fake.replica.elsewhere(|f| {
        for n in 0..150_u32 {
            f.submit(testing::job(&format!("job-{n}"), 1, 1, &[]));
        }
    });
    cover(&site);
    let (status, headers, note) = ask(&auditor, Method::GET, CHECKPOINT).await;
    assert_eq!((status, headers[CACHE_CONTROL].to_str().unwrap()), (StatusCode::OK, NEVER));
    let state = site.fake.core.replica.state();
    let bundle = state.federation().unwrap().bundle.clone();
    let old = verify_note(&bundle, &note).unwrap().checkpoint.head;

    // A record, and what follows it.
    let size = old.size;
    let last = size - 1;
    let path = format!("/tile/entries/{:03}.p/{}", last / 256, size % 256);
    let (status, headers, entries) = ask(&auditor, Method::GET, &path).await;
    assert_eq!((status, headers[CACHE_CONTROL].to_str().unwrap()), (StatusCode::OK, FOR_EVER));
    let record = unpack(&entries).unwrap().pop().unwrap().to_vec();
    let mut fetched = Fetched::default();
    let root = Hash(old.root.0);
    let proof = with_tiles(&auditor, &mut fetched, |tiles| {
        tlog::prove_record(size, last, &TileHashReader::new(size, root, tiles))
    });
    tlog::check_record(&proof.await, size, root, last, Hash(leaf(&record).0)).unwrap();

    site.fake.replica.elsewhere(|f| {
        for n in 0..150_u32 {
            f.submit(testing::job(&format!("more-{n}"), 1, 1, &[]));
        }
    });
    cover(&site);
    let new = verify_note(&bundle, &get(&auditor, CHECKPOINT).await.1).unwrap().checkpoint.head;
    let (grown, new_root) = (new.size, Hash(new.root.0));
    assert!(grown > size && grown > 256);
    let mut fetched = Fetched::default();
    let proof = with_tiles(&auditor, &mut fetched, |tiles| {
        tlog::prove_tree(grown, size, &TileHashReader::new(grown, new_root, tiles))
    });
    tlog::check_tree(&proof.await, grown, new_root, size, root).unwrap();
    // A whole tile, which the library checks against the root as well.
    let (status, bytes) = get(&auditor, "/tile/0/000").await;
    assert_eq!((status, bytes.len()), (StatusCode::OK, 256 * 32));
}

#[tokio::test]
async fn tiles_are_for_auditors_at_home_and_there_when_the_log_has_them() {
    let site = site().await;
    let auditor = person(&site, "admin");
    cover(&site);
    let size = site.fake.core.replica.state().audit_size();
    let next = format!("/tile/0/000.p/{}", size + 1);
    for path in [next.as_str(), "/tile/0/001", "/tile/0/000.p/0", "/tile/9/000", "/tile/x"] {
        assert_eq!(get(&auditor, path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let here = format!("/tile/0/000.p/{size}");
    assert_eq!(get(&auditor, &here).await.0, StatusCode::OK);
    let (status, _, _) = ask(&auditor, Method::POST, &here).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let tenant = person(&site, "sapporo");
    for path in [CHECKPOINT, &here, "/tile/entries/000.p/1"] {
        let (status, body) = get(&tenant, path).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        assert!(body.starts_with(b"PERMISSION_DENIED"));
    }
    // D3: a company that has no place in Japan any more is sent nothing.
    let revoke = Command::RevokeSite { site: "tokyo-1".parse().unwrap() };
    site.fake.replica.elsewhere(|f| f.accept(admin("kanto"), revoke));
    assert_eq!(get(&auditor, &here).await.0, StatusCode::FORBIDDEN);
    assert_eq!(site.fake.core.identity.member, MemberId(2));
}
