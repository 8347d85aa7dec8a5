//! A device is shared as its job's submitter signed, or nothing starts.

use super::*;

#[test]
fn a_share_that_the_submitter_did_not_agree_to_is_refused() {
    let federation = Federation::new();
    let (standing, devices, bundle) =
        (federation.standing("012351"), devices(1), federation.bundle());
    let location = &located();
    let host = Host { standing: &standing, location, devices: &devices, now: NOW };
    let start = |grant: &Grant, signed: &Grant| {
        let refused = check_start(host, &bundle, grant, &federation.fetched(signed));
        refused.map_err(|reason| reason.code)
    };
    let share = |with| Some(Share { device: Digest::of(b"GPU-0"), with });
    let agreed = federation.submitted(Grant {
        class: "h100-80g-shared".parse().unwrap(),
        share: share(Sharing::Tenant),
        ..federation.grant(10, 0)
    });
    assert_eq!(start(&agreed, &agreed), Ok(PAYLOAD.to_vec()));
    let refused = Err(ErrorCode::ShareRefused);
    let wider = Grant { share: share(Sharing::Any), ..agreed.clone() };
    assert_eq!(start(&wider, &agreed), refused, "with others than it agreed to");
    let alone = Grant { share: None, ..agreed.clone() };
    assert_eq!(start(&alone, &agreed), refused, "it is no share, and one was signed");
    let whole = federation.grant(10, 0);
    let shared = Grant { share: share(Sharing::Any), ..whole.clone() };
    assert_eq!(start(&shared, &whole), refused, "nobody agreed to share anything");
}
