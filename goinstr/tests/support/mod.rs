//! What the live tests stand on: Go toolchains, targets, the real `goinstr`, its report, the books.

pub mod address;
pub mod build;
pub mod case;
pub mod cgroup;
pub mod collector;
pub mod counted;
pub mod coverage;
pub mod dice;
pub mod generate;
pub mod go_cover;
pub mod http;
pub mod kernel;
pub mod lines;
pub mod measurement;
pub mod objects;
pub mod process;
pub mod prometheus;
pub mod report;
pub mod text;
pub mod toolchain;
pub mod truth;
pub mod user;
