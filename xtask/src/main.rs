//! `cargo xtask`: sets up, builds, demonstrates and tests goinstr.

fn main() -> anyhow::Result<()> {
    Ok(())
}
