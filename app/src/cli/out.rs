//! What commands print. `println!` panics where nobody reads any more, or the disk is full.

use std::{
    fmt::Arguments,
    io::{ErrorKind, Write, stderr, stdout},
};

/// What a shell reports of a program that wrote to a pipe nobody reads (128 + SIGPIPE).
const NOBODY_READS: i32 = 141;

/// Prints a line of a command's answer. Where that is impossible the command is over.
macro_rules! say {
    ($($argument:tt)*) => { $crate::cli::out::answer(format_args!("{}\n", format_args!($($argument)*))) };
}

/// Prints a line of somebody who goes on all the same: a shop that serves.
macro_rules! mention {
    ($($argument:tt)*) => { $crate::cli::out::remark(format_args!("{}\n", format_args!($($argument)*))) };
}

/// Prints a line on standard error, where it can be.
macro_rules! complain {
    ($($argument:tt)*) => { $crate::cli::out::complaint(format_args!("{}\n", format_args!($($argument)*))) };
}

pub(super) fn answer(text: Arguments<'_>) {
    let Err(error) = write(text) else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(NOBODY_READS);
    }
    complain!("banyan: standard output cannot be written: {error}");
    std::process::exit(1);
}

pub(super) fn remark(text: Arguments<'_>) {
    // Whom it serves does not read this.
    let _ = write(text);
}

pub(super) fn complaint(text: Arguments<'_>) {
    // There is nobody else to tell.
    let _ = stderr().write_fmt(text);
}

fn write(text: Arguments<'_>) -> std::io::Result<()> {
    let mut out = stdout().lock();
    out.write_fmt(text)?;
    out.flush()
}
