//! Commands of another federation, and people of an operator that is not in this one.

use crate::stage::Stage;
use sekisho_cli::pki::{ISSUER_SIGN_FILE, OperatorDir, Plan};
use sekisho_evidence::genesis::GenesisSite;
use sekisho_transport::clock::SystemClock;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::{ClusterId, MemberId};
use sekisho_types::jurisdiction::Area;
use sekisho_types::principal::TrustDomain;
use sekisho_types::time::Clock as _;

const NOT_FOUND: i32 = 3;
const AUTH: i32 = 4;
const PRECONDITION: i32 = 6;

/// What a person of both federations signed for the other one means nothing here: signatures bind the cluster.
pub(crate) fn of_another_federation(stage: &mut Stage) {
    let mut contexts = stage.contexts();
    for context in contexts.context.values_mut() {
        context.cluster = ClusterId([0xee; 16]);
    }
    let [option, file] = stage.bent("elsewhere", &contexts);
    for (what, context, args) in [
        ("another federation's cordon", "kanto", vec!["node", "cordon", "tokyo-1/n-01"]),
        ("another federation's cancel", "sapporo", vec!["job", "cancel", "sapporo/holder"]),
    ] {
        let args = [&[option.as_str(), &file], &args[..]].concat();
        let answer = stage.federation.run(context, &args).unwrap();
        stage.rejected(what, &answer, (ErrorCode::SignatureInvalid, AUTH), &["signature of"]);
    }
}

pub(crate) fn of_an_operator_that_is_not_enrolled(stage: &mut Stage) {
    let answer = stage.federation.run("hyuga", &["job", "list"]).unwrap();
    let known = ["context `hyuga`", "known: hokuto, kanto, minato, naniwa, sapporo"];
    stage.refused("an unknown context", &answer, (ErrorCode::NotFound, NOT_FOUND), &known);

    // An operator as sound as the others, whom nobody has let in.
    let own = OperatorDir::new(stage.folder("hyuga"));
    let plan = Plan {
        operator: "hyuga".parse().unwrap(),
        trust_domain: TrustDomain::parse("hyuga.example").unwrap(),
        site: GenesisSite {
            site: "miyazaki-1".parse().unwrap(),
            operator: "hyuga".parse().unwrap(),
            area: Area::resolve("JP-45").unwrap(),
            display_name: String::new(),
        },
        members: vec![(MemberId(9), "127.0.0.1:9".to_owned())],
        admin: "admin".parse().unwrap(),
    };
    let card = own.init(&plan, &[], SystemClock.wall()).unwrap();
    let public = card.admins[0].record.public_key.to_string();
    let issuer = own.path().join(ISSUER_SIGN_FILE).to_string_lossy().into_owned();
    let args = ["key", "register", "hyuga/user/admin", "--role", "operator-admin"];
    let args = [&args[..], &["--public-key", &public, "--issuer-key", &issuer]].concat();
    let answer = stage.federation.run("kanto", &args).unwrap();
    let code = (ErrorCode::OperatorUnknown, PRECONDITION);
    stage.rejected("a key of an unknown operator", &answer, code, &["hyuga"]);
}
