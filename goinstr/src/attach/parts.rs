//! `uprobe.multi` links in parts: the sites of functions that are called, and those of the others by some hundreds.
//!
//! Sites can't be taken out of a link, so where a function goes, what stays of its link is armed once
//! more. A target that becomes busy can't wait for thousands of sites of functions that nobody calls; those
//! that become too dear are among the called ones, which are few, or are called for the first time. In: groups
//! of sites. Out: [`Parted`], which keeps them armed and makes of itself another one without some functions.

use std::{
    collections::{BTreeSet, HashSet},
    iter,
    sync::Arc,
};

use goinstr_common::cookie;

use super::{
    AttachError,
    armer::Armer,
    holder::{self, Held},
    sites::Group,
};

/// With fewer functions than this, all that are not called are in one part: to arm it once more takes the kernel
/// some milliseconds.
const SMALL: usize = 1 << 7;
/// Parts of those at most: each takes a process to disarm, all at once.
const PARTS: usize = 16;

/// Which functions were called, as far as is known, by index.
#[derive(Clone, Copy)]
pub(super) struct Called<'c>(pub &'c [bool]);

impl Called<'_> {
    fn has(self, cookie: u64) -> bool {
        self.0.get(cookie::func(cookie) as usize) == Some(&true)
    }
}

/// Links that keep sites armed; dropping it disarms those that no other one has, which waits for a grace period.
pub(super) struct Parted {
    armed: Vec<Armed>,
    /// Functions in one part of those that are not called.
    size: usize,
}

/// The sites of one program in one file.
struct Armed {
    armer: Arc<Armer>,
    /// Without its sites: these are in the links.
    group: Group,
    /// Of functions that were not called, by part: a function's is the same for all programs. What is no
    /// function's is in the first.
    calm: Vec<Option<Arc<Link>>>,
    /// Of functions that were called.
    called: Option<Arc<Link>>,
}

/// A file offset and its cookie.
type Sites = Vec<(u64, u64)>;

/// Sites that are armed by one link.
struct Link {
    held: Held,
    sites: Sites,
}

impl Parted {
    /// Nothing yet, of a plan of so many functions.
    pub fn new(functions: usize) -> Self {
        Self {
            armed: Vec::new(),
            size: functions.div_ceil(PARTS).max(SMALL),
        }
    }

    /// Arms a group, in parts where it is of functions.
    pub fn arm(
        &mut self,
        armer: Armer,
        group: Group,
        called: Called<'_>,
    ) -> Result<(), AttachError> {
        let offsets = group.offsets.iter().copied();
        let all = offsets.zip(group.cookies.iter().copied());
        let of_functions = group.is_of_functions();
        let (busy, calm): (Sites, Sites) =
            all.partition(|&(_, cookie)| of_functions && called.has(cookie));
        let mut parts: Vec<Sites> = Vec::new();
        for site in calm {
            let part = if of_functions { self.part(site.1) } else { 0 };
            if parts.len() <= part {
                parts.resize_with(part + 1, Sites::new);
            }
            parts[part].push(site);
        }
        let arm = |sites| Link::arm(&armer, sites);
        self.armed.push(Armed {
            calm: parts.into_iter().map(arm).collect::<Result<_, _>>()?,
            called: arm(busy)?,
            armer: Arc::new(armer),
            group: Group {
                offsets: Vec::new(),
                cookies: Vec::new(),
                ..group
            },
        });
        Ok(())
    }

    fn part(&self, cookie: u64) -> usize {
        cookie::func(cookie) as usize / self.size
    }

    /// The same without the functions that are `gone`: what stays of the parts that have some of them is armed once
    /// more, each function in links of its next generation; the rest is shared. And the functions that were armed
    /// once more.
    pub fn without(
        &self,
        gone: &HashSet<u32>,
        called: Called<'_>,
    ) -> Result<(Self, BTreeSet<u32>), AttachError> {
        let mut again = Again {
            gone,
            called,
            parts: BTreeSet::new(),
            functions: BTreeSet::new(),
        };
        for armed in self.armed.iter().filter(|a| a.group.is_of_functions()) {
            let parts = armed.calm.iter().enumerate();
            let has_some =
                parts.filter(|(_, link)| link.as_ref().is_some_and(|l| l.has_some_of(gone)));
            again.parts.extend(has_some.map(|(part, _)| part));
        }
        let mut next = Self {
            armed: Vec::with_capacity(self.armed.len()),
            size: self.size,
        };
        for armed in &self.armed {
            next.armed.push(if armed.group.is_of_functions() {
                armed.again(&mut again)?
            } else {
                armed.share()
            });
        }
        Ok((next, again.functions))
    }
}

/// What is armed once more.
struct Again<'a> {
    gone: &'a HashSet<u32>,
    called: Called<'a>,
    /// Which parts of the functions that were not called have to be: those that were by now go over to the other
    /// ones, which are armed once more in any case.
    parts: BTreeSet<usize>,
    /// Which functions were, so far.
    functions: BTreeSet<u32>,
}

impl Again<'_> {
    /// What stays of a link, for the next generation.
    fn stay(&mut self, link: Option<&Arc<Link>>) -> Sites {
        let sites = link.iter().flat_map(|link| &link.sites);
        let stay = sites.filter(|(_, cookie)| !self.gone.contains(&cookie::func(*cookie)));
        let stay: Sites = stay
            .map(|&(offset, cookie)| (offset, cookie::of_next_generation(cookie)))
            .collect();
        let functions = stay.iter().map(|(_, cookie)| cookie::func(*cookie));
        self.functions.extend(functions);
        stay
    }
}

impl Armed {
    /// The same, without arming anything.
    fn share(&self) -> Self {
        Self {
            armer: Arc::clone(&self.armer),
            group: self.group.clone(),
            calm: self.calm.clone(),
            called: self.called.clone(),
        }
    }

    /// See [`Parted::without`].
    fn again(&self, again: &mut Again<'_>) -> Result<Self, AttachError> {
        let mut next = self.share();
        let mut busy = again.stay(self.called.as_ref());
        for (part, link) in next.calm.iter_mut().enumerate() {
            if again.parts.contains(&part) {
                let stay = again.stay(link.as_ref()).into_iter();
                let (now_called, calm): (Sites, Sites) =
                    stay.partition(|&(_, cookie)| again.called.has(cookie));
                busy.extend(now_called);
                *link = Link::arm(&self.armer, calm)?;
            }
        }
        next.called = Link::arm(&self.armer, busy)?;
        Ok(next)
    }
}

impl Link {
    /// `None`: there is nothing to be armed.
    fn arm(armer: &Armer, sites: Sites) -> Result<Option<Arc<Self>>, AttachError> {
        if sites.is_empty() {
            return Ok(None);
        }
        let (offsets, cookies): (Vec<u64>, Vec<u64>) = sites.iter().copied().unzip();
        let held = armer.arm(&offsets, &cookies)?;
        Ok(Some(Arc::new(Self { held, sites })))
    }

    fn has_some_of(&self, functions: &HashSet<u32>) -> bool {
        let mut cookies = self.sites.iter().map(|(_, cookie)| *cookie);
        cookies.any(|cookie| functions.contains(&cookie::func(cookie)))
    }
}

impl Drop for Parted {
    fn drop(&mut self) {
        // All at once: where calls still count, other links have the same sites.
        let armed = self.armed.drain(..).rev();
        let links = armed.flat_map(|armed| iter::once(armed.called).chain(armed.calm));
        let own = links.flatten().filter_map(Arc::into_inner);
        holder::let_go(own.map(|link| link.held));
    }
}
