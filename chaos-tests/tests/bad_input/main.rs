//! Bad input, each kind once against a whole federation: it is refused by its code, the exit says of what kind it was,
//! the words lead on, and nothing has changed but what the audit log says of the refusal (A2, A3).
//!
//! The finer points of each stand beside the code that refuses. All cases share one federation: that it is none the
//! worse for them is part of what is shown.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a broken set-up should fail loudly"
)]

mod certificate;
mod cluster;
mod grant;
mod size;
mod spec;
mod stage;
mod token;

use stage::Stage;

#[test]
fn bad_input_is_refused_by_its_code_and_changes_nothing() {
    let mut stage = Stage::start(27_400);
    let tokens = token::prepare(&stage);
    let waits = spec::occupy(&stage);
    stage.look();
    spec::malformed_or_unknown(&mut stage);
    spec::impossible_for_ever_or_for_now(&mut stage);
    spec::retired_area(&mut stage);
    spec::one_of_a_batch(&mut stage);
    size::oversized(&mut stage);
    certificate::of_another_authority_expired_or_of_no_operator(&mut stage);
    token::reused_or_expired(&mut stage, &tokens);
    cluster::of_another_federation(&mut stage);
    cluster::of_an_operator_that_is_not_enrolled(&mut stage);
    grant::altered_old_or_of_a_shorter_log(&mut stage);
    spec::still_serves(&stage, &waits);
}
