//! The command line from outside: what people type, read and wait for.

mod check;
mod crash;
mod demo;
mod help;
mod serve;
mod support;
mod verify;
