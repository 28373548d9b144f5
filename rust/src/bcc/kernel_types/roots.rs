//! The types that a program names: one pass over all types, which looks at the names asked for only.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    BASE, Request,
    sources::{Id, Sources},
};
use crate::kernel::btf::{Btf, Type, kind};

/// What the identifiers of a program mean to the kernel.
#[derive(Default)]
pub(super) struct Roots<'a> {
    /// Enumerations with an enumerator that the program names.
    pub(super) enumerations: BTreeSet<Id>,
    /// The type of each tag, and how good a definition it is.
    pub(super) tags: HashMap<&'a str, (Quality, Id)>,
    pub(super) typedefs: HashMap<&'a str, Id>,
}

/// How much a type says of its tag; the better ones last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Quality {
    /// Declared only.
    Declaration,
    /// Defined without members.
    Empty,
    Definition,
}

impl<'a> Roots<'a> {
    /// Find the types among which the program's identifiers are.
    pub(super) fn find(sources: &Sources, request: &Request<'a>) -> Self {
        let mut roots = Self::default();
        let names = Names::new(&request.identifiers);
        for (id, found) in sources.types() {
            let kind = found.kind();
            if matches!(kind, kind::ENUM | kind::ENUM64) {
                let meant = |offset| names.get(sources.tail(id, offset));
                let mut offsets = found.enumerators(false).map(|enumerator| enumerator.name_offset);
                if offsets.any(|offset| meant(offset).is_some_and(|name| !request.own_names.contains(name))) {
                    roots.enumerations.insert(id);
                }
            }
            let quality = match kind {
                kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 if found.len() > 0 => Quality::Definition,
                kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 => Quality::Empty,
                kind::FWD => Quality::Declaration,
                kind::TYPEDEF => {
                    if let Some(name) = names.get(sources.tail(id, found.name_offset))
                        && !request.own_names.contains(name)
                        && !BASE.contains(&name)
                    {
                        roots.typedefs.entry(name).or_insert(id);
                    }
                    continue;
                }
                _ => continue,
            };
            if found.name_offset != 0
                && let Some(name) = names.get(sources.tail(id, found.name_offset))
                && !request.own_tags.contains(name)
            {
                let best = roots.tags.entry(name).or_insert((quality, id));
                // Of equals the first.
                if best.0 < quality {
                    *best = (quality, id);
                }
            }
        }
        roots
    }

    /// Return those of the tags that a module's own types define.
    pub(super) fn tags_of(module: &Btf, tags: &HashSet<&'a str>) -> HashSet<&'a str> {
        let names = Names::new(tags);
        module
            .types()
            .filter(|(_, found)| is_definition(found))
            .filter_map(|(_, found)| names.get(module.tail(found.name_offset)))
            .collect()
    }

    /// Find the definitions of tags that are only declared where they were met.
    pub(super) fn definitions(sources: &Sources, tags: &HashSet<&str>) -> Vec<Id> {
        let names = Names::new(tags);
        let mut found_tags = HashSet::new();
        let undefined = |(id, found): (Id, Type<'_>)| {
            let defines = found.is_record() && found.len() > 0;
            let name = defines.then(|| names.get(sources.tail(id, found.name_offset))).flatten()?;
            found_tags.insert(name).then_some(id)
        };
        sources.types().filter_map(undefined).collect()
    }
}

fn is_definition(found: &Type<'_>) -> bool {
    found.is_record() || matches!(found.kind(), kind::ENUM | kind::ENUM64)
}

/// A set of names that tells quickly what is not in it.
struct Names<'s, 'a> {
    set: &'s HashSet<&'a str>,
    /// One bit for each pair of first bytes; a single letter has a NUL behind it.
    starts: Vec<u64>,
}

impl<'s, 'a> Names<'s, 'a> {
    fn new(set: &'s HashSet<&'a str>) -> Self {
        let mut starts = vec![0; (1 << 16) / 64];
        for name in set {
            let start = start_of(name.as_bytes());
            starts[start / 64] |= 1 << (start % 64);
        }
        Self { set, starts }
    }

    /// Return the name that `tail` begins with and a NUL ends.
    fn get(&self, tail: &[u8]) -> Option<&'a str> {
        let start = start_of(tail);
        if self.starts[start / 64] >> (start % 64) & 1 == 0 {
            return None;
        }
        let name = tail.split(|byte| *byte == 0).next()?;
        self.set.get(str::from_utf8(name).ok()?).copied()
    }
}

fn start_of(name: &[u8]) -> usize {
    let byte = |index| name.get(index).map_or(0, |byte| usize::from(*byte));
    byte(0) << 8 | byte(1)
}
