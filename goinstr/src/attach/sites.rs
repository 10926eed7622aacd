//! The sites of a plan, by the program that runs at them, each with its cookie.

use goinstr_common::{
    cookie,
    state::{COOKIE_ARGUMENT, COOKIE_STEPPED, RUNNING, SYSCALL, WAITING},
};

use super::Watch;
use crate::plan::{GoState, ProbePlan, Site, StateSite};

/// Sites of one kernel program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// Name of the kernel program.
    pub program: &'static str,
    /// Which of the plan's files.
    pub file: usize,
    /// File offsets.
    pub offsets: Vec<u64>,
    /// Cookies, one an offset.
    pub cookies: Vec<u64>,
}

impl Group {
    /// Whether the cookies name functions of the plan.
    pub fn is_of_functions(&self) -> bool {
        matches!(self.program, "entry" | "exit" | "count" | "begin")
    }
}

/// Sites of one kernel program in whatever file, each with its cookie.
struct Collected {
    program: &'static str,
    sites: Vec<(Site, u64)>,
}

impl Collected {
    fn push(&mut self, site: Site, cookie: u64) {
        self.sites.push((site, cookie));
    }

    /// Those of each file, as far as there are any.
    fn by_file(self, files: usize) -> impl Iterator<Item = Group> {
        (0..files)
            .map(move |file| {
                let own = self.sites.iter().filter(|(site, _)| site.file == file);
                let (offsets, cookies) = own.map(|(site, cookie)| (site.offset.0, *cookie)).unzip();
                Group {
                    program: self.program,
                    file,
                    offsets,
                    cookies,
                }
            })
            .filter(|group| !group.offsets.is_empty())
    }
}

/// All sites, in the order in which they have to be armed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sites {
    pub groups: Vec<Group>,
    /// Whether the entry site's instruction is single-stepped, by function.
    pub stepped: Vec<bool>,
}

impl Sites {
    /// The sites of a plan: returns and unwinding before entries, so that no call is ever seen to
    /// begin whose end would be missed. `stepped` tells whether a site's instruction is single-stepped,
    /// `plain` whether a return is one that a program could make.
    pub fn of(
        plan: &ProbePlan,
        watch: Watch,
        stepped: impl Fn(Site) -> bool,
        plain: impl Fn(Site) -> bool,
    ) -> Self {
        let group = |program| Collected {
            program,
            sites: Vec::new(),
        };
        let (mut exits, mut entries) = (group("exit"), group("entry"));
        let mut counts = group(match watch {
            Watch::Entries { told: true, .. } => "begin",
            _ => "count",
        });
        let mut all_stepped = Vec::with_capacity(plan.functions.len());
        for (id, function) in plan.functions.iter().enumerate() {
            let id = u32::try_from(id).unwrap_or(u32::MAX);
            let follow = watch == Watch::Calls || function.reenters;
            for &exit in function.exits.iter().filter(|_| follow) {
                let flags = if plain(exit) { cookie::PLAIN_RETURN } else { 0 };
                exits.push(exit, cookie::encode_return(id, flags, exit.address.0));
            }
            let mut flags = 0;
            if function.reenters {
                flags |= cookie::REENTERS;
            }
            let steps = stepped(function.entry);
            if steps {
                flags |= cookie::STEPPED;
            }
            all_stepped.push(steps);
            let group = if follow { &mut entries } else { &mut counts };
            group.push(function.entry, cookie::encode(id, flags));
        }
        let (mut recovery, mut goexit) = (group("recovery"), group("goexit"));
        let mut goexit_entry = group("goexit_entry");
        if !entries.sites.is_empty() {
            let libraries = plan.libraries.iter().map(|library| &library.unwind);
            for unwind in std::iter::once(&plan.unwind).chain(libraries) {
                for (group, site) in [
                    (&mut recovery, unwind.recovery),
                    (&mut goexit_entry, unwind.goexit_entry),
                    (&mut goexit, unwind.goexit),
                ] {
                    if let Some(site) = site {
                        group.push(site, 0);
                    }
                }
            }
        }
        let (mut status, mut state) = (group("state_status"), group("state_site"));
        if let Some(states) = &plan.states {
            if let Some(site) = states.status {
                status.push(site, state_flags(stepped(site)));
            }
            for changed in &states.sites {
                let flags = state_flags(stepped(changed.site));
                state.push(changed.site, state_cookie(changed) | flags);
            }
        }
        let groups = [
            status,
            state,
            exits,
            recovery,
            goexit_entry,
            goexit,
            entries,
            counts,
        ];
        Self {
            groups: groups
                .into_iter()
                .flat_map(|group| group.by_file(plan.libraries.len() + 1))
                .collect(),
            stepped: all_stepped,
        }
    }

    /// Takes out the groups of one kernel program.
    pub fn take(&mut self, program: &str) -> Vec<Group> {
        self.groups
            .extract_if(.., |group| group.program == program)
            .collect()
    }

    /// Number of sites.
    pub fn len(&self) -> usize {
        self.groups.iter().map(|group| group.offsets.len()).sum()
    }
}

fn state_flags(stepped: bool) -> u64 {
    if stepped { COOKIE_STEPPED } else { 0 }
}

fn state_cookie(site: &StateSite) -> u64 {
    let state = match site.state {
        GoState::Running => RUNNING,
        GoState::Waiting => WAITING,
        GoState::Syscall => SYSCALL,
    };
    let flags = if site.of_argument { COOKIE_ARGUMENT } else { 0 };
    u64::from(state) | flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attach::calibration::SOME_LAYOUT;
    use crate::binary::{FileOffset, Vaddr};
    use crate::plan::{Library, PlannedFunction, UnwindSites};

    fn site(offset: u64) -> Site {
        Site {
            file: 0,
            address: Vaddr(0x400000 + offset),
            offset: FileOffset(offset),
        }
    }

    fn function(entry: u64, exits: &[u64], reenters: bool) -> PlannedFunction {
        PlannedFunction {
            name: format!("f{entry}"),
            symbol: None,
            location: None,
            entry: site(entry),
            reenters,
            exits: exits.iter().map(|&exit| site(exit)).collect(),
            inlined_into: 0,
        }
    }

    fn plan() -> ProbePlan {
        ProbePlan {
            functions: vec![
                function(10, &[15, 17], false),
                function(20, &[25], true),
                function(30, &[], false),
            ],
            skipped: vec![],
            unwind: UnwindSites {
                recovery: Some(site(90)),
                goexit_entry: None,
                goexit: None,
            },
            states: None,
            captures: None,
            roots: None,
            layout: SOME_LAYOUT,
            libraries: vec![],
        }
    }

    #[test]
    fn returns_are_armed_before_entries_and_carry_their_functions_id() {
        let sites = Sites::of(
            &plan(),
            Watch::Calls,
            |site| site.offset.0 == 30,
            |site| site.offset.0 == 17,
        );
        let programs: Vec<_> = sites.groups.iter().map(|group| group.program).collect();
        assert_eq!(programs, ["exit", "recovery", "entry"]);
        assert_eq!(sites.groups[0].offsets, [15, 17, 25]);
        let cookies = &sites.groups[0].cookies;
        assert_eq!(
            cookies.iter().map(|&c| cookie::func(c)).collect::<Vec<_>>(),
            [0, 0, 1]
        );
        assert_eq!(
            cookies.iter().map(|&c| cookie::site(c)).collect::<Vec<_>>(),
            [0x40000f, 0x400011, 0x400019]
        );
        let plain = |c: &u64| c & cookie::PLAIN_RETURN != 0;
        assert_eq!(
            cookies.iter().map(plain).collect::<Vec<_>>(),
            [false, true, false]
        );
        assert_eq!(sites.groups[2].offsets, [10, 20, 30]);
        assert_eq!(
            sites.groups[2].cookies,
            [0, 1 | cookie::REENTERS, 2 | cookie::STEPPED]
        );
        assert_eq!(sites.len(), 7);
    }

    #[test]
    fn counting_arms_entries_alone_but_where_a_function_loops_back_to_its_own() {
        let watch = Watch::Entries {
            callers: false,
            told: false,
        };
        let sites = Sites::of(&plan(), watch, |_| false, |_| false);
        let armed: Vec<_> = sites
            .groups
            .iter()
            .map(|group| (group.program, group.offsets.as_slice()))
            .collect();
        assert_eq!(
            armed,
            [
                ("exit", [25].as_slice()),
                ("recovery", &[90]),
                ("entry", &[20]),
                ("count", &[10, 30]),
            ]
        );
        let mut straight = plan();
        straight.functions.remove(1);
        let sites = Sites::of(&straight, watch, |_| false, |_| false);
        assert_eq!((sites.groups.len(), sites.len()), (1, 2));
    }

    #[test]
    fn sites_of_a_library_are_armed_in_its_own_file() {
        let mut plan = plan();
        plan.functions[0].entry.file = 1;
        plan.functions[0].exits[0].file = 1;
        plan.functions[0].exits[1].file = 1;
        let recovery = Site {
            file: 1,
            ..site(70)
        };
        plan.libraries = vec![Library {
            path: "/p.so".into(),
            open_path: "/proc/self/fd/9".into(),
            unwind: UnwindSites {
                recovery: Some(recovery),
                ..UnwindSites::default()
            },
        }];
        let sites = Sites::of(&plan, Watch::Calls, |_| false, |_| false);
        let armed: Vec<_> = sites
            .groups
            .iter()
            .map(|group| (group.program, group.file, group.offsets.as_slice()))
            .collect();
        assert_eq!(
            armed,
            [
                ("exit", 0, [25].as_slice()),
                ("exit", 1, &[15, 17]),
                ("recovery", 0, &[90]),
                ("recovery", 1, &[70]),
                ("entry", 0, &[20, 30]),
                ("entry", 1, &[10]),
            ]
        );
    }
}
