//! Whether jobs can be confined here: by the runtime's own probe, which makes what a start makes.

use sekisho_agent_runtime::shim::ShimCommand;
use sekisho_agent_runtime::shim::namespace::{Namespaces, probe};
use sekisho_doctor::catalogue::node::*;
use sekisho_doctor::check::Finding;
use sekisho_doctor::host::jail::facts;

/// The check `namespaces`. Blocks for as long as the probe's processes live.
pub(super) fn namespaces(shim: &ShimCommand, run_as: bool) -> Finding {
    judge(probe(shim), run_as)
}

fn judge(probed: Result<Namespaces, String>, run_as: bool) -> Finding {
    let found = match probed {
        Ok(Namespaces::Direct) => Finding::new(&NAMESPACES_DIRECT),
        Ok(Namespaces::User) if run_as => Finding::new(&NAMESPACES_RUN_AS),
        Ok(Namespaces::User) => Finding::new(&NAMESPACES_USER),
        Err(why) => Finding::new(&NAMESPACES_NONE).with("cause", why),
    };
    found.with("facts", facts())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_cannot_confine_fails_and_says_why() {
        let code = |probed, run_as| judge(probed, run_as).outcome.code;
        assert_eq!(code(Ok(Namespaces::Direct), true), "NAMESPACES_DIRECT");
        assert_eq!(code(Ok(Namespaces::User), false), "NAMESPACES_USER");
        assert_eq!(code(Ok(Namespaces::User), true), "NAMESPACES_RUN_AS");
        assert_eq!(code(Err("EPERM".to_owned()), false), "NAMESPACES_NONE");
        let gone = ShimCommand { program: "/nonexistent/shim".into(), args: Vec::new() };
        let found = namespaces(&gone, false);
        assert_eq!(found.outcome.code, "NAMESPACES_NONE");
        assert!(found.values()["cause"].contains("cannot run the shim"), "{found:?}");
    }
}
