//! What `sbatch` would take and a spec cannot say, what contradicts itself, and what cannot be read: each by name and place.

use super::*;
use sekisho_types::error_code::{ErrorCode, Language};
use sekisho_types::topology::Within;

/// A script with these options besides name, time and GPUs of a node.
fn script(options: &str) -> String {
    format!("#!/bin/bash\n#SBATCH -J j -t 60\n#SBATCH {options}\ntrue\n")
}

fn parts(options: &str) -> Result<Part, Failure> {
    let given =
        Given { classes: vec![super::super::given::class_of("c").unwrap()], ..Given::default() };
    read(&script(options), &given).map(|mut parts| parts.remove(0))
}

fn draft(options: &str) -> Draft {
    parts(options).unwrap().draft.unwrap()
}

fn told(options: &str) -> Vec<String> {
    parts(options).unwrap().told.into_iter().map(|told| told.quoted).collect()
}

fn refused(options: &str) -> String {
    parts(options).unwrap_err().detail
}

#[test]
fn members_and_gpus_come_from_every_way_to_ask_for_them() {
    for (options, group, gpus) in [
        ("--gres=gpu", 1, 1),
        ("--gres=gpu:4", 1, 4),
        ("--gres=gpu:c", 1, 1),
        ("--gres=gpu:c:4", 1, 4),
        ("--gres=gres:gpu:2,none", 1, 2),
        ("-G 1", 1, 1),
        ("-N 2 -G 8", 2, 4),
        ("-N 2 --gpus-per-node=c:3", 2, 3),
        ("-N 2 -n 4 --gpus-per-task=2", 2, 4),
        ("--ntasks-per-node=4 --gpus-per-task=1", 1, 4),
        ("-N 1 --gpus-per-socket=2 --sockets-per-node=2", 1, 4),
        ("-G 8 --gpus-per-node=4", 2, 4),
        ("-n 16 --ntasks-per-node=8 --gpus-per-node=8", 2, 8),
        ("-N 2-2 --gres=gpu:1", 2, 1),
        ("-N 4,8 --gres=gpu:1", 4, 1),
        ("-N 1k --gres=gpu:1", 1024, 1),
        ("-n 1 --gres=gpu:1", 1, 1),
    ] {
        let draft = draft(options);
        assert_eq!((draft.group, draft.gpus), (group, gpus), "{options}");
    }
}

#[test]
fn a_shard_is_a_share_and_an_instance_a_class_of_its_own() {
    let classes = ["shard=h200-shared", "1g.18gb=h200-1g-18gb", "shard:big=c"];
    let classes = classes.map(|class| super::super::given::class_of(class).unwrap()).to_vec();
    let given = Given { classes, ..Given::default() };
    let read = |options: &str| read(&script(options), &given).map(|mut parts| parts.remove(0));
    for gres in ["--gres=shard", "--gres=shard:1"] {
        let Part { told, draft } = read(gres).unwrap();
        let draft = draft.unwrap();
        assert_eq!((draft.class.as_str(), draft.gpus), ("h200-shared", 1), "{gres}");
        assert_eq!(told.len(), 1, "with whom is told");
        assert!(super::super::render::spec(&draft).contains("  gpus: 1\n  sharing: tenant\n"));
    }
    let sliced = read("--gres=gpu:1g.18gb:2").unwrap().draft.unwrap();
    assert_eq!((sliced.class.as_str(), sliced.gpus), ("h200-1g-18gb", 2));
    let why = |options: &str| read(options).unwrap_err().detail;
    assert!(why("--gres=shard:2").contains("2 shares of h200-shared: a member has one"));
    assert!(why("--gres=shard:big:1").contains("those of class c are not shared"));
    assert!(why("--gres=shard:1,gpu:1").contains("names GPUs twice"));
    assert!(refused("--gres=shard:1").contains("those of class shard are not shared"));
    assert!(refused("--gres=shard:0").contains("is no number of GPUs"));
}

#[test]
fn contradictions_name_both_sides() {
    for (options, why) in [
        ("-N 3 -G 8", "line 3, column 17: 8 GPUs cannot be divided by 3 nodes"),
        (
            "-G 9 --gpus-per-node=4",
            "line 3, column 12: 9 GPUs cannot be divided into nodes with 4 each",
        ),
        (
            "--gres=gpu:4 --gpus-per-node=2",
            "line 3, column 16: `--gpus-per-node=2` is 2 GPUs of a node, `--gres=gpu:4` is 4",
        ),
        (
            "--gres=gpu:a:4 --gpus-per-node=b:4",
            "`--gpus-per-node=b:4` and `--gres=gpu:a:4` name two types of GPU",
        ),
        ("-N 4 -n 2 --gres=gpu:1", "2 tasks on 4 nodes: a node would have none"),
        ("-N 2 -n 9 --ntasks-per-node=4 --gres=gpu:1", "9 tasks do not fit on 2 nodes with 4 each"),
        ("-N 2 -n 3 --gpus-per-task=1", "how many tasks a node has is not said"),
        ("-N 2 -n 3 -c 4 --gres=gpu:1", "`-c 4` is for each task, and the tasks cannot be divided"),
        (
            "--gres=gpu:1 -c 4 --cpus-per-gpu=4",
            "--cpus-per-task and --cpus-per-gpu exclude each other",
        ),
        ("--gres=gpu:1 --mem=1G --mem-per-gpu=1G", "--mem and --mem-per-gpu exclude each other"),
        ("--gpus-per-socket=2", "how many sockets a node has is not said"),
        ("-n 8 --gres=gpu:1", "`-n 8` leaves the number of nodes to Slurm"),
        ("-G 8", "`-G 8` leaves the number of nodes to Slurm"),
        ("-c 4", "asks for no GPU"),
        ("--gres=gpu:1,gpu:2", "names GPUs twice"),
        ("-G a:1,b:1", "names several types of GPU"),
        ("--gres=gpu:17", "GPUs of a member: 17, must be 1 to 16"),
        ("-N 2k --gres=gpu:1", "members of the group: 2048, must be 1 to 1024"),
    ] {
        let detail = refused(options);
        assert!(detail.contains(why), "{options}: {detail}");
        assert!(detail.starts_with("line "), "{options}: {detail}");
    }
}

#[test]
fn values_that_cannot_be_read_are_refused_with_their_place() {
    for (options, why) in [
        ("-G x", "line 3, column 12: `x` is not a number of GPUs like 4 or h100:4"),
        ("--gres=gpu:c:x", "`gpu:c:x` is no number of GPUs like gpu:4 or gpu:h100:4"),
        ("--gres=gpu:0", "is no number of GPUs"),
        ("--gres=gpu:c:1:2", "is no number of GPUs"),
        ("--gres=", "--gres: a name is missing"),
        ("-N 0 -G 1", "`0` is no number of nodes like 4 or 2-4"),
        ("-N 4-2 -G 1", "`4-2` is no number of nodes"),
        ("-N '' -G 1", "`` is no number of nodes"),
        ("-n 0 -G 1", "--ntasks: `0` is no count of 1 or more"),
        ("-G 1 -c many", "--cpus-per-task: `many` is no count of 1 or more"),
        ("-G 1 -c 9999", "processors of a member: must be 10 to 4096000 thousandths"),
        ("-G 1 --mem=lots", "line 3, column 20: `lots` is no amount of memory like 64G or 4000M"),
        ("-G 1 --mem=99999999T", "memory of a member: must be 1 to 65536 GiB"),
        ("-G 1 -t 1h", "`1h` is no time: minutes"),
        ("-G 1 -t 31-0", "a time limit of 2678400 s: must be 1 s to 2592000 s"),
        ("-G 1 -t 0", "asks for no time limit"),
        ("-G 1 -a 5-1", "`5-1` is no array like 0-9"),
        ("-G 1 -a 0-9%0", "`0-9%0` is no array"),
        ("-G 1 -a 0-9:0", "`0-9:0` is no array"),
        ("-G 1 -a 0-4294967295", "an array of 4294967296 tasks, at most 4000001"),
        ("-G 1 -d afterok", "`afterok` is no dependency"),
        ("-G 1 -d afterok:1,afterany:2?singleton", "is no dependency"),
        ("-G 1 -d afterok:$JOB", "is no dependency"),
        ("-G 1 -d afterok:1+5", "is no dependency"),
        ("-G 1 -D ../up", "--chdir: must be a path without `..`"),
        ("-G 1 --export=A=1,A=2", "--export: A stands twice"),
        ("-G 1 --export=A,,B", "--export: a name is missing"),
        ("-G 1 --export=\"A='b\"", "--export: the quote ' is not closed"),
        ("-G 1 -J Train_1", "the job's name: `Train_1` has the character"),
        ("-G A100:1", "the type of GPU is no device class: `A100` has the character"),
    ] {
        let detail = refused(options);
        assert!(detail.contains(why), "{options}: {detail}");
        assert!(detail.starts_with("line 3, column "), "{options}: {detail}");
    }
}

#[test]
fn scripts_that_sbatch_refuses_are_refused() {
    let given = Given::default();
    for (text, why, code) in [
        ("", "the script is empty", ErrorCode::SpecSyntax),
        (" \n\n", "the script is empty", ErrorCode::SpecSyntax),
        ("#!/bin/sh\r\ntrue\r\n", "line 1, column 10: a carriage return", ErrorCode::SpecSyntax),
        (
            "#!/bin/sh\n#SBATCH -G 1\n",
            "line 2, column 1: the script has no command",
            ErrorCode::InvalidArgument,
        ),
        ("#!\ntrue\n", "names no interpreter", ErrorCode::InvalidArgument),
        (
            "#!/bin/tcsh\ntrue\n",
            "`tcsh` takes no script as an argument",
            ErrorCode::InvalidArgument,
        ),
        (
            "#!/usr/bin/env -S julia -t 4\ntrue\n",
            "`julia` takes no script",
            ErrorCode::InvalidArgument,
        ),
        (
            "#!/bin/sh\n#SBATCH -G c:1 -t 1\ntrue\n",
            "the job has no name",
            ErrorCode::InvalidArgument,
        ),
        (
            "#!/bin/sh\n#SBATCH -G c:1 -J j\ntrue\n",
            "there is no time limit",
            ErrorCode::InvalidArgument,
        ),
        ("#!/bin/sh\n#SBATCH --gpu=1\ntrue\n", "`--gpu` may be any of", ErrorCode::SpecSyntax),
    ] {
        let failure = read(text, &given).unwrap_err();
        assert!(failure.detail.contains(why), "{text}: {}", failure.detail);
        assert_eq!(failure.code, code, "{text}");
    }
}

#[test]
fn interpreters_keep_their_argument_as_one() {
    let command = |first: &str| {
        let text = format!("{first}\n#SBATCH -J j -t 1 -G c:1\nx\n");
        let part = read(&text, &Given::default()).unwrap().remove(0);
        part.draft.unwrap().run.command
    };
    assert_eq!(command("#!/bin/bash"), ["/bin/bash", "-c", "x\n"]);
    assert_eq!(command("#! /bin/bash -e -u"), ["/bin/bash", "-e -u", "-c", "x\n"]);
    assert_eq!(command("#!/usr/bin/env python3.12"), ["/usr/bin/env", "python3.12", "-c", "x\n"]);
    assert_eq!(
        command("#!/usr/bin/env -S A=1 bash -l"),
        ["/usr/bin/env", "-S A=1 bash -l", "-c", "x\n"]
    );
    assert_eq!(command("#!/usr/bin/perl"), ["/usr/bin/perl", "-e", "x\n"]);
    assert_eq!(command("# no interpreter"), ["/bin/sh", "-c", "# no interpreter\nx\n"]);
}

#[test]
fn an_array_is_one_here_and_other_numbers_are_told() {
    for (array, tasks, at_most, remark) in [
        ("0", 1, 1, None),
        ("0-9", 10, 10, None),
        ("0-9%2", 10, 2, None),
        ("0-9%99", 10, 10, None),
        ("0-3,4-9:1", 10, 10, None),
        ("2,1,0,1", 3, 3, None),
        ("5", 1, 1, Some("Slurm's is $((SEKISHO_TASK + 5))")),
        ("1-10%3", 10, 3, Some("Slurm's is $((SEKISHO_TASK + 1))")),
        ("0-15:4", 4, 4, Some("Slurm's is $((SEKISHO_TASK * 4))")),
        ("3-15:4", 4, 4, Some("Slurm's is $((SEKISHO_TASK * 4 + 3))")),
        ("1,3,5-7", 5, 5, Some("the one at that place of 1, 3, 5, 6, 7")),
        ("0,2-20", 20, 20, Some("of 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, …")),
        ("0-10000", 10_000, 10_000, Some("these are the first of 10001;")),
    ] {
        let Part { told, draft } = parts(&format!("-G 1 -a {array}")).unwrap();
        assert_eq!(draft.unwrap().kind, Kind::Array { tasks, at_most }, "{array}");
        let whys: Vec<&str> = told.iter().map(|told| told.why.of(Language::En)).collect();
        match remark {
            None => assert_eq!(whys, [""; 0], "{array}"),
            Some(remark) => {
                assert_eq!(told[0].quoted, format!("-a {array}"));
                assert!(whys[0].contains(remark), "{array}: {whys:?}");
            }
        }
    }
    assert_eq!(draft("-G 1").kind, Kind::Batch);
}

#[test]
fn a_dependency_on_jobs_that_have_a_name_here_is_after_and_others_are_told() {
    let jobs = ["1=prep", "2=cache", "3=clean", "4=prep"];
    let jobs = jobs.map(|job| super::super::given::job_of(job).unwrap()).to_vec();
    let classes = vec![super::super::given::class_of("c").unwrap()];
    let given = Given { classes, jobs, ..Given::default() };
    let waits = |dependency: &str| {
        let Part { told, draft } =
            read(&script(&format!("-G 1 -d {dependency}")), &given).unwrap().remove(0);
        let after = draft.unwrap().after;
        let after: Vec<String> = after.iter().map(|a| format!("{} {}", a.job, a.when)).collect();
        assert!(told.iter().all(|told| told.quoted == format!("-d {dependency}")));
        (after.join(", "), told.len())
    };
    let said = |after: &str, told| (after.to_owned(), told);
    assert_eq!(
        waits("afterok:1:2_*,afterany:3"),
        said("prep succeeded, cache succeeded, clean ended", 0)
    );
    assert_eq!(waits("afterok:1:4"), said("prep succeeded", 0));
    // A job that is cancelled is judged otherwise.
    assert_eq!(waits("after:1"), said("prep started", 1));
    assert_eq!(waits("afternotok:1"), said("prep failed", 1));
    // Some of it: the rest is told.
    assert_eq!(waits("afterok:1,afterok:9"), said("prep succeeded", 1));
    assert_eq!(waits("afterok:1,afterany:4"), said("prep succeeded", 1));
    assert_eq!(waits("afterok:1,singleton"), said("prep succeeded", 1));
    for none in ["afterok:1?afterok:2", "afterok:1_7", "after:1+5", "aftercorr:1", "afterok:1:9"] {
        assert_eq!(waits(none), said("", 1), "{none}");
    }
    for other in ["singleton", "afterok:1", "afterok:1:2_3:4_*", "after:1+5,afterany:2"] {
        assert_eq!(told(&format!("-G 1 -d {other}")), [format!("-d {other}")]);
        assert!(draft(&format!("-G 1 -d {other}")).after.is_empty());
    }
    let many: Vec<String> = (1..=17).map(|n| n.to_string()).collect();
    let jobs = many.iter().map(|n| super::super::given::job_of(&format!("{n}=j{n}")).unwrap());
    let given = Given { jobs: jobs.collect(), ..given.clone() };
    let too_many = read(&script(&format!("-G 1 -d afterok:{}", many.join(":"))), &given);
    assert!(too_many.unwrap_err().detail.contains("waits for 17 jobs, at most 16"));
}

#[test]
fn switches_features_and_reservations_are_what_the_command_line_says_they_are() {
    let level = |level: &str| vec![super::super::given::level_of(level).unwrap()];
    let classes = ["c", "hbm3=h200"].map(|c| super::super::given::class_of(c).unwrap()).to_vec();
    let given = Given { classes, levels: level("switch=rack"), ..Given::default() };
    let read_as = |options: &str, given: &Given| {
        let Part { told, draft } = read(&script(options), given).unwrap().remove(0);
        let quoted: Vec<String> = told.into_iter().map(|told| told.quoted).collect();
        (draft.unwrap(), quoted)
    };
    let (near, told) = read_as("-N 4 -G 4 --switches=1@10", &given);
    assert_eq!(near.topology.within, Some(Within::Rack));
    assert_eq!(told, ["-N 4", "--switches=1@10"]);
    for (options, levels) in [
        ("-N 4 -G 4 --switches=2", level("switch=rack")),
        ("-N 4 -G 4 --switches=1", level("switch=operator")),
        ("-N 4 -G 4 --switches=1", Vec::new()),
    ] {
        let (draft, told) = read_as(options, &Given { levels, ..given.clone() });
        assert_eq!((draft.topology.within, told.len()), (None, 2), "{options}");
    }
    // One node is at one switch.
    assert_eq!(read_as("-N 1 -G 1 --switches=1", &given).1, [""; 0]);
    assert!(refused("-N 2 -G 2 --switches=x").contains("`x` is no count of switches"));
    let (typed, told) = read_as("-G 1 -C hbm3", &given);
    assert_eq!((typed.class.as_str(), told.len()), ("h200", 0));
    let (typed, told) = read_as("-G a100:1 -C hbm3", &given);
    assert_eq!((typed.class.as_str(), told), ("a100", vec!["-C hbm3".to_owned()]));
    let (other, told) = read_as("-G 1 -C \"hbm3&nvlink\"", &given);
    assert_eq!((other.class.as_str(), told.len()), ("c", 1));
    let (kept, told) = read_as("-G 1 --reservation=april", &given);
    assert_eq!(kept.reservation.unwrap().as_str(), "april");
    assert_eq!(told, ["--reservation=april"]);
    let (kept, told) = read_as("-G 1 --reservation=april,may", &given);
    assert_eq!((kept.reservation, told.len()), (None, 1));
}

#[test]
fn instants_are_carried_over_and_what_is_counted_from_now_is_told() {
    let times = |options: &str| {
        let draft = draft(options);
        let text = |at: Option<super::super::draft::At>| at.map(|at| at.text);
        (text(draft.not_before), text(draft.end_by))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(times("-G 1 -b 2027-04-01"), (some("2027-04-01"), None));
    let found = times("-G 1 -b 2027-04-01T02:00 --deadline=2027-04-01T09:00:30");
    let wanted = (some("2027-04-01T02:00+09:00"), some("2027-04-01T09:00:30+09:00"));
    assert_eq!(found, wanted);
    for counted in ["-b now+1hour", "-b 16:00", "-b tomorrow", "--deadline=12/31", "-b 2027-02-30"]
    {
        assert_eq!(told(&format!("-G 1 {counted}")), [counted]);
    }
    for (options, column) in
        [("-G 1 --deadline=1970-01-01", 25), ("-G 1 -b 2027-04-01 --deadline=2027-04-01T01:00", 39)]
    {
        let why = format!("line 3, column {column}: leaves less than the time limit");
        assert_eq!(refused(options), why, "{options}");
    }
}

#[test]
fn what_sekisho_does_anyway_is_not_told() {
    assert!(told("-G 1 --requeue --use-min-nodes --export=NONE").is_empty());
    assert_eq!(told("-N 2 -G 2 -n 2"), ["-N 2"]);
    assert_eq!(told("-G 1 --sockets-per-node=2"), ["--sockets-per-node=2"]);
    assert_eq!(draft("-G 1 --export=A=1,B='x y'").run.env.len(), 2);
}
