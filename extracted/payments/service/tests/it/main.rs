//! The service as a program.

use std::process::Command;

#[test]
fn what_it_is_not_told_it_says_before_anything_starts() {
    let mut service = Command::new(env!("CARGO_BIN_EXE_payments-service"));
    let ended = service.env_clear().output().expect("a program");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success());
    assert_eq!(said, "payments: set BANYAN_ADMIN_LISTEN\n");
}
