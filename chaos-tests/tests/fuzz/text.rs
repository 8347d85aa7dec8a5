//! What people and partners write: names, addresses, specs, headers, certificates in text.

use crate::{Read, decoders};
use sekisho_cli::spec::{self, Override};
use sekisho_transport::address::Address;
use sekisho_transport::bundle::Bundle;
use sekisho_transport::credential::Identity;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::jurisdiction::Area;
use sekisho_types::position::Position;
use sekisho_types::principal::Principal;
use sekisho_types::quota::Limit;
use sekisho_types::revision::PlacementId;
use sekisho_types::time::Date;

fn text<T, E>(bytes: &[u8], parse: impl FnOnce(&str) -> Result<T, E>) -> Read {
    std::str::from_utf8(bytes).map_or(Read::Refused, |text| Read::any(parse(text)))
}

fn all(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

const SPEC: &str = "\
name: train
tenant: sapporo
group: 2
resources: { class: sim-h100, gpus: 2, memory_gib: 80 }
residency: { areas: [JP-01, 東京都], country_tier: T2, max_proof_age: 10m, operators: [kanto] }
run: { command: [\"/bin/sh\", \"-c\", \"echo ok\"], env: { A: \"1\" } }
time_limit: 1h
on_disconnect: stop
";

decoders! {
    spec: all(&[SPEC]), |bytes: &[u8]| text(bytes, |t| spec::parse(t, &Override::default(), Date { year: 2026, month: 11, day: 29 }));
    area: all(&["JP", "JP-13", "131016", "北海道", "札幌市", "Ｔｏｋｙｏ"]), |bytes: &[u8]| text(bytes, Area::resolve);
    principal: all(&["kanto/user/admin", "hokuto/site/ishikari-1/node/n-01", "naniwa/site/sakai-1/member/2"]),
        |bytes: &[u8]| text(bytes, str::parse::<Principal>);
    address: all(&["c1.kanto.example:7443", "127.0.0.1:1", "[2001:db8::1]:7443"]), |bytes: &[u8]| text(bytes, str::parse::<Address>);
    placement: all(&["p-1-20-0"]), |bytes: &[u8]| text(bytes, str::parse::<PlacementId>);
    position: all(&["35.686,139.764"]), |bytes: &[u8]| text(bytes, str::parse::<Position>);
    limit: all(&["none", "unlimited", "12"]), |bytes: &[u8]| text(bytes, |t| Limit::parse(t).ok_or(()));
    error_code: all(&["QUOTA_NONE"]), |bytes: &[u8]| text(bytes, |t| ErrorCode::parse(t).ok_or(()));
    tile: all(&["/tile/0/x001/234.p/5", "/tile/2/000", "/tile/entries/067"]),
        |bytes: &[u8]| text(bytes, |t| sekisho_evidence::tile::TilePath::parse(t).ok_or(()));
    duration: all(&["15s", "1h30m"]), |bytes: &[u8]| text(bytes, sekisho_cli::duration::seconds);
    trace: all(&["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]),
        |bytes: &[u8]| text(bytes, |t| sekisho_transport::trace::TraceContext::parse(t).ok_or(()));
    roots: [crate::sample::root_pem()], |bytes: &[u8]| text(bytes, |t| Bundle::from_pem("kanto".parse().unwrap(), t));
    identity: [crate::sample::chain_pem()], |bytes: &[u8]| text(bytes, |t| Identity::from_pem(t, crate::sample::key_pem()));
}
