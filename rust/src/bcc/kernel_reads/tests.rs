//! Programs as text, before and after; and programs that nobody wrote.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a machine's arithmetic wraps, and the numbers of the tests are small"
)]

mod assembler;
mod cases;
mod expected;
mod generator;
mod growth;
mod interpreter;
mod properties;
