//! What a verified file comes to: its report for people or for programs, and the exit code that goes with it.
//!
//! Must hold: exit 0 only if every step passed. Whoever brought no genesis of its own is told what is left to compare
//! by hand, and only under a good report: a bad one is not worth comparing.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::verify::report::Report;
use sekisho_evidence::genesis::SignedGenesis;
use serde::Serialize;

/// Tells `lines` to people or `whole` to programs.
///
/// # Errors
/// When stdout or stderr does not take it.
pub(super) fn tell<T: Serialize>(
    output: &mut Output<'_>,
    report: &Report,
    trusted: Option<&SignedGenesis>,
    lines: &[String],
    whole: &T,
) -> Result<Exit, Failure> {
    let good = report.is_good();
    if output.format.is_for_people() {
        for line in lines {
            output.line(line)?;
        }
        if trusted.is_none() && good {
            let note = output.pick(
                "the fingerprint must be the one that your operators published; or pass --genesis FILE",
                "指紋が事業者の公表値と一致することを確認するか、--genesis FILE を指定してください",
            );
            output.note(note)?;
        }
    } else {
        output.data(whole)?;
    }
    Ok(if good { Exit::Ok } else { Exit::Error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;
    use crate::verify::report::Step;
    use sekisho_fsm::testing::genesis;
    use sekisho_types::error_code::Language;

    fn told(format: Format, language: Language, good: bool, trusted: bool) -> [String; 3] {
        let mut report = Report::over(&[Step::File]);
        if good {
            report.passed(Step::File, 1);
        }
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(&mut out, &mut err);
        (output.format, output.language) = (format, language);
        let trusted = trusted.then(genesis);
        let lines = ["one".to_owned(), "two".to_owned()];
        let exit = tell(&mut output, &report, trusted.as_ref(), &lines, &7).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        [text(out), text(err), format!("{exit:?}")]
    }

    #[test]
    fn people_are_told_what_is_left_to_compare_only_under_a_good_report_without_a_genesis() {
        let en = "the fingerprint must be the one that your operators published; or pass --genesis FILE\n";
        let ja =
            "指紋が事業者の公表値と一致することを確認するか、--genesis FILE を指定してください\n";
        let table = |language, good, trusted| told(Format::Table, language, good, trusted);
        assert_eq!(table(Language::En, true, false), ["one\ntwo\n", en, "Ok"]);
        assert_eq!(table(Language::Ja, true, false), ["one\ntwo\n", ja, "Ok"]);
        assert_eq!(table(Language::En, true, true), ["one\ntwo\n", "", "Ok"]);
        for trusted in [true, false] {
            assert_eq!(table(Language::En, false, trusted), ["one\ntwo\n", "", "Error"]);
        }
    }

    #[test]
    fn programs_get_data_alone_and_the_same_exit() {
        assert_eq!(told(Format::Json, Language::Ja, true, false), ["7\n", "", "Ok"]);
        assert_eq!(told(Format::Json, Language::En, false, false), ["7\n", "", "Error"]);
    }
}
