//! Whose member this is, by the files that the settings name and by the marks of its data directory.

use crate::config::Config;
use crate::trust::Ground;
use sekisho_doctor::catalogue::member::*;
use sekisho_doctor::check::Finding;
use sekisho_store::{MarkerError, look};
use sekisho_types::cause::explain;
use sekisho_types::time::Timestamp;
use std::io::ErrorKind;

/// The check `federation`, of what was read.
pub(super) fn ground(config: &Config, ground: &Ground) -> Finding {
    let bundle = &ground.trust.bundle;
    let known = ground.known().members;
    let own = known.get(&config.member());
    if !own.is_some_and(|own| own.operator == config.operator && own.site == config.site) {
        return Finding::new(&GROUND_STRANGER)
            .with("member", config.member)
            .with("operator", &config.operator)
            .with("site", &config.site);
    }
    Finding::new(&GROUND_SOUND)
        .with("cluster", bundle.cluster)
        .with("incarnation", bundle.incarnation)
        .with("version", bundle.version)
        .with("operators", bundle.operators.len())
        .with("k", bundle.k)
}

/// The check `directory`: the marks, against what the settings say.
pub(super) fn directory(config: &Config, ground: Option<&Ground>) -> Finding {
    let path = config.data_dir.display();
    let foreign =
        |cause: String| Finding::new(&DIRECTORY_FOREIGN).with("path", &path).with("cause", cause);
    // What cannot be read by whoever asks is not wrong for that.
    if let Err(error) = std::fs::read_dir(&config.data_dir)
        && error.kind() == ErrorKind::PermissionDenied
    {
        return Finding::told(&DIRECTORY, Err(error));
    }
    let found = match look(&config.data_dir) {
        Ok(found) => found,
        Err(error) => return foreign(explain(&error)),
    };
    if let Some(missing) = found.missing.first() {
        return Finding::new(&DIRECTORY_INCOMPLETE).with("missing", missing).with("path", &path);
    }
    let Some(marker) = found.marker else { return Finding::new(&DIRECTORY_NEW) };
    let Some(ground) = ground else {
        return Finding::new(&DIRECTORY_UNKNOWN);
    };
    match marker.check(&ground.origin().owner(config.member())) {
        Ok(()) => Finding::new(&DIRECTORY_SOUND)
            .with("created", Timestamp(marker.created_unix_ms))
            .with("boots", found.boots),
        Err(error) => foreign(with_remedy(&error)),
    }
}

fn with_remedy(error: &MarkerError) -> String {
    format!("{error}; {}", error.remedy())
}
