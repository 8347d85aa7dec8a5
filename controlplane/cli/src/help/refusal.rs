//! What clap says of a command line that it does not take, in Japanese. In English it says it itself.

use crate::output::broken;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use sekisho_types::error_code::Language;

pub(super) fn text(refused: &clap::Error, language: Language, width: usize) -> String {
    match language {
        Language::En => refused.render().to_string(),
        Language::Ja => japanese(refused, width),
    }
}

fn japanese(refused: &clap::Error, width: usize) -> String {
    let mut parts = vec![format!("エラー: {}", cause(refused))];
    let near =
        [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    let near: Vec<String> = near.into_iter().filter_map(|kind| said(refused, kind)).collect();
    if !near.is_empty() {
        parts.push(format!("もしかして: {}", near.join(", ")));
    }
    let valid = said(refused, ContextKind::ValidValue)
        .or_else(|| said(refused, ContextKind::ValidSubcommand));
    if let Some(valid) = valid.filter(|valid| !valid.is_empty()) {
        parts.push(format!("使える値: {valid}"));
    }
    if let Some(usage) = said(refused, ContextKind::Usage) {
        let usage = usage.trim().trim_start_matches("Usage:").trim().to_owned();
        parts.push(format!("使い方: {usage}"));
    }
    parts.push("詳しくは --help で確認してください。".to_owned());
    let mut text = String::new();
    for line in parts.iter().flat_map(|part| broken(part, width)) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn cause(refused: &clap::Error) -> String {
    let arg = said(refused, ContextKind::InvalidArg).unwrap_or_default();
    let value = said(refused, ContextKind::InvalidValue).unwrap_or_default();
    let verb = said(refused, ContextKind::InvalidSubcommand).unwrap_or_default();
    let prior = said(refused, ContextKind::PriorArg).unwrap_or_default();
    let why = std::error::Error::source(refused).map(|why| format!(" ({why})")).unwrap_or_default();
    let kind = refused.kind();
    if kind == ErrorKind::InvalidSubcommand {
        format!("コマンド `{verb}` はありません")
    } else if kind == ErrorKind::UnknownArgument {
        format!("引数 `{arg}` は使えません")
    } else if kind == ErrorKind::MissingRequiredArgument {
        format!("必要な引数がありません: {arg}")
    } else if kind == ErrorKind::MissingSubcommand {
        "コマンドがありません".to_owned()
    } else if kind == ErrorKind::ArgumentConflict {
        format!("`{arg}` と `{prior}` は同時に指定できません")
    } else if matches!(kind, ErrorKind::InvalidValue | ErrorKind::ValueValidation)
        && value.is_empty()
    {
        format!("`{arg}` には値が必要です")
    } else if matches!(kind, ErrorKind::InvalidValue | ErrorKind::ValueValidation) {
        format!("`{arg}` に値 `{value}` は使えません{why}")
    } else {
        // Of other kinds there is no more to say than which argument it was.
        format!("引数 `{arg}` の指定が正しくありません{why}")
    }
}

/// What an error tells beside its kind.
fn said(refused: &clap::Error, kind: ContextKind) -> Option<String> {
    match refused.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        ContextValue::StyledStrs(texts) => {
            Some(texts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
        ContextValue::Number(number) => Some(number.to_string()),
        // Anything else is a mark without words.
        ContextValue::None | ContextValue::Bool(_) | _ => None,
    }
}
