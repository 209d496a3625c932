//! The `stateward` command.

fn main() {}
