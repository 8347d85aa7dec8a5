//! `sekisho residency verify`: a saved proof, judged again with no cluster at hand. Audit bundles: [`super::bundle`].
//!
//! Must hold: exit 0 only if every signature and every rule holds and the verdict is the one that the file says. What the
//! file alone cannot show is said each time that nothing was given to compare it with.

use super::bundle;
use super::fix::FixView;
use crate::app::App;
use crate::exit::Exit;
use crate::failure::{Failure, of_file};
use crate::language::{Text, pick};
use crate::output::Output;
use crate::verify::trusted_genesis;
use sekisho_evidence::location::evidence::{EVIDENCE_MAX, Evidence};
use sekisho_types::error_code::Language;
use sekisho_types::id::{ClusterId, Digest, NodeId};
use serde::Serialize;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// What to judge, and what to hold it against.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// A file that `residency prove --save` wrote
    #[arg(required_unless_present = "bundle")]
    file: Option<PathBuf>,
    /// A file that `audit export` wrote, in place of a saved proof: every fix in it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "landmarks"])]
    bundle: Option<PathBuf>,
    /// Of the bundle, the fixes of this node only
    #[arg(long, requires = "bundle")]
    node: Option<NodeId>,
    /// Genesis file that you trust: the proof must be of its federation
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Hash of the landmarks' table, as `sekisho landmark list` shows it
    #[arg(long, value_name = "HASH")]
    landmarks: Option<Digest>,
}

/// What a file is held against.
#[derive(Debug, Default)]
struct Trusted {
    cluster: Option<ClusterId>,
    landmarks: Option<Digest>,
}

/// What nobody can see by the file alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Unshown {
    /// That it is of the reader's federation.
    Federation,
    /// That keys and places of the landmarks are the federation's.
    Landmarks,
    /// That the node's keys are those of its enrolment.
    NodeKeys,
    /// That the GPU is where the key is.
    Relay,
}

impl Unshown {
    fn of(trusted: &Trusted) -> Vec<Self> {
        let compared = [
            (Self::Federation, trusted.cluster.is_some()),
            (Self::Landmarks, trusted.landmarks.is_some()),
            (Self::NodeKeys, false),
            (Self::Relay, false),
        ];
        compared.into_iter().filter(|(_, known)| !known).map(|(what, _)| what).collect()
    }

    fn text(self) -> Text {
        match self {
            Self::Federation => Text::new(
                "that it is of your federation: --genesis FILE",
                "自分の連合のものであること: --genesis FILE",
            ),
            Self::Landmarks => Text::new(
                "that the landmarks' keys and places are the federation's: --landmarks HASH",
                "ランドマークの鍵と位置が連合のものであること: --landmarks HASH",
            ),
            Self::NodeKeys => Text::new(
                "that the node's keys are those it joined with: compare the node key with `sekisho node get`",
                "ノードの鍵が参加時のものであること: ノード鍵を `sekisho node get` と照合",
            ),
            Self::Relay => Text::new(
                "that the GPUs are where the key is (docs/location.md)",
                "GPU が鍵と同じ場所にあること(docs/location.md)",
            ),
        }
    }
}

/// What it comes to.
#[derive(Debug, Serialize)]
struct Report {
    verified: bool,
    problem: Option<String>,
    file_sha256: String,
    unshown: Vec<Unshown>,
    fix: Option<FixView>,
}

fn check(bytes: &[u8], trusted: &Trusted) -> Result<FixView, String> {
    let evidence = Evidence::parse(bytes).map_err(|error| error.to_string())?;
    if let Some(cluster) = trusted.cluster.filter(|cluster| *cluster != evidence.cluster) {
        return Err(format!("it is of the federation {}, not of {cluster}", evidence.cluster));
    }
    let table = evidence.landmarks.hash().map_err(|error| error.to_string())?;
    if let Some(known) = trusted.landmarks.filter(|known| *known != table) {
        return Err(format!("its table of landmarks is {table}, not {known}"));
    }
    let judged = evidence.judge().map_err(|error| error.to_string())?;
    FixView::new(&evidence, &judged).map_err(|failure| failure.detail)
}

impl Report {
    fn of(bytes: &[u8], trusted: &Trusted) -> Self {
        let file_sha256 = Digest::of(bytes).to_string();
        let (fix, problem) = match check(bytes, trusted) {
            Ok(fix) => (Some(fix), None),
            Err(problem) => (None, Some(problem)),
        };
        let verified = problem.is_none();
        Self { verified, problem, file_sha256, unshown: Unshown::of(trusted), fix }
    }

    fn tell(&self, output: &mut Output<'_>) -> Result<Exit, Failure> {
        if !output.format.is_for_people() {
            output.data(self)?;
        } else if let Some(fix) = &self.fix {
            fix.tell(output)?;
            self.tell_what_holds(output)?;
        } else {
            let why = self.problem.as_deref().unwrap_or_default();
            let line = output.pick(format!("does not hold: {why}"), format!("成立しません: {why}"));
            output.line(&line)?;
        }
        Ok(if self.verified { Exit::Ok } else { Exit::Error })
    }

    fn tell_what_holds(&self, output: &mut Output<'_>) -> Result<(), Failure> {
        let holds = output.pick(
            "holds: every signature and rule; the verdict was reached again",
            "成立: すべての署名と規則を確認し、同じ判定に達しました",
        );
        output.line(holds)?;
        let language: Language = output.language;
        let head =
            pick(language, "the file alone does not show:", "このファイルだけでは分からないこと:");
        output.note(head)?;
        for what in &self.unshown {
            output.note(&format!("  - {}", what.text().of(language)))?;
        }
        Ok(())
    }
}

/// No more than a file may have, and one byte.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let file = std::fs::File::open(path).map_err(|error| of_file(path, &error))?;
    let most = u64::try_from(EVIDENCE_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).map_err(|error| of_file(path, &error))?;
    Ok(bytes)
}

pub(super) fn run(app: &mut App<'_>, args: &VerifyArgs) -> Result<Exit, Failure> {
    let genesis = args.genesis.as_deref().map(trusted_genesis).transpose()?;
    if let Some(bundle) = &args.bundle {
        return bundle::run(app, bundle, args.node.as_ref(), genesis.as_ref());
    }
    let Some(file) = &args.file else {
        return Err(Failure::invalid("name a file, or --bundle FILE"));
    };
    let bytes = read(file)?;
    let cluster = genesis.map(|signed| signed.genesis.bundle.cluster);
    let trusted = Trusted { cluster, landmarks: args.landmarks };
    Report::of(&bytes, &trusted).tell(&mut app.output)
}

#[cfg(test)]
mod tests {
    use super::super::fix::fixture::evidence;
    use super::*;
    use crate::output::Format;
    use sekisho_fsm::testing::cluster;

    fn told(
        bytes: &[u8],
        trusted: &Trusted,
        (format, language): (Format, Language),
    ) -> [String; 3] {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(&mut out, &mut err);
        (output.format, output.language) = (format, language);
        let exit = Report::of(bytes, trusted).tell(&mut output).unwrap();
        [String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), format!("{exit:?}")]
    }

    const EN: (Format, Language) = (Format::Table, Language::En);
    const JA: (Format, Language) = (Format::Table, Language::Ja);

    #[test]
    fn a_good_file_holds_and_says_what_it_does_not_show() {
        let bytes = evidence(false).bytes().unwrap();
        let [out, err, exit] = told(&bytes, &Trusted::default(), EN);
        assert!(out.contains("proven not abroad, f=1") && out.contains("\nholds: "), "{out}");
        assert_eq!((err.lines().count(), exit.as_str()), (5, "Ok"), "{err}");
        let landmarks = evidence(false).landmarks.hash().unwrap();
        let trusted = Trusted { cluster: Some(cluster()), landmarks: Some(landmarks) };
        let [out, err, exit] = told(&bytes, &trusted, JA);
        assert!(out.contains("成立: ") && exit == "Ok", "{out}");
        assert!(err.lines().count() == 3 && !err.contains("--genesis"), "{err}");
        // What contradicts itself is told as such, and the file holds all the same.
        let torn = evidence(true).bytes().unwrap();
        let [out, _, exit] = told(&torn, &trusted, EN);
        assert!(out.contains("inconsistent") && out.contains("holds: ") && exit == "Ok", "{out}");
    }

    #[test]
    fn what_does_not_hold_ends_with_1_and_says_why() {
        let bytes = evidence(false).bytes().unwrap();
        let mut bad = bytes.clone();
        bad[100] ^= 1;
        let other = Trusted { cluster: Some(ClusterId([9; 16])), landmarks: None };
        let table = Trusted { cluster: None, landmarks: Some(Digest([9; 32])) };
        let none = Trusted::default();
        for (bytes, trusted, why) in [
            (&bad[..], &none, "damaged"),
            (&bytes[..50], &none, "damaged"),
            (b"hello", &none, "not a fix of version 2"),
            (&bytes, &other, "it is of the federation"),
            (&bytes, &table, "its table of landmarks is"),
        ] {
            let [out, err, exit] = told(bytes, trusted, EN);
            assert!(out.starts_with("does not hold: ") && out.contains(why), "{why}: {out}");
            assert_eq!((err.as_str(), exit.as_str()), ("", "Error"));
            assert!(told(bytes, trusted, JA)[0].starts_with("成立しません: "));
        }
        let json = told(&bad, &none, (Format::Json, Language::Ja));
        let data: serde_json::Value = serde_json::from_str(&json[0]).unwrap();
        assert_eq!((&data["verified"], &data["fix"]), (&false.into(), &serde_json::Value::Null));
        assert_eq!(data["unshown"][1], "landmarks");
        assert_eq!(json[2], "Error");
    }

    #[test]
    fn a_file_is_read_from_disk_and_a_large_one_only_as_far_as_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fix");
        std::fs::write(&path, vec![0; EVIDENCE_MAX + 100]).unwrap();
        assert_eq!(read(&path).unwrap().len(), EVIDENCE_MAX + 1);
        let refused = read(&dir.path().join("none")).unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage);
    }
}
