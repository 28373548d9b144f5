//! Programs as text, before and after; and programs that nobody wrote.

mod assembler;
mod cases;
mod generator;
mod interpreter;
mod properties;
