//! Raising the feature level: from the next entry on, entries of the new level are applied.
//!
//! Must hold: R4. It is never lowered. Apply does not know what the members' programs know: the leader asks for it only
//! when all have said that they know it, and a member whose program does not stops before it publishes anything of it.

use super::change::Change;
use crate::outcome::{Outcome, Rejection, Reply};
use sekisho_types::error_code::ErrorCode;

/// Puts a level in force. Repeatable: a second time is refused without harm.
pub(super) fn raise(change: &mut Change<'_>, level: u32) -> Outcome {
    change.member()?;
    let in_force = change.state.feature_level;
    if level <= in_force {
        let why = format!("level {in_force} is in force, and never lowered");
        return Err(Rejection::new(ErrorCode::FeatureLevel, why));
    }
    change.state.feature_level = level;
    change.effects.checkpoint = true;
    Ok(Reply::Done)
}

#[cfg(test)]
mod tests {
    use crate::command::Command;
    use crate::entry::FEATURE_LEVEL;
    use crate::testing::{Federation, admin, member};
    use sekisho_types::error_code::ErrorCode;

    #[test]
    fn a_level_is_raised_by_members_and_never_lowered() {
        let mut federation = Federation::new();
        let next = FEATURE_LEVEL + 1;
        let run = |federation: &mut Federation, by, level| {
            let applied = federation.run(by, Command::RaiseFeatureLevel { level });
            applied.outcome.map_err(|rejection| rejection.code)
        };
        let denied = run(&mut federation, admin("kanto"), next);
        assert_eq!(denied, Err(ErrorCode::PermissionDenied));
        assert_eq!(federation.state.feature_level(), FEATURE_LEVEL);
        // An entry of a level that is not in force is refused before, and taken after.
        let tick = |federation: &mut Federation| {
            let mut tick = federation.entry(member("kanto"), &[], Command::Tick);
            tick.feature_level = next;
            federation.apply(tick).outcome.map_err(|rejection| rejection.code).err()
        };
        assert_eq!(tick(&mut federation), Some(ErrorCode::FeatureLevel));
        run(&mut federation, member("hokuto"), next).unwrap();
        assert_eq!((federation.state.feature_level(), tick(&mut federation)), (next, None));
        for level in [next, FEATURE_LEVEL, 0] {
            let refused = run(&mut federation, member("kanto"), level);
            assert_eq!(refused, Err(ErrorCode::FeatureLevel), "{level}");
        }
        // It is part of what replicas compare, and of a snapshot.
        let bytes = federation.state.to_snapshot().unwrap();
        assert_eq!(crate::State::from_snapshot(&bytes).unwrap().feature_level(), next);
    }
}
