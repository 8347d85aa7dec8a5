//! What a round found, shown: a table for people in either language, JSON and YAML for programs.
//!
//! Must hold: JSON and YAML are stable: names in lower case, additive changes only, English and never translated; the table
//! stands in 80 columns with Japanese text.

use crate::check::{Finding, Level};
use crate::limit::WIDTH_LEAST;
use crate::wrap::broken;
use sekisho_types::error_code::Language;
use serde::Serialize;
use std::collections::BTreeMap;
use unicode_width::UnicodeWidthStr;

/// Form of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// What a round found.
#[derive(Debug)]
pub struct Report {
    program: &'static str,
    version: &'static str,
    findings: Vec<Finding>,
}

/// As programs read it.
#[derive(Debug, Serialize)]
struct Told<'r> {
    program: &'r str,
    version: &'r str,
    failures: usize,
    warnings: usize,
    checks: Vec<ToldCheck<'r>>,
}

#[derive(Debug, Serialize)]
struct ToldCheck<'r> {
    check: &'r str,
    result: Level,
    code: &'r str,
    found: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    remedy: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    command: String,
    values: &'r BTreeMap<&'static str, String>,
}

impl Report {
    /// The report of a round of `program`.
    #[must_use]
    pub fn new(program: &'static str, version: &'static str, findings: Vec<Finding>) -> Self {
        Self { program, version, findings }
    }

    /// Whether something failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.count(Level::Failure) > 0
    }

    /// What was found, in the order of looking.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|found| found.level() == level).count()
    }

    /// In the form that was asked for, without a last line end. `width` columns and colours are for the table only.
    #[must_use]
    pub fn shown(&self, format: Format, language: Language, width: u16, color: bool) -> String {
        let shown = match format {
            Format::Table => return self.table(language, width, color),
            Format::Json => serde_json::to_string_pretty(&self.told()).map_err(|e| e.to_string()),
            Format::Yaml => serde_saphyr::to_string(&self.told()).map_err(|e| e.to_string()),
        };
        // Texts and numbers only: there is nothing that could not be written.
        let shown = shown.unwrap_or_else(|error| error);
        shown.trim_end().to_owned()
    }

    fn told(&self) -> Told<'_> {
        let check = |found| {
            let found: &Finding = found;
            ToldCheck {
                check: found.check.id,
                result: found.level(),
                code: found.outcome.code,
                found: found.found(Language::En),
                remedy: found.remedy(Language::En),
                command: found.command(),
                values: found.values(),
            }
        };
        Told {
            program: self.program,
            version: self.version,
            failures: self.count(Level::Failure),
            warnings: self.count(Level::Warning),
            checks: self.findings.iter().map(check).collect(),
        }
    }

    fn table(&self, language: Language, width: u16, color: bool) -> String {
        let widest = |texts: &mut dyn Iterator<Item = &'static str>| {
            texts.map(UnicodeWidthStr::width).max().unwrap_or(0)
        };
        let words = widest(&mut self.findings.iter().map(|f| word(f.level(), language).0));
        let ids = widest(&mut self.findings.iter().map(|found| found.check.id));
        let indent = [words, GAP, ids, GAP].iter().sum::<usize>();
        let room = usize::from(width.max(WIDTH_LEAST)).saturating_sub(indent);
        let mut text = String::new();
        for found in &self.findings {
            let (word, paint) = word(found.level(), language);
            let pad = |shown: &str, to: usize| " ".repeat(to.saturating_sub(shown.width()) + GAP);
            let painted = match paint {
                Some(paint) if color => format!("\u{1b}[1;{paint}m{word}\u{1b}[0m"),
                Some(_) | None => word.to_owned(),
            };
            let id = found.check.id;
            let mut head = painted + &pad(word, words) + id + &pad(id, ids);
            for part in lines(found, language).lines().flat_map(|line| broken(line, room)) {
                text.push_str(&head);
                text.push_str(&part);
                text.push('\n');
                head = " ".repeat(indent);
            }
        }
        text.push_str(&self.sum(language));
        text
    }

    fn sum(&self, language: Language) -> String {
        let [ok, skipped, warnings, failures] =
            [Level::Ok, Level::Skipped, Level::Warning, Level::Failure].map(|l| self.count(l));
        let (program, version) = (self.program, self.version);
        match language {
            Language::En => format!(
                "{program} {version}: {ok} ok, {warnings} warnings, {failures} failures, {skipped} skipped"
            ),
            Language::Ja => format!(
                "{program} {version}: 正常 {ok}、警告 {warnings}、異常 {failures}、省略 {skipped}"
            ),
        }
    }
}

/// Columns between two columns.
const GAP: usize = 2;
/// Bold text's colours, by their numbers (ECMA-48).
const YELLOW: u8 = 33;
const RED: u8 = 31;

fn word(level: Level, language: Language) -> (&'static str, Option<u8>) {
    let (en, ja, paint) = match level {
        Level::Ok => ("ok", "正常", None),
        Level::Skipped => ("skipped", "省略", None),
        Level::Warning => ("WARNING", "警告", Some(YELLOW)),
        Level::Failure => ("FAILURE", "異常", Some(RED)),
    };
    match language {
        Language::En => (en, paint),
        Language::Ja => (ja, paint),
    }
}

/// What was found, what to do about it, and by which command, a line each.
fn lines(found: &Finding, language: Language) -> String {
    let mut text = found.found(language);
    let (remedy, command) = (found.remedy(language), found.command());
    if !remedy.is_empty() {
        let fix = match language {
            Language::En => "fix:",
            Language::Ja => "対処:",
        };
        text.push_str(&format!("\n{fix} {remedy}"));
    }
    if !command.is_empty() {
        text.push_str(&format!("\n$ {command}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{clock, host, identity, network, node};

    /// A host on which much is wrong, as a program would find it.
    fn broken() -> Report {
        let path = "/var/lib/sekisho-agent";
        let of = Finding::new;
        let findings = vec![
            of(&host::SETTINGS_READ).with("file", "/etc/sekisho/agent.toml").with(
                "paths",
                format!("data_dir {path}, placements {path}/placements"),
            ),
            of(&node::AREA_ABROAD).with("area", "KR-26"),
            of(&host::RUNNING_OLD).with("pid", 812),
            of(&host::DATA_DIR_OPEN).with("path", path).with("mode", "0777"),
            of(&host::FS_MEMORY).with("kind", "tmpfs").with("mount", "/var/lib"),
            of(&host::SPACE_OUT_OF)
                .with("path", path)
                .with("free", "12.0 MiB")
                .with("size", "64.0 GiB")
                .with("percent", 0)
                .with("inodes", 181),
            of(&host::SYNC_FAILED).with("cause", "Input/output error (os error 5)"),
            of(&node::ENROLMENT_SHOWN).with("path", format!("{path}/enrolment")).with("mode", "0644"),
            of(&node::LEDGER_BAD).with("cause", format!("{path}/ledger is damaged or of another kind")),
            of(&identity::CERTIFICATE_OVER)
                .with("subject", "hokuto/site/ishikari-1/agent/n-01")
                .with("until", "2026-11-28T03:00:00.000Z"),
            of(&identity::CHAIN_REFUSED).with(
                "cause",
                "chain not valid under the bundle of `hokuto.example`: invalid peer certificate: Expired",
            ),
            of(&clock::WALL_BEHIND)
                .with("now", "2026-11-29T03:00:00.000Z")
                .with("bound", "2026-11-29T04:00:00.000Z")
                .with("what", format!("{path}/ledger")),
            of(&clock::CLOCK_UNSYNCED).with("service", "-"),
            of(&node::NAMESPACES_NONE)
                .with("cause", "direct: Operation not permitted (os error 1)")
                .with("facts", "user 991, user.max_user_namespaces = 0"),
            of(&node::DEVICE_CLOSED).with("path", "/dev/nvidiactl").with("cause", "Permission denied"),
            of(&node::WATCHDOG_NONE).with("agent", 812),
            of(&network::MEMBER_REFUSES)
                .with("member", "members/1")
                .with("address", "tokyo-1a.kanto.example:7101")
                .with("cause", "it has expired, by that clock"),
            of(&network::MEMBER_UNREACHABLE)
                .with("member", "members/2")
                .with("address", "sakai-1a.naniwa.example:7101")
                .with("cause", "cannot connect to 10.2.0.5:7101: Connection refused (os error 111)"),
            of(&network::OPERATORS_FEW).with("count", 0).with("operators", 3).with("k", 2),
            of(&clock::MEMBERS_UNHEARD),
        ];
        Report::new("sekisho-agent", "0.1.0", findings)
    }

    #[test]
    fn a_broken_host_stands_in_eighty_columns_in_both_languages() {
        for (language, name) in [(Language::En, "en"), (Language::Ja, "ja")] {
            let shown = broken().shown(Format::Table, language, 80, false) + "\n";
            for line in shown.lines() {
                assert!(line.width() <= 80, "{line}");
            }
            let path =
                format!("{}/src/report/golden/broken.{name}.txt", env!("CARGO_MANIFEST_DIR"));
            if std::env::var("SEKISHO_GOLDEN").is_ok_and(|what| what == "write") {
                std::fs::write(&path, &shown).unwrap();
            }
            assert_eq!(shown, std::fs::read_to_string(&path).unwrap(), "{path}");
        }
    }

    fn report() -> Report {
        let findings = vec![
            Finding::new(&host::KERNEL_SOUND).with("version", "6.1.0"),
            Finding::new(&clock::CLOCK_UNSYNCED).with("service", "none"),
            Finding::new(&host::SYNC_FAILED).with("cause", "Input/output error (os error 5)"),
            Finding::new(&clock::MEMBERS_UNHEARD),
        ];
        Report::new("sekisho-agent", "0.1.0", findings)
    }

    #[test]
    fn people_read_it_in_either_language_within_their_columns() {
        let en = report().shown(Format::Table, Language::En, 60, false);
        assert_eq!(
            en,
            "ok       kernel         Linux 6.1.0\n\
             WARNING  clock-sync     not synchronised (none): it drifts\n\
             \x20                       by up to 4 s a day\n\
             \x20                       fix: Run a time service: chrony, or\n\
             \x20                       systemd-timesyncd.\n\
             \x20                       $ timedatectl set-ntp true\n\
             FAILURE  data-sync      a synced write failed: Input/output\n\
             \x20                       error (os error 5)\n\
             \x20                       fix: Do not run on this disk. See\n\
             \x20                       the kernel's log.\n\
             \x20                       $ dmesg --level=err,warn\n\
             skipped  clock-members  no member told its time\n\
             sekisho-agent 0.1.0: 1 ok, 1 warnings, 1 failures, 1 skipped"
        );
        let ja = report().shown(Format::Table, Language::Ja, 80, false);
        assert!(ja.contains("対処: このディスクで"), "{ja}");
        assert!(report().failed() && !Report::new("a", "b", Vec::new()).failed());
        let color = report().shown(Format::Table, Language::En, 80, true);
        assert!(color.contains("\u{1b}["), "{color}");
    }

    #[test]
    fn programs_read_stable_names_in_english() {
        let json = report().shown(Format::Json, Language::Ja, 80, true);
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((read["failures"].as_u64(), read["warnings"].as_u64()), (Some(1), Some(1)));
        let failed = &read["checks"][2];
        assert_eq!((&failed["check"], &failed["result"]), (&"data-sync".into(), &"failure".into()));
        assert_eq!(
            (&failed["code"], &failed["values"]["cause"]),
            (&"SYNC_FAILED".into(), &"Input/output error (os error 5)".into())
        );
        assert!(read["checks"][0].get("remedy").is_none());
        assert!(json.is_ascii());
        let yaml = report().shown(Format::Yaml, Language::Ja, 80, false);
        assert!(yaml.contains("check: data-sync\n"), "{yaml}");
    }
}
