//! What `make walk` types is what the command line takes, and what it prints is true.

use sekisho_chaos::walk;

#[test]
fn the_walk_comes_out_right() {
    let dir = tempfile::tempdir().unwrap();
    walk::run(dir.path(), 27_250).unwrap();
}
