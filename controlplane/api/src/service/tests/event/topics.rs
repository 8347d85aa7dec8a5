//! Every kind of row: listed, followed, filtered by name, and for whoever may read it alone.

use super::*;
use sekisho_fsm::testing::key;
use sekisho_proto::name::{BreakGlassId, Resource as _};
use sekisho_types::id::TenantId;
use sekisho_types::joint::Joint;
use sekisho_types::jurisdiction::Area;
use sekisho_types::principal::{KeyRecord, Role};
use sekisho_types::quota::Allotment;
use sekisho_types::residency::Rules;

const REST: [Topic; 14] = [
    Topic::Sites,
    Topic::Tenants,
    Topic::Policies,
    Topic::Quotas,
    Topic::Keys,
    Topic::Landmarks,
    Topic::Members,
    Topic::Approvals,
    Topic::BreakGlasses,
    Topic::Budgets,
    Topic::Escrows,
    Topic::Offers,
    Topic::Vetoes,
    Topic::Reservations,
];

fn only(topic: Topic, names: &[&str]) -> v1::WatchRequest {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    v1::WatchRequest { names, ..ask(&[topic]) }
}

/// Changes one row of each kind but landmarks; the names of those that the log names: a key, an approval, a break-glass.
fn administer(federation: &mut Federation) -> [String; 3] {
    federation.policy("near", Rules::default());
    let tenant: TenantId = federation.tenant("otaru", Limit::Gpus(8));
    share(federation, &tenant);
    federation.quota(&tenant, Limit::None);
    let site = "ishikari-1".parse().unwrap();
    federation.accept(admin("hokuto"), Command::RevokeSite { site });
    let (member, address) = (MemberId(3), "127.0.0.1:9".to_owned());
    federation.accept(admin("kanto"), Command::SetMemberAddress { member, address });
    let of = user("kanto", "otaru");
    let (public, principal) = (user_key(&of).public(), of.clone());
    federation.accept(admin("kanto"), Command::RevokeKey { principal, key: public });
    let (now, class) = (federation.state.clock(), testing::CLASS.parse().unwrap());
    let tenant: TenantId = "sapporo".parse().unwrap();
    let area = Area::Japan;
    let expected = federation.state.quota_revision(&tenant, &class, area);
    let allotment = Allotment::own(Limit::Gpus(20));
    let joint = Joint::SetQuota { tenant, class, area, allotment, expected };
    let expires = now.plus_ms(60_000);
    federation.accept(admin("kanto"), Command::Propose { joint: Box::new(joint), expires });
    let reason = "a node that burns".to_owned();
    federation.accept(admin("naniwa"), Command::BreakGlass { reason, until: expires });
    let (id, _) = federation.state.approvals().next().unwrap();
    let (opened, _) = federation.state.break_glasses().next().unwrap();
    let key = format!("operators/kanto/users/otaru/keys/{public}");
    [key, id.name(), BreakGlassId(*opened).name()]
}

#[tokio::test(start_paused = true)]
async fn every_kind_is_listed_followed_and_resumed() {
    let fake = fake();
    fake.replica.elsewhere(Federation::landmarks);
    let (api, who) = (api(&fake), admin("hokuto"));
    let (mut client, mut stream) = watching(&api, &who, &ask(&REST)).await;
    let kinds = ["sites/", "tenants/", "/quotas/", "/keys/", "/landmarks/", "members/", "/offers/"];
    for kind in kinds {
        assert!(client.rows.keys().any(|name| name.contains(kind)), "{kind}: {:?}", client.rows);
    }
    client.told();
    let changed = fake.replica.elsewhere(administer);
    client.follow(&mut stream, revision(&fake)).await.unwrap();
    let mut told = client.told();
    told.sort();
    let quota = format!("tenants/otaru/quotas/{}", testing::CLASS);
    let escrow = format!("sites/tokyo-1/escrows/otaru.{}", testing::CLASS);
    let [revoked, approval, glass] = &changed;
    let mut expected = [
        "members/3",
        revoked,
        approval,
        glass,
        "policies/near",
        "sites/ishikari-1",
        // Nobody offers what is taken out.
        "sites/ishikari-1/offers/all",
        "tenants/otaru",
        &quota,
        &escrow,
        "tenants/otaru/budgets/month",
        "sites/tokyo-1/offers/spare",
        "operators/naniwa/vetoes/otaru",
        "tenants/otaru/reservations/night",
    ];
    expected.sort_unstable();
    assert_eq!(told, expected, "each once, those that are gone again among them");
    assert!(!client.rows.contains_key(revoked) && !client.rows.contains_key(&quota));
    drop(stream);
    // Away: a landmark goes.
    let gone = client.rows.keys().find(|name| name.contains("/landmarks/")).unwrap().clone();
    let (operator, name) = (gone.split('/').nth(1).unwrap(), gone.rsplit('/').next().unwrap());
    let id = format!("{operator}/{name}");
    fake.replica.elsewhere(|federation| {
        let remove = federation.removal(&id);
        federation.accept(admin(operator), remove)
    });
    let again = resume(&ask(&REST), client.bookmark.unwrap());
    let mut stream = watch(&api, &who, &again).await.unwrap();
    client.follow(&mut stream, revision(&fake)).await.unwrap();
    assert!(client.told().contains(&gone) && !client.rows.contains_key(&gone));
    assert_eq!(client.rows, listed(&fake, &ask(&REST)).await);
}

#[tokio::test(start_paused = true)]
async fn names_and_parents_choose_rows() {
    let fake = fake();
    fake.replica.elsewhere(Federation::landmarks);
    let (api, who) = (api(&fake), admin("kanto"));
    let trains = only(Topic::Jobs, &["tenants/sapporo/jobs/train-*", "tenants/*/jobs/one"]);
    let (mut client, mut stream) = watching(&api, &who, &trains).await;
    for name in ["train-1", "other", "one"] {
        submit(&fake, name);
    }
    client.follow(&mut stream, revision(&fake)).await.unwrap();
    assert_eq!(client.told(), ["tenants/sapporo/jobs/train-1", "tenants/sapporo/jobs/one"]);
    fake.replica.elsewhere(|federation| share(federation, &"sapporo".parse().unwrap()));
    let of = |topic, parent: &str| v1::WatchRequest { parent: parent.into(), ..ask(&[topic]) };
    for (ask, prefix) in [
        (of(Topic::Sites, "sites/tokyo-1"), "sites/tokyo-1"),
        (of(Topic::Tenants, "tenants/sapporo"), "tenants/sapporo"),
        (of(Topic::Quotas, "tenants/sapporo"), "tenants/sapporo/quotas/"),
        (of(Topic::Budgets, "tenants/sapporo"), "tenants/sapporo/budgets/month"),
        (of(Topic::Escrows, "tenants/sapporo"), "sites/tokyo-1/escrows/sapporo."),
        (of(Topic::Offers, "sites/tokyo-1"), "sites/tokyo-1/offers/"),
        (of(Topic::Reservations, "tenants/sapporo"), "tenants/sapporo/reservations/night"),
        (of(Topic::Vetoes, "operators/naniwa"), "operators/naniwa/vetoes/sapporo"),
        (of(Topic::Landmarks, "operators/hokuto"), "operators/hokuto/landmarks/"),
        (of(Topic::Keys, "operators/naniwa"), "operators/naniwa/users/"),
        (only(Topic::Members, &["members/2"]), "members/2"),
    ] {
        let rows = listed(&fake, &ask).await;
        let fits = |name: &String| name.starts_with(prefix);
        assert!(!rows.is_empty() && rows.keys().all(fits), "{prefix}: {rows:?}");
    }
    let many: Vec<&str> = vec!["x"; crate::limit::WATCH_NAMES_MAX + 1];
    let long = "x".repeat(crate::limit::WATCH_NAME_MAX + 1);
    for bad in [
        only(Topic::Jobs, &many),
        only(Topic::Jobs, &[&long]),
        of(Topic::Policies, "policies/near"),
        of(Topic::Members, "operators/kanto"),
        of(Topic::Keys, "tenants/sapporo"),
        of(Topic::Budgets, "sites/tokyo-1"),
        of(Topic::Reservations, "sites/tokyo-1"),
        of(Topic::Offers, "tenants/sapporo"),
        of(Topic::Vetoes, "tenants/sapporo"),
    ] {
        let refused = watch(&api, &who, &bad).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidArgument, "{:?}", bad.parent);
    }
}

#[tokio::test(start_paused = true)]
async fn each_topic_is_for_whoever_may_read_it() {
    let fake = fake();
    // Somebody who reads the status and nothing else.
    let principal = user("kanto", "watcher");
    fake.replica.elsewhere(|federation| {
        let public_key = user_key(&principal).public();
        let expires = testing::BEGIN.plus_ms(86_400_000);
        let record =
            KeyRecord { principal: principal.clone(), role: Role::Monitor, public_key, expires };
        let issuer = key("issuer", "kanto");
        let bytes = sekisho_evidence::canonical::encode(&record).unwrap();
        let issuer = issuer.sign(sekisho_evidence::key::Purpose::KeyRecord, &bytes);
        federation.accept(admin("kanto"), Command::RegisterKey { record, issuer });
    });
    let api = api(&fake);
    let all = [Topic::Jobs, Topic::Nodes].into_iter().chain(REST);
    let tenants = [
        Topic::Jobs,
        Topic::Tenants,
        Topic::Quotas,
        Topic::Budgets,
        Topic::Escrows,
        Topic::Reservations,
    ];
    let tenant = user("kanto", "sapporo");
    for topic in all {
        let code = async |who: &Principal, ask: v1::WatchRequest| {
            loop {
                let refused = watch(&api, who, &ask).await.err().map(|error| error.code);
                if refused != Some(ErrorCode::Overloaded) {
                    return refused;
                }
                // The places of those before are about to come back.
                tokio::task::yield_now().await;
            }
        };
        let denied = Some(ErrorCode::PermissionDenied);
        let of_all = tenants.contains(&topic);
        let due = if topic == Topic::Members { None } else { denied };
        assert_eq!(code(&principal, ask(&[topic])).await, due, "monitor, {topic:?}");
        let of_few = [Topic::Approvals, Topic::Vetoes].contains(&topic);
        let due = if of_all || of_few { denied } else { None };
        assert_eq!(code(&tenant, ask(&[topic])).await, due, "tenant, {topic:?}");
        assert_eq!(code(&admin("naniwa"), ask(&[topic])).await, None, "{topic:?}");
        if of_all {
            let own = v1::WatchRequest { parent: "tenants/sapporo".into(), ..ask(&[topic]) };
            assert_eq!(code(&tenant, own).await, None, "own, {topic:?}");
            let other = v1::WatchRequest { parent: "tenants/otaru".into(), ..ask(&[topic]) };
            assert_eq!(code(&tenant, other).await, Some(ErrorCode::NotFound), "{topic:?}");
        }
    }
}
