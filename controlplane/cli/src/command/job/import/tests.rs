//! Scripts and manifests as people have them, what they come to, and that no input brings the program down.
//!
//! The files under `golden/` are written anew with `SEKISHO_GOLDEN=write`; a difference is then read like any other change.

use super::*;
use crate::golden::said;
use sekisho_types::error_code::Language;
use std::path::{Path, PathBuf};

/// An input with what the command line says beside it.
struct Case {
    file: &'static str,
    tenant: Option<&'static str>,
    name: Option<&'static str>,
    classes: &'static [&'static str],
    jobs: &'static [&'static str],
    levels: &'static [&'static str],
    limit_s: Option<u64>,
}

const fn case(file: &'static str, classes: &'static [&'static str], limit_s: Option<u64>) -> Case {
    Case { file, tenant: None, name: None, classes, jobs: &[], levels: &[], limit_s }
}

const CASES: &[Case] = &[
    case("train.sbatch", &[], None),
    Case { tenant: Some("sapporo"), ..case("short.sbatch", &["a100=a100-sxm4-80g"], None) },
    case("array.sbatch", &[], None),
    case("python.sbatch", &["v100"], None),
    case("nightly.sbatch", &[], None),
    case("total.sbatch", &["h100-80g"], Some(7 * 86_400)),
    case("tasks.sbatch", &[], None),
    case("finetune.yaml", &["NVIDIA-H100-80GB-HBM3=h100-80g"], None),
    Case {
        tenant: Some("sapporo"),
        name: Some("allreduce"),
        ..case("kueue.yaml", &[], Some(6 * 3600))
    },
    case("several.yaml", &["h100-80g"], Some(12 * 3600)),
    case("slices.yaml", &["mig-1g.10gb=h100-80g-mig-1g-10g"], None),
    Case {
        jobs: &["4711=prep", "4712=cache", "4713=clean"],
        levels: &["switch=rack"],
        ..case("pipeline.sbatch", &["hbm3=h100-80g"], None)
    },
    Case {
        levels: &["example.jp/rack=rack", "topology.kubernetes.io/zone=site"],
        ..case("indexed.yaml", &["h200", "gpu.shared=h200-shared"], Some(3600))
    },
    case("serve.yaml", &["NVIDIA-H200=h200"], Some(7 * 86_400)),
];

/// Those that are kept in Japanese as well.
const JAPANESE: [&str; 4] = ["train.sbatch", "finetune.yaml", "pipeline.sbatch", "serve.yaml"];

impl Case {
    fn form(&self) -> Form {
        if self.file.ends_with(".yaml") { Form::Kubernetes } else { Form::Slurm }
    }

    fn given(&self) -> Given {
        Given {
            tenant: self.tenant.map(|tenant| tenant.parse().unwrap()),
            name: self.name.map(str::to_owned),
            classes: self.classes.iter().map(|class| class_of(class).unwrap()).collect(),
            jobs: self.jobs.iter().map(|job| job_of(job).unwrap()).collect(),
            levels: self.levels.iter().map(|level| level_of(level).unwrap()).collect(),
            time_limit_s: self.limit_s,
        }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(folder().join(self.file)).unwrap()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/command/job/import/golden")
}

fn today() -> Date {
    Date::parse("2026-11-22").unwrap()
}

fn kept(name: &str, is: &str) {
    let path = folder().join(name);
    if std::env::var("SEKISHO_GOLDEN").is_ok_and(|what| what == "write") {
        std::fs::write(&path, is).unwrap();
    }
    let was = std::fs::read_to_string(&path).unwrap_or_default();
    let differ = was.lines().zip(is.lines()).find(|(was, is)| was != is);
    assert!(was == is, "{name}: (was, is) {differ:#?}\nmeant? run with SEKISHO_GOLDEN=write\n{is}");
}

#[test]
fn inputs_come_to_the_specs_that_are_kept() {
    for case in CASES {
        let parts = import(case.form(), &case.text(), &case.given(), today()).unwrap();
        let stem = case.file.split('.').next().unwrap();
        kept(&format!("{stem}.en.txt"), &render::text(&parts, Language::En));
        let japanese = render::text(&parts, Language::Ja);
        if JAPANESE.contains(&case.file) {
            kept(&format!("{stem}.ja.txt"), &japanese);
        }
        assert!(japanese.is_ascii() == parts.iter().all(|part| part.told.is_empty()), "{japanese}");
    }
}

#[test]
fn what_is_printed_is_read_by_the_reader_of_specs() {
    for case in CASES {
        let parts = import(case.form(), &case.text(), &case.given(), today()).unwrap();
        let text = render::text(&parts, Language::Ja);
        let over = Override { tenant: "sapporo".parse().ok(), name: None };
        for document in text.split("\n---\n") {
            let read = spec::parse(document, &over, today());
            assert!(read.is_ok(), "{}: {read:?}\n{document}", case.file);
        }
    }
}

#[test]
fn comments_are_in_the_order_of_the_input_and_on_one_line_each() {
    for case in CASES {
        let parts = import(case.form(), &case.text(), &case.given(), today()).unwrap();
        for part in &parts {
            assert!(part.told.is_sorted_by_key(|told| told.place), "{}", case.file);
        }
        let text = render::text(&parts, Language::En);
        let told: usize = parts.iter().map(|part| part.told.len()).sum();
        assert_eq!(text.lines().filter(|line| line.starts_with("# line ")).count(), told);
    }
}

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most.max(1)
    }
}

const ODD: [char; 24] = [
    '\n', '\r', '\t', '\0', ' ', '"', '\'', '\\', '#', '-', '=', ':', ',', '%', '?', '$', '(', '{',
    '[', '0', '9', '本', '\u{2028}', '\u{feff}',
];

fn mutated(text: &str, dice: &mut Dice) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=dice.below(3) {
        if chars.is_empty() {
            break;
        }
        let at = dice.below(chars.len());
        match dice.below(5) {
            0 => drop(chars.drain(at..(at + 1 + dice.below(12)).min(chars.len()))),
            1 => chars.insert(at, ODD[dice.below(ODD.len())]),
            2 => chars[at] = ODD[dice.below(ODD.len())],
            3 => {
                let to = (at + dice.below(60)).min(chars.len());
                let copy: Vec<char> = chars[at..to].to_vec();
                let other = dice.below(chars.len());
                chars.splice(other..other, copy);
            }
            _ => chars.truncate(at.max(1)),
        }
    }
    chars.into_iter().collect()
}

#[test]
fn no_input_brings_it_down_or_makes_a_spec_that_is_none() {
    let mut dice = Dice(7);
    for case in CASES {
        let (text, given) = (case.text(), case.given());
        for form in [Form::Slurm, Form::Kubernetes] {
            for _ in 0..300 {
                let mutated = mutated(&text, &mut dice);
                match import(form, &mutated, &given, today()) {
                    Ok(parts) => {
                        let text = render::text(&parts, Language::En);
                        assert!(!text.is_empty(), "{mutated}");
                    }
                    Err(failure) => {
                        assert_ne!(failure.code, ErrorCode::Internal, "{failure:?}\n{mutated}");
                        assert!(!failure.detail.is_empty(), "{mutated}");
                    }
                }
            }
        }
    }
}

#[test]
fn texts_of_every_kind_come_back_as_they_were() {
    for text in [
        "a\nb\n",
        "a\nb",
        " a\nb\n",
        "\na\n",
        "a\n\nb\n",
        "a\n\n",
        "a\n  \n",
        "a\n\tb\n",
        "a\n  b\n c\n",
        "---\n",
        "a\n---\nb\n",
        "# a\nb\n",
        "null",
        "~",
        "1e3",
        "-",
        "a: b",
        "é\u{85}\u{2028}\u{feff}",
        "\"\\\r\t",
        "a\u{7f}\n",
        "",
        "no",
        "a #b",
        "%",
        "@x",
        "`x`",
        "a\\\nb\n",
    ] {
        let argument = format!("x{text}");
        for argument in [text, argument.as_str()].map(str::to_owned) {
            let draft = Draft {
                name: "j".to_owned(),
                tenant: None,
                kind: sekisho_types::job::Kind::Batch,
                group: 1,
                class: "c".parse().unwrap(),
                gpus: 1,
                gpu_memory_gib: None,
                topology: Default::default(),
                reservation: None,
                time_limit_s: 60,
                after: Vec::new(),
                not_before: None,
                end_by: None,
                run: sekisho_types::payload::JobPayload {
                    command: vec!["true".to_owned(), argument.clone()],
                    env: [("NULL".to_owned(), argument.clone())].into(),
                    ..Default::default()
                },
            };
            let proved = prove(&draft, today());
            assert_eq!(proved, Ok(()), "{argument:?}\n{}", render::spec(&draft));
        }
    }
}

#[test]
fn the_command_prints_ends_and_refuses_as_it_says() {
    let path = |file: &str| folder().join(file).display().to_string();
    let train = path("train.sbatch");
    let plain = said(None, &format!("job import slurm {train}"), Language::En, 80);
    assert_eq!(plain.exit, Exit::Ok, "{}", plain.err);
    assert!(plain.out.contains("\nname: train-llm\n"), "{}", plain.out);
    assert!(plain.err.starts_with("9 parts of the input"), "{}", plain.err);
    let strict = said(None, &format!("job import slurm --strict {train}"), Language::Ja, 80);
    assert_eq!(strict.exit, Exit::Error);
    assert!(strict.out.contains("\nname: train-llm\n") && strict.err.contains("9 か所"));
    let json = said(None, &format!("job import slurm {train} -o json"), Language::Ja, 80);
    let data: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(data["items"][0]["not_carried"][0]["line"], 3);
    assert!(data["items"][0]["spec"].as_str().unwrap().starts_with("name: train-llm\n"));
    let several = path("several.yaml");
    for (line, why) in [
        (format!("job import kubernetes {several} --time-limit 1h"), "names no type of GPU"),
        (
            format!("job import kubernetes {several} --time-limit 1h --class c --name n"),
            "there are 2 jobs",
        ),
        (format!("job import kubernetes {several} --class c"), "there is no time limit"),
        (format!("job import slurm {train} --name A"), "--name: "),
        (format!("job import slurm {train} --class h100=A"), "--class"),
        (format!("job import slurm {several}"), "line "),
        ("job import slurm nowhere.sh".to_owned(), "nowhere.sh"),
    ] {
        let refused = said(None, &line, Language::En, 80);
        assert_eq!(refused.exit, Exit::Usage, "{line}: {}", refused.err);
        assert!(refused.err.contains(why) && refused.out.is_empty(), "{line}: {}", refused.err);
    }
}
