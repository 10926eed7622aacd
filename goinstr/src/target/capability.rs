//! The capabilities that measuring takes (capabilities(7)), and which of them this process has.

use rustix::thread::CapabilitySet;

/// A capability that measuring may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// BPF maps and programs.
    Bpf,
    /// Programs at probes.
    Perfmon,
    /// The executable and the memory of another user's process.
    SysPtrace,
    /// An executable whose file this user may not read.
    DacReadSearch,
    /// Probes by perf events; includes the first two.
    SysAdmin,
}

impl Capability {
    /// Those that suffice for any process whose file may be read, where there is `uprobe.multi`.
    pub const USUAL: [Self; 3] = [Self::Bpf, Self::Perfmon, Self::SysPtrace];

    /// Its name, as capabilities(7) spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bpf => "CAP_BPF",
            Self::Perfmon => "CAP_PERFMON",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Self::SysAdmin => "CAP_SYS_ADMIN",
        }
    }

    /// Whether this process has it. Where the kernel doesn't tell: yes, it will say no itself.
    #[must_use]
    pub fn is_ours(self) -> bool {
        rustix::thread::capabilities(None).map_or(true, |sets| self.is_in(sets.effective))
    }

    /// Those of [`Capability::USUAL`] that this process lacks.
    #[must_use]
    pub fn missing() -> Vec<Self> {
        let lacks = |capability: &Self| !capability.is_ours();
        Self::USUAL.into_iter().filter(lacks).collect()
    }

    fn is_in(self, set: CapabilitySet) -> bool {
        match self {
            Self::Bpf => set.intersects(CapabilitySet::BPF | CapabilitySet::SYS_ADMIN),
            Self::Perfmon => set.intersects(CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN),
            Self::SysPtrace => set.contains(CapabilitySet::SYS_PTRACE),
            Self::DacReadSearch => {
                set.intersects(CapabilitySet::DAC_READ_SEARCH | CapabilitySet::DAC_OVERRIDE)
            }
            Self::SysAdmin => set.contains(CapabilitySet::SYS_ADMIN),
        }
    }
}

/// Names in a row.
#[must_use]
pub fn names(capabilities: &[Capability]) -> String {
    let names: Vec<_> = capabilities.iter().map(|c| c.name()).collect();
    names.join(", ")
}

/// How goinstr is given the usual ones and those beside.
#[must_use]
pub fn remedy(beside: &[Capability]) -> String {
    format!("run it with sudo, or: {}", setcap(beside))
}

/// The command that gives them to goinstr's file, so that whoever runs it has them.
#[must_use]
pub fn setcap(beside: &[Capability]) -> String {
    let all = Capability::USUAL.iter().chain(beside);
    let names: Vec<_> = all.map(|c| c.name().to_lowercase()).collect();
    format!(
        "sudo setcap {}+ep \"$(command -v goinstr)\"",
        names.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_right_includes_the_new_ones_but_not_that_to_other_processes() {
        let admin = CapabilitySet::SYS_ADMIN;
        assert!(Capability::Bpf.is_in(admin) && Capability::Perfmon.is_in(admin));
        assert!(!Capability::SysPtrace.is_in(admin));
        assert!(!Capability::Bpf.is_in(CapabilitySet::PERFMON));
    }

    #[test]
    fn a_remedy_is_a_command_with_every_name_once() {
        assert!(remedy(&[]).contains("setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep"));
        assert!(remedy(&[Capability::DacReadSearch]).contains(",cap_dac_read_search+ep"));
    }

    #[test]
    fn the_readme_has_the_command() {
        let readme = include_str!("../../../README.md");
        assert!(readme.contains(&setcap(&[])), "{}", setcap(&[]));
    }
}
