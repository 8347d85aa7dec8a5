//! Manifests that cannot be read, that contradict themselves, and that say what no spec can: each by name and place.

use super::*;
use sekisho_types::error_code::ErrorCode;

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
    let given = Given { classes: vec![super::super::class_of("c").unwrap()], ..Given::default() };
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
        "members of the group: 0",
    ),
    (
        "activeDeadlineSeconds: 60",
        "activeDeadlineSeconds: 60\n  parallelism: 1025",
        "members of the group: 1025",
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
        let classes = classes.iter().map(|class| super::super::class_of(class).unwrap()).collect();
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
        ("", "there is no Job of batch/v1 and no Pod", ErrorCode::InvalidArgument),
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

#[test]
fn how_many_run_is_a_group_and_what_it_is_not_is_told() {
    for (counts, group, told) in [
        ("", 1, 0),
        ("parallelism: 4", 4, 1),
        ("completions: 4", 1, 1),
        ("parallelism: 4\n  completions: 4", 4, 0),
        ("parallelism: 8\n  completions: 4", 4, 1),
        ("parallelism: 2\n  completions: 5", 2, 1),
    ] {
        let to = format!("activeDeadlineSeconds: 60\n  backoffLimit: 0\n  {counts}\n");
        let part = with("activeDeadlineSeconds: 60\n", &to).unwrap().remove(0);
        assert_eq!(part.draft.unwrap().group, group, "{counts}");
        assert_eq!(part.told.len(), told, "{counts}: {:?}", part.told);
    }
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
