//! Programs that others built: of Go versions no toolchain is to be had of (1.17, 1.18, 1.20), and
//! large ones.
//!
//! They lie in `~/.cache/goinstr/programs`, if anywhere, under any name; `cargo xtask programs`
//! puts some there. esbuild's releases on npm serve for the old ones: 0.14.0 is of Go 1.17, 0.14.39
//! of 1.18, 0.17.19 of 1.20, each for both architectures. They are stripped, so there is no truth to hold the sites against; but the
//! functions that start again when the stack was too small are those that call
//! `runtime.morestack`, and who calls it can be seen without knowing a prologue. Which functions there
//! are, Go's own reader of function tables tells (`gosym`).

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use goinstr::binary::{
    Arch, BinaryError, Function, GoBinary, Vaddr,
    code::{Unmeasurable, find_call},
    names,
};

use crate::{compare::Score, gosym, toolchain::Toolchain};

/// The programs that are there.
pub fn programs() -> Vec<PathBuf> {
    let Some(home) = env::var_os("HOME") else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(Path::new(&home).join(".cache/goinstr/programs")) else {
        return Vec::new();
    };
    let mut programs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    programs.sort();
    programs
}

/// Whether the functions are those that Go's reader tells of, and whether what goinstr says of each
/// compiled one agrees with the calls it makes and with the bytes at its sites.
pub fn check(program: &Path, newest: &Toolchain) -> Result<(GoBinary, Score), String> {
    let read = GoBinary::open(program).map_err(|why| format!("{}: {why}", program.display()))?;
    let restarters: BTreeSet<u64> = read
        .functions()
        .iter()
        .filter(|function| read.name(function).starts_with("runtime.morestack"))
        .map(|function| function.entry.0)
        .collect();
    if restarters.is_empty() {
        return Err("no runtime.morestack in it".to_owned());
    }
    let mut score = Score::default();
    gosym::compare(program, &read, newest, &mut score)?;
    for function in read
        .functions()
        .iter()
        .filter(|function| is_compiled(function))
    {
        let name = read.name(function);
        let code = read
            .code(function)
            .map_err(|why| format!("{name}: {why}"))?;
        let restarts = restarters
            .iter()
            .any(|to| find_call(read.arch(), &code, function.entry, Vaddr(*to)).is_some());
        match read.call_sites(function) {
            Ok(sites) => {
                score.sites += 1;
                let at = |site: Vaddr| &code[(site.0 - function.entry.0) as usize..];
                let returns = sites
                    .exits
                    .iter()
                    .all(|exit| is_return(read.arch(), at(*exit)));
                if sites.entry.after_stack_check == restarts && returns {
                    score.right += 1;
                } else {
                    score
                        .faults
                        .push(format!("{name}: {sites:x?}, calls morestack: {restarts}"));
                }
            }
            // Wrappers; no other compiled function leaves by a jump.
            Err(Unmeasurable::TailCall { .. }) if function.is_wrapper() => {
                score.refused += 1;
            }
            Err(Unmeasurable::Unprobeable { .. } | Unmeasurable::LockPrefix { .. }) => {
                score.refused += 1;
            }
            Err(why) => score.faults.push(format!("{name}: {why:x?}")),
        }
    }
    inlined_names(&read)?;
    Ok((read, score))
}

/// Whether what was inlined has names as functions have: a tree read by another version's layout
/// gives pieces of names.
fn inlined_names(read: &GoBinary) -> Result<(), String> {
    let packages: BTreeSet<_> = read.functions().iter().map(|f| read.package(f)).collect();
    let inlined = read.inlined();
    let known = |name: &&&str| packages.contains(&names::import_path(names::package(name)));
    let (known, all) = (inlined.keys().filter(known).count(), inlined.len());
    // Of some packages nothing but inlined functions is left.
    if all < 500 || known * 100 < all * 95 {
        return Err(format!(
            "of {all} inlined functions {known} are of a package of the program"
        ));
    }
    Ok(())
}

/// Whether a program of Go 1.16 or older (its name begins with `too-old-`) is refused as such, in
/// words that name its version.
pub fn refused(program: &Path) -> Result<(), String> {
    match GoBinary::open(program) {
        Err(error @ BinaryError::TooOld { .. }) if error.to_string().contains(" go1.") => Ok(()),
        Err(error) => Err(format!("refused for another reason: {error}")),
        Ok(_) => Err("read, as if it were Go 1.17 or newer".to_owned()),
    }
}

fn is_compiled(function: &Function) -> bool {
    !function.is_assembly() && !function.is_not_go()
}

fn is_return(arch: Arch, code: &[u8]) -> bool {
    match arch {
        Arch::X86_64 => code.first() == Some(&0xc3),
        Arch::Aarch64 => code.starts_with(&0xd65f_03c0_u32.to_le_bytes()),
    }
}
