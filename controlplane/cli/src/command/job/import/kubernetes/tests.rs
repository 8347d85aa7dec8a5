//! Manifests that cannot be read, that contradict themselves, and that say what no spec can: each by name and place.

use super::*;
use crate::spec::RESTART_DELAY_S;
use sekisho_types::error_code::ErrorCode;
use sekisho_types::id::Mark;
use sekisho_types::payload::RESTARTS_MAX;
use sekisho_types::topology::{Over, Spread, Within};
use std::collections::BTreeSet;

const JOB: &str = "\
apiVersion: batch/v1
kind: Job
metadata:
  name: j
spec:
  activeDeadlineSeconds: 60
  template:
    spec:
      restartPolicy: Never
      containers:
        - command: [a]
          resources:
            limits:
              nvidia.com/gpu: 1
";

fn parts(text: &str) -> Result<Vec<Part>, Failure> {
    let given =
        Given { classes: vec![super::super::given::class_of("c").unwrap()], ..Given::default() };
    read(text, &given)
}

/// The good Job with one text replaced.
fn with(from: &str, to: &str) -> Result<Vec<Part>, Failure> {
    assert!(JOB.contains(from), "{from}");
    parts(&JOB.replace(from, to))
}

fn draft(from: &str, to: &str) -> Draft {
    with(from, to).unwrap().remove(0).draft.unwrap()
}

/// What is replaced, by what, and how the refusal begins.
const REFUSED: &[(&str, &str, &str)] = &[
    ("name: j", "name: 7", "line 4, column 9: metadata.name: must be a text, in quotes"),
    ("name: j", "name: My.Job", "line 4, column 9: the job's name: `My.Job` has the character"),
    ("  name: j\n", "  labels: {}\n", "the job has no name"),
    (
        "activeDeadlineSeconds: 60",
        "activeDeadlineSeconds: soon",
        "line 6, column 26: spec.activeDeadlineSeconds: must be a whole number",
    ),
    (
        "activeDeadlineSeconds: 60",
        "activeDeadlineSeconds: 2592001",
        "line 6, column 26: a time limit of 2592001 s",
    ),
    ("  activeDeadlineSeconds: 60\n", "", "there is no time limit"),
    (
        "activeDeadlineSeconds: 60",
        "activeDeadlineSeconds: 60\n  parallelism: 0",
        "spec.parallelism: 0: none would run",
    ),
    (
        "activeDeadlineSeconds: 60",
        "activeDeadlineSeconds: 60\n  completions: 0",
        "spec.completions: 0: none would run",
    ),
    (
        "  name: j\nspec:\n  activeDeadlineSeconds: 60",
        "  name: j\n  labels: {kueue.x-k8s.io/queue-name: q}\nspec:\n  parallelism: 1025",
        "members of the group: 1025",
    ),
    (
        "  name: j\n",
        "  name: j\n  labels: {kueue.x-k8s.io/max-exec-time-seconds: soon}\n",
        "metadata.labels.kueue.x-k8s.io/max-exec-time-seconds: must be seconds",
    ),
    (
        "activeDeadlineSeconds: 60",
        "activeDeadlineSeconds: 60\n  completionMode: Odd",
        "`Odd` is neither Indexed nor NonIndexed",
    ),
    (
        "activeDeadlineSeconds: 60",
        "activeDeadlineSeconds: 60\n  suspend: perhaps",
        "spec.suspend: must be true or false",
    ),
    (
        "restartPolicy: Never",
        "restartPolicy: Always",
        "restartPolicy: of a Job must be Never or OnFailure",
    ),
    ("      restartPolicy: Never\n", "", "restartPolicy: of a Job must be Never or OnFailure"),
    ("command: [a]", "args: [a]", "containers[0].command: is missing"),
    ("command: [a]", "command: a", "containers[0].command: must be a list"),
    ("command: [a]", "command: [1]", "containers[0].command: must be texts, in quotes"),
    (
        "command: [a]",
        "command: [a]\n          workingDir: ../b",
        "containers[0].workingDir: must be a path without `..`",
    ),
    (
        "command: [a]",
        "command: [a]\n          env: [{value: x}]",
        "containers[0].env[0].name: is missing",
    ),
    (
        "command: [a]",
        "command: [a]\n          env: [{name: A, value: 1}]",
        "containers[0].env[0].value: must be a text",
    ),
    ("nvidia.com/gpu: 1", "nvidia.com/gpu: 0", "GPUs of a member: 0"),
    ("nvidia.com/gpu: 1", "nvidia.com/gpu: 500m", "nvidia.com/gpu: must be a whole number"),
    ("nvidia.com/gpu: 1", "nvidia.com/gpu: many", "limits.nvidia.com/gpu: `many` is no quantity"),
    ("nvidia.com/gpu: 1", "cpu: 1", "spec.template.spec.containers: none asks for a GPU"),
    (
        "nvidia.com/gpu: 1",
        "nvidia.com/gpu: 1\n              nvidia.com/mig-1g.5gb: 1",
        "nvidia.com/mig-1g.5gb beside nvidia.com/gpu",
    ),
    (
        "nvidia.com/gpu: 1",
        "nvidia.com/gpu: 1\n              memory: -1Gi",
        "limits.memory: `-1Gi` is no quantity",
    ),
    (
        "nvidia.com/gpu: 1",
        "nvidia.com/gpu: 1\n            requests: {nvidia.com/gpu: 2}",
        "GPUs are asked for by their limit",
    ),
    (
        "    spec:\n",
        "    spec:\n      nodeSelector: {nvidia.com/gpu.product: A100}\n",
        "the type of GPU is no device class: `A100`",
    ),
    ("  template:", "  template: x\n  other:", "spec.template: must be a mapping"),
];

#[test]
fn slices_and_shares_are_classes_of_their_own() {
    let read_as = |resource: &str, classes: &[&str]| {
        let product = "    spec:\n      nodeSelector: {nvidia.com/gpu.product: NVIDIA-H200}\n";
        let text = JOB.replace("nvidia.com/gpu: 1", resource).replace("    spec:\n", product);
        let classes =
            classes.iter().map(|class| super::super::given::class_of(class).unwrap()).collect();
        read(&text, &Given { classes, ..Given::default() }).map(|mut parts| parts.remove(0))
    };
    let slice = "nvidia.com/mig-1g.18gb: 2";
    let exact = read_as(slice, &["NVIDIA-H200=h200"]).unwrap();
    let draft = exact.draft.unwrap();
    assert_eq!((draft.class.as_str(), draft.gpus), ("h200-1g-18gb", 2));
    // One of every Job.
    assert_eq!(exact.told.len(), 1, "the product is in the class: {:?}", exact.told);
    let said = read_as(slice, &["NVIDIA-H200=h200", "mig-1g.18gb=small"]).unwrap();
    assert_eq!((said.draft.unwrap().class.as_str(), said.told.len()), ("small", 2));
    read_as(slice, &[]).unwrap_err();
    let share = "nvidia.com/gpu.shared: 1";
    let told = read_as(share, &["gpu.shared=h200-shared", "NVIDIA-H200=h200"]).unwrap();
    let draft = told.draft.unwrap();
    assert_eq!((draft.class.as_str(), draft.gpus, told.told.len()), ("h200-shared", 1, 3));
    assert!(super::super::render::spec(&draft).contains("  sharing: tenant\n"));
    let why = |resource: &str, classes: &[&str]| read_as(resource, classes).unwrap_err().detail;
    let two = why("nvidia.com/gpu.shared: 2", &["gpu.shared=h200-shared"]);
    assert!(two.contains("2 shares of h200-shared: a member has one"), "{two}");
    let whole = why(share, &["gpu.shared=h200"]);
    assert!(whole.contains("those of class h200 are not shared"), "{whole}");
}

#[test]
fn a_job_that_cannot_be_read_is_refused_with_its_place() {
    for (from, to, why) in REFUSED {
        let failure = with(from, to).unwrap_err();
        assert!(failure.detail.contains(why), "{to}: {}", failure.detail);
        assert_eq!(failure.code, ErrorCode::InvalidArgument, "{to}");
    }
}

#[test]
fn a_file_that_is_no_manifest_is_refused() {
    for (text, why, code) in [
        ("", "there is no Job, Deployment, StatefulSet or Pod", ErrorCode::InvalidArgument),
        ("- a\n", "the document: must be a mapping", ErrorCode::InvalidArgument),
        ("name: train\n", "apiVersion: is missing", ErrorCode::InvalidArgument),
        ("apiVersion: v1\nkind: Service\n", "there is no Job", ErrorCode::InvalidArgument),
        ("apiVersion: [\n", "line ", ErrorCode::SpecSyntax),
        ("kind: Job\nkind: Pod\n", "line 2", ErrorCode::SpecSyntax),
    ] {
        let failure = parts(text).unwrap_err();
        assert!(failure.detail.contains(why), "{text}: {}", failure.detail);
        assert_eq!(failure.code, code, "{text}: {}", failure.detail);
    }
}

/// The Job with these counts, of Kueue or not.
fn counted(counts: &str, queue: bool) -> Part {
    let label = "  name: j\n  labels: {kueue.x-k8s.io/queue-name: q}\n";
    let job = if queue { JOB.replace("  name: j\n", label) } else { JOB.to_owned() };
    let to = format!("activeDeadlineSeconds: 60\n  backoffLimit: 0\n  {counts}\n");
    parts(&job.replace("activeDeadlineSeconds: 60\n", &to)).unwrap().remove(0)
}

#[test]
fn how_many_run_is_an_array_and_a_group_where_they_come_together() {
    let array = |tasks, at_most| (Kind::Array { tasks, at_most }, 1);
    let batch = |group| (Kind::Batch, group);
    for (counts, alone, together, told) in [
        ("", batch(1), batch(1), 0),
        ("parallelism: 4", array(4, 4), batch(4), 1),
        ("completions: 4", array(4, 1), array(4, 1), 0),
        ("completions: 1", batch(1), batch(1), 0),
        ("parallelism: 4\n  completions: 4", array(4, 4), batch(4), 0),
        ("parallelism: 8\n  completions: 4", array(4, 4), batch(4), 0),
        ("parallelism: 2\n  completions: 5", array(5, 2), array(5, 2), 0),
        ("parallelism: 2\n  completions: 10001", array(10_000, 2), array(10_000, 2), 1),
    ] {
        for (queue, runs) in [(false, alone), (true, together)] {
            let Part { told: said, draft } = counted(counts, queue);
            let draft = draft.unwrap();
            assert_eq!((draft.kind, draft.group), runs, "{counts}");
            assert_eq!(said.len(), told + usize::from(queue), "{counts}: {said:?}");
        }
    }
    let named = JOB.replace("restartPolicy", "subdomain: j\n      restartPolicy");
    let named = named.replace("  template:", "  parallelism: 3\n  completions: 3\n  template:");
    assert_eq!(parts(&named).unwrap().remove(0).draft.unwrap().group, 3);
}

#[test]
fn the_shortest_time_limit_counts_and_the_others_are_told() {
    let kueue = "  name: j\n  labels: {kueue.x-k8s.io/max-exec-time-seconds: \"30\"}\n";
    let pod = "      activeDeadlineSeconds: 90\n      restartPolicy: Never\n";
    let text = JOB.replace("  name: j\n", kueue).replace("      restartPolicy: Never\n", pod);
    let Part { told, draft } = parts(&text).unwrap().remove(0);
    assert_eq!(draft.unwrap().time_limit_s, 30);
    let quoted: Vec<&str> = told.iter().map(|told| told.quoted.as_str()).collect();
    let pod = "spec.template.spec.activeDeadlineSeconds: 90";
    assert!(
        quoted.contains(&"spec.activeDeadlineSeconds: 60") && quoted.contains(&pod),
        "{quoted:?}"
    );
}

/// A Deployment or StatefulSet of web, with lines of its spec and of its Pod's.
fn serving(kind: &str, spec: &str, pod: &str) -> Result<Part, Failure> {
    let text = format!(
        "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: web}}\nspec:\n  {spec}\n  template:\n    \
         metadata: {{labels: {{app: web}}}}\n    spec:\n      {pod}\n      containers:\n        - command: [a]\n          \
         resources: {{limits: {{nvidia.com/gpu: 1}}}}\n"
    );
    let classes = vec![super::super::given::class_of("c").unwrap()];
    let given = Given { classes, time_limit_s: Some(86_400), ..Given::default() };
    read(&text, &given).map(|mut parts| parts.remove(0))
}

#[test]
fn a_deployment_is_a_service_with_the_room_that_it_has_while_it_rolls() {
    for (spec, replicas, surge, told) in [
        ("", 1, 1, 0),
        ("replicas: 8", 8, 2, 0),
        ("replicas: 9", 9, 3, 0),
        ("replicas: 4\n  strategy: {type: RollingUpdate}", 4, 1, 0),
        ("replicas: 4\n  strategy: {rollingUpdate: {maxSurge: 3, maxUnavailable: 0}}", 4, 3, 0),
        ("replicas: 4\n  strategy: {rollingUpdate: {maxSurge: 9}}", 4, 4, 0),
        ("replicas: 4\n  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}", 4, 1, 2),
        ("replicas: 4\n  strategy: {rollingUpdate: {maxSurge: 50%, maxUnavailable: 10%}}", 4, 2, 0),
        ("replicas: 4\n  strategy: {type: Recreate}", 4, 1, 1),
    ] {
        let Part { told: said, draft } = serving("Deployment", spec, "").unwrap();
        let draft = draft.unwrap();
        assert_eq!(draft.kind, Kind::Service { replicas, surge }, "{spec}");
        assert_eq!(draft.run.restart, Restart::Never);
        // The label of each.
        assert_eq!(said.len(), told + 1, "{spec}: {said:?}");
    }
    for (kind, spec, pod, why) in [
        ("Deployment", "replicas: 0", "", "replicas of a service: 0, must be 1 to 256"),
        ("Deployment", "replicas: 257", "", "replicas of a service: 257"),
        ("Deployment", "strategy: {type: Odd}", "", "neither RollingUpdate nor Recreate"),
        ("StatefulSet", "updateStrategy: {type: Odd}", "", "neither RollingUpdate nor OnDelete"),
        ("Deployment", "strategy: {rollingUpdate: {maxSurge: x}}", "", "maxSurge: must be a whole"),
        ("Deployment", "replicas: 1", "restartPolicy: Never", "must be Always"),
    ] {
        let detail = serving(kind, spec, pod).unwrap_err().detail;
        assert!(detail.contains(why), "{spec}: {detail}");
    }
    let Part { told, draft } = serving(
        "StatefulSet",
        "replicas: 3\n  serviceName: web\n  updateStrategy: {type: OnDelete}",
        "",
    )
    .unwrap();
    assert_eq!(draft.unwrap().kind, Kind::Service { replicas: 3, surge: 1 });
    let quoted: Vec<&str> = told.iter().map(|told| told.quoted.as_str()).collect();
    for told in ["kind: StatefulSet", "spec.serviceName: web", "spec.updateStrategy.type: OnDelete"]
    {
        assert!(quoted.contains(&told), "{quoted:?}");
    }
}

#[test]
fn what_keeps_apart_in_the_same_way_is_apart_and_anything_else_is_told() {
    let anti = |terms: &str| {
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        let pod = format!("affinity: {{podAntiAffinity: {{{required}: [{terms}]}}}}");
        let Part { told, draft } = serving("Deployment", "replicas: 2", &pod).unwrap();
        let topology = draft.unwrap().topology;
        let names = |marks: BTreeSet<Mark>| {
            let marks: Vec<String> = marks.iter().map(ToString::to_string).collect();
            marks.join(" ")
        };
        // Beside the label of each.
        (names(topology.apart), names(topology.marks), told.len() - 1)
    };
    let said = |apart: &str, marks: &str, told| (apart.to_owned(), marks.to_owned(), told);
    let host = "topologyKey: kubernetes.io/hostname";
    let labels = |labels: &str| format!("{{{host}, labelSelector: {{matchLabels: {{{labels}}}}}}}");
    assert_eq!(anti(&labels("app: web")), said("web", "web", 0));
    assert_eq!(anti(&labels("app: db")), said("db", "", 1));
    let among = "{key: app, operator: In, values: [web, db]}";
    let among = format!("{{{host}, labelSelector: {{matchExpressions: [{among}]}}}}");
    assert_eq!(anti(&among), said("db web", "web", 1));
    for other in [
        labels("app: web, tier: a"),
        labels("tier: web"),
        labels("app: My_App"),
        "{topologyKey: topology.kubernetes.io/zone, labelSelector: {matchLabels: {app: web}}}"
            .to_owned(),
        format!("{{{host}, namespaces: [x], labelSelector: {{matchLabels: {{app: web}}}}}}"),
        format!("{{{host}}}"),
    ] {
        assert_eq!(anti(&other), said("", "", 1), "{other}");
    }
    let many: Vec<String> = (0..9).map(|n| labels(&format!("app: a{n}"))).collect();
    assert_eq!(anti(&many.join(", ")).2, 9);
}

#[test]
fn levels_that_the_command_line_names_are_within_and_spread() {
    let placed = |annotation: &str, spread: &str, queue: bool, levels: &[&str]| {
        let mut text = JOB.replace(
            "  template:\n",
            &format!("  parallelism: 3\n  completions: 3\n  template:\n    metadata: {{annotations: {{{annotation}}}}}\n"),
        );
        text = text.replace(
            "      restartPolicy",
            &format!("      topologySpreadConstraints: [{spread}]\n      restartPolicy"),
        );
        if queue {
            text = text
                .replace("  name: j\n", "  name: j\n  labels: {kueue.x-k8s.io/queue-name: q}\n");
        }
        let classes = vec![super::super::given::class_of("c").unwrap()];
        let levels = levels.iter().map(|l| super::super::given::level_of(l).unwrap()).collect();
        let part = read(&text, &Given { classes, levels, ..Given::default() }).unwrap().remove(0);
        let topology = part.draft.unwrap().topology;
        let told = |told: &&Told| told.quoted.contains("opology");
        (topology.within, topology.spread, part.told.iter().filter(told).count())
    };
    let required = "kueue.x-k8s.io/podset-required-topology: example.jp/rack";
    let rack = ["example.jp/rack=rack"];
    assert_eq!(placed(required, "", true, &rack), (Some(Within::Rack), None, 0));
    assert_eq!(placed(required, "", true, &[]), (None, None, 1));
    assert_eq!(placed(required, "", true, &["example.jp/rack=operator"]), (None, None, 1));
    // Tasks of an array are apart from one another: nothing says that all are in one rack.
    assert_eq!(placed(required, "", false, &rack), (None, None, 1));
    let zone = ["zone=site"];
    let exact = "{topologyKey: zone, maxSkew: 1, minDomains: 3, whenUnsatisfiable: DoNotSchedule}";
    let each = Some(Spread { over: Over::Site, at_least: 3 });
    assert_eq!(placed("", exact, true, &zone), (None, each, 0));
    assert_eq!(placed("", exact, false, &zone), (None, None, 1));
    assert_eq!(placed("", exact, true, &[]), (None, None, 1));
    for other in ["maxSkew: 1, minDomains: 2", "maxSkew: 2, minDomains: 3", "maxSkew: 1"] {
        let other = format!("{{topologyKey: zone, {other}}}");
        assert_eq!(placed("", &other, true, &zone), (None, None, 1), "{other}");
    }
    let wish = exact.replace("DoNotSchedule", "ScheduleAnyway");
    assert_eq!(placed("", &wish, true, &zone), (None, None, 1));
    // A member is alone of its group on a node in any case.
    let host = "{topologyKey: kubernetes.io/hostname, maxSkew: 1}";
    assert_eq!(placed("", host, true, &[]), (None, None, 0));
    assert_eq!(placed("", host, false, &[]), (None, None, 1));
}

#[test]
fn restarts_are_those_of_the_api() {
    let restart = |policy: &str, limit: &str| {
        let job =
            JOB.replace("Never", policy).replace("  template:", &format!("  {limit}\n  template:"));
        parts(&job).unwrap().remove(0).draft.unwrap().run.restart
    };
    let often = |attempts| Restart::OnFailure { attempts, delay_s: RESTART_DELAY_S };
    assert_eq!(restart("Never", "backoffLimit: 0"), Restart::Never);
    assert_eq!(restart("OnFailure", "backoffLimit: 4"), often(4));
    assert_eq!(restart("Never", "backoffLimit: 200"), often(RESTARTS_MAX));
    assert_eq!(restart("OnFailure", "suspend: false"), often(6));
    let each = "completionMode: Indexed\n  backoffLimitPerIndex: 2";
    assert_eq!(restart("OnFailure", each), often(2));
    assert_eq!(restart("OnFailure", "backoffLimitPerIndex: 2"), often(6), "only of an index");
}

#[test]
fn variables_are_put_in_as_the_api_does() {
    let env = "env: [{name: A, value: x}, {name: B, value: $(A)-$$(A)}]";
    let to = format!("command: [\"$(B)\", \"$(C) $$(A) $(A $\", \"$\"]\n          {env}");
    let run = draft("command: [a]", &to).run;
    assert_eq!(run.command, ["x-$(A)", "$(C) $(A) $(A $", "$"]);
    assert_eq!(run.env["B"], "x-$(A)");
}

#[test]
fn a_list_is_read_item_by_item_and_nothing_of_a_secret_is_quoted() {
    let indented: String = JOB.lines().map(|line| format!("    {line}\n")).collect();
    let items = format!("  -\n{indented}");
    let list =
        format!("apiVersion: v1\nkind: List\nmetadata: {{resourceVersion: \"\"}}\nitems:\n{items}");
    let mut found = parts(&list).unwrap();
    assert_eq!(found.remove(0).draft.unwrap().name, "j");
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {token: hidden}\n---\n";
    let parts = parts(&format!("{secret}{JOB}")).unwrap();
    assert!(!format!("{parts:?}").contains("hidden"));
    assert_eq!(parts[0].told[0].quoted, "kind: Secret s");
}
