//! Specs that say nothing, something else, or what cannot be.

use crate::stage::Stage;
use sekisho_chaos::work::{spec, submit};
use sekisho_types::error_code::ErrorCode;

const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const AUTH: i32 = 4;
const CONFLICT: i32 = 5;
const WOULD_WAIT: i32 = 10;
const NEVER: i32 = 11;

/// Four of the six GPUs of the tenant's quota, and all of the only node that has four, are taken from here on.
pub(crate) fn occupy(stage: &Stage) -> String {
    let script = "exec sleep 600";
    let holder = submit(&stage.federation, "holder", &spec("holder", 1, 4, "Hokkaido", script));
    stage.federation.await_job(&holder.unwrap(), &["running"]).unwrap();
    "sapporo/holder".to_owned()
}

fn submit_bad(
    stage: &mut Stage,
    what: &str,
    text: &str,
    (code, exit): (ErrorCode, i32),
    words: &[&str],
) {
    let file = stage.file("bad.yaml", text);
    let answer = stage.federation.run("sapporo", &["job", "submit", &file]).unwrap();
    stage.refused(what, &answer, (code, exit), words);
}

pub(crate) fn malformed_or_unknown(stage: &mut Stage) {
    let good = spec("bad", 1, 1, "", "true");
    let broken = good.replace("\"true\"] }", "\"true\"");
    assert_ne!(good, broken);
    let place = ["line 7, column "];
    submit_bad(stage, "malformed YAML", &broken, (ErrorCode::SpecSyntax, USAGE), &place);
    let misspelt = good.replace("resources:", "resuorces:");
    let words = ["line 4, column 1", "field `resuorces` does not exist; did you mean `resources`?"];
    let code = ErrorCode::SpecUnknownField;
    submit_bad(stage, "an unknown field", &misspelt, (code, USAGE), &words);
}

/// 中区 of Hamamatsu, until 2023.
pub(crate) fn retired_area(stage: &mut Stage) {
    let retired = spec("bad", 1, 1, "'221317'", "true");
    let words = ["line 5, column ", "residency.areas[0]", "221317", "now: 221384"];
    submit_bad(stage, "a retired area", &retired, (ErrorCode::AreaRetired, USAGE), &words);
}

/// "Never" and "not yet" are two answers, for programs and for people.
pub(crate) fn impossible_for_ever_or_for_now(stage: &mut Stage) {
    for (what, gpus, area, exit, verdict, binding) in [
        ("more GPUs than any node has", 16, "Hokkaido", NEVER, "never", "NO_DEVICE"),
        ("a place without a site", 1, "JP-47", NEVER, "never", "RESIDENCY_AREA"),
        ("GPUs that are in use", 4, "Hokkaido", WOULD_WAIT, "would_wait", "CAPACITY_FULL"),
        ("what is left", 2, "Hokkaido", 0, "placed_now", ""),
    ] {
        let file = stage.file("plan.yaml", &spec("bad", 1, gpus, area, "true"));
        let plan = |more: &[&str]| {
            let args = [&["job", "plan", &file], more].concat();
            stage.federation.run("sapporo", &args).unwrap()
        };
        let told = plan(&["-o", "json"]);
        assert_eq!(told.code, exit, "{what}: {told:?}");
        let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
        assert_eq!(told["verdict"], verdict, "{what}");
        assert_eq!(told["binding"].as_str().unwrap_or_default(), binding, "{what}: {told}");
        let shown = plan(&[]);
        assert_eq!(shown.code, exit, "{what}");
        assert!(shown.stdout.contains(binding), "{what}: {}", shown.stdout);
        assert_eq!(stage.unchanged(what), Vec::<String>::new());
    }
}

/// One bad command of a batch, and nothing of the others is left.
pub(crate) fn one_of_a_batch(stage: &mut Stage) {
    let fresh = stage.file("fresh.yaml", &spec("fresh", 1, 1, "Hokkaido", "true"));
    let again = stage.file("again.yaml", &spec("holder", 1, 1, "Hokkaido", "true"));
    let of_another = spec("other", 1, 1, "", "true").replace("tenant: sapporo", "tenant: osaka");
    let other = stage.file("other.yaml", &of_another);
    let run = |stage: &Stage, context, args: &[&str]| stage.federation.run(context, args).unwrap();
    let answer = run(stage, "sapporo", &["job", "submit", &fresh, &again]);
    let words = ["item 1 of the batch", "sapporo/holder"];
    stage.rejected("a job that exists", &answer, (ErrorCode::AlreadyExists, CONFLICT), &words);
    let answer = run(stage, "sapporo", &["job", "cancel", "sapporo/holder", "sapporo/fresh"]);
    let words = ["item 1 of the batch", "sapporo/fresh"];
    stage.rejected("a job that is not there", &answer, (ErrorCode::NotFound, NOT_FOUND), &words);
    let answer = run(stage, "sapporo", &["job", "submit", &fresh, &other]);
    let words = ["osaka/other is of another tenant than sapporo"];
    stage.refused("jobs of two tenants", &answer, (ErrorCode::InvalidArgument, USAGE), &words);
    let answer = run(stage, "kanto", &["node", "cordon", "tokyo-1/n-01", "ishikari-1/n-01"]);
    let words = ["may not"];
    stage.refused("another's node", &answer, (ErrorCode::PermissionDenied, AUTH), &words);
}

/// After all of it: what ran runs, and what is good is done.
pub(crate) fn still_serves(stage: &Stage, holder: &str) {
    stage.federation.await_job(holder, &["running"]).unwrap();
    let file =
        |name: &str| stage.file(&format!("{name}.yaml"), &spec(name, 1, 1, "Hokkaido", "true"));
    let files = ["good", "better"].map(file);
    let args = ["job", "submit", &files[0], &files[1], "--wait", "ended"];
    let told = stage.federation.run("sapporo", &args).unwrap();
    assert_eq!(told.code, 0, "{told:?}");
    for name in ["good", "better"] {
        let queued = format!("tenants/sapporo/jobs/{name} queued (revision ");
        assert!(told.stdout.contains(&queued), "{told:?}");
        stage.federation.await_job(&format!("sapporo/{name}"), &["succeeded"]).unwrap();
    }
}
