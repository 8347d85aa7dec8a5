//! A sealed payload is opened last, where its submitter let it be read.

use super::*;
use sekisho_evidence::key::SigningKey;
use sekisho_evidence::sealed::seal;
use sekisho_types::revision::KeyEpoch;

/// What alice submitted, sealed to Ishikari's first key and Tokyo's, and a grant of it at `node`.
fn sealed_grant(federation: &Federation, node: &str) -> (Grant, Fetched) {
    let grant = Grant { node: node.parse().unwrap(), ..federation.grant(10, 0) };
    let keys = [site_key("ishikari-1", 1), site_key("tokyo-1", 1)].map(|key| key.public().clone());
    let context = Context::of_job(federation.cluster, &grant.job).unwrap();
    let sealed = seal(PAYLOAD, &keys, &context, &[9; 32]).unwrap().0;
    federation.sealed(grant, &sealed)
}

fn site_key(site: &str, epoch: u32) -> SiteSecretKey {
    let tags = SigningKey::from_seed(&[21; 32]);
    let cluster = Federation::new().cluster;
    SiteSecretKey::derive(&tags, &cluster, site.parse().unwrap(), KeyEpoch(epoch)).unwrap()
}

#[test]
fn the_sealed_payload_opens_at_allowed_sites_only() {
    let federation = Federation::new();
    let (standing, devices, bundle) =
        (federation.standing("012351"), devices(1), federation.bundle());
    let location = &located();
    let host = Host { standing: &standing, location, devices: &devices, now: NOW };
    let start = |node: &str, keys: &[SiteSecretKey]| {
        let (grant, fetched) = sealed_grant(&federation, node);
        assert!(!fetched.payload.windows(PAYLOAD.len()).any(|part| part == PAYLOAD));
        let fetched = Fetched { keys: keys.to_vec(), ..fetched };
        check_start(host, &bundle, &grant, &fetched).map_err(|refused| refused.code)
    };
    let ishikari = || site_key("ishikari-1", 1);
    let tokyo = || site_key("tokyo-1", 1);
    assert_eq!(start("ishikari-1/n-01", &[ishikari()]), Ok(PAYLOAD.to_vec()));
    assert_eq!(start("tokyo-1/n-01", &[ishikari(), tokyo()]), Ok(PAYLOAD.to_vec()));
    let closed = Err(ErrorCode::PayloadNotSealed);
    // At a site that it is not sealed to, whatever keys a host there has; and at one of its sites without the very key.
    assert_eq!(start("sakai-1/n-01", &[site_key("sakai-1", 1), ishikari(), tokyo()]), closed);
    assert_eq!(start("ishikari-1/n-01", &[]), closed);
    assert_eq!(start("ishikari-1/n-01", &[tokyo(), site_key("ishikari-1", 2)]), closed);
    // A key that only bears the name of the site's.
    let seed = [3; 32];
    let posing = SiteSecretKey::from_seed("ishikari-1".parse().unwrap(), KeyEpoch(1), &seed);
    assert_eq!(start("ishikari-1/n-01", &[posing]), Err(ErrorCode::PayloadUnopenable));
}

#[test]
fn a_sealed_payload_is_of_its_job_and_as_its_submitter_sealed_it() {
    let federation = Federation::new();
    let (standing, devices, bundle) =
        (federation.standing("012351"), devices(1), federation.bundle());
    let location = &located();
    let host = Host { standing: &standing, location, devices: &devices, now: NOW };
    let keys = vec![site_key("ishikari-1", 1)];
    let code = |grant: &Grant, fetched: &Fetched| {
        let fetched = Fetched { keys: keys.clone(), ..fetched.clone() };
        check_start(host, &bundle, grant, &fetched).unwrap_err().code
    };
    let (grant, fetched) = sealed_grant(&federation, "ishikari-1/n-01");
    let other = Fetched { payload: PAYLOAD.to_vec(), ..fetched.clone() };
    assert_eq!(code(&grant, &other), ErrorCode::PayloadMismatch);
    // The same bytes, submitted under another name.
    let sealed = SealedPayload::parse(&fetched.payload).unwrap();
    let job = "city/other".parse().unwrap();
    let (moved, fetched) = federation.sealed(Grant { job, ..grant }, &sealed);
    assert_eq!(code(&moved, &fetched), ErrorCode::PayloadUnopenable);
}
