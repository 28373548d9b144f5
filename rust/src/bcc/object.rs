//! What sets an object of the compile step apart from others, as the loader sees it.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use aya_obj::EbpfSectionKind;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SectionKind, SymbolKind};

use super::kernel_identity::Kernel;

/// The section that marks such objects; it says which kernel they were compiled for.
const MARK: &str = ".rtrace.dialect";
/// The section of what is said of maps beside their definitions: `NAME WHAT`, each with a NUL behind it.
const NOTES: &str = ".rtrace.maps";
/// What map symbols end with: the plain names are those of the structs of methods.
const MAP_SUFFIX: &str = "__map";

/// What is known of an object that was C in bcc's dialect.
#[derive(Clone, Debug)]
pub(crate) struct Dialect {
    /// The kernel whose types it was compiled against.
    kernel: String,
    /// Sections that some program refers to, or that have variables.
    used: HashSet<String>,
    /// What is said of maps, by name.
    notes: HashMap<String, Note>,
}

/// What is said of a map beside its definition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Note {
    /// Other objects of the process may have it by its name.
    Public,
    /// It is one that another object of the process has made public.
    Extern,
    /// Other processes have it by this path.
    Pinned(PathBuf),
}

impl Note {
    fn parse(note: &str) -> Option<(String, Self)> {
        let (map, what) = note.split_once(' ')?;
        let note = match what {
            "public" => Self::Public,
            "extern" => Self::Extern,
            _ => Self::Pinned(what.strip_prefix("pinned ")?.into()),
        };
        Some((map.to_owned(), note))
    }
}

impl Dialect {
    /// Look for the mark in the bytes of an object.
    pub(crate) fn of(data: &[u8]) -> Option<Self> {
        let file = object::File::parse(data).ok()?;
        let mark = file.section_by_name(MARK)?.data().ok()?;
        let kernel = String::from_utf8_lossy(mark).trim_end_matches('\0').to_owned();
        let mut used = HashSet::new();
        for section in file.sections().filter(|section| section.kind() == SectionKind::Text) {
            for (_, relocation) in section.relocations() {
                let RelocationTarget::Symbol(symbol) = relocation.target() else { continue };
                let target = file.symbol_by_index(symbol).ok().and_then(|symbol| symbol.section_index());
                let target = target.and_then(|index| file.section_by_index(index).ok());
                used.extend(target.and_then(|section| section.name().ok().map(str::to_owned)));
            }
        }
        // A variable can be set whether a program reads it or not; what the compiler itself made has no name, or one
        // with a dot.
        let variables = file.symbols().filter(|symbol| {
            symbol.kind() == SymbolKind::Data && symbol.name().is_ok_and(|name| !name.starts_with(['.', '_']))
        });
        let sections = variables.filter_map(|variable| file.section_by_index(variable.section_index()?).ok());
        used.extend(sections.filter_map(|section| section.name().ok().map(str::to_owned)));
        let notes = file.section_by_name(NOTES).and_then(|section| section.data().ok()).unwrap_or_default();
        let notes = notes.split(|byte| *byte == 0).filter_map(|note| Note::parse(str::from_utf8(note).ok()?)).collect();
        Some(Self { kernel, used, notes })
    }

    /// Whether field offsets are right without relocation.
    pub(crate) fn is_for_running_kernel(&self) -> bool {
        Kernel::running().is_ok_and(|kernel| kernel.identity() == self.kernel)
    }

    /// What is said of a map.
    pub(crate) fn note(&self, map: &str) -> Option<&Note> {
        self.notes.get(map)
    }

    /// Give maps the names that the program has for them, and leave out data that no program uses: literals that the
    /// compiler has put into the instructions.
    pub(crate) fn tidy(&self, maps: &mut HashMap<String, aya_obj::Map>) {
        let named = |(name, map): (String, aya_obj::Map)| {
            let data =
                matches!(map.section_kind(), EbpfSectionKind::Data | EbpfSectionKind::Rodata | EbpfSectionKind::Bss);
            if data && !self.used.contains(&name) {
                return None;
            }
            Some((name.strip_suffix(MAP_SUFFIX).map_or(name.clone(), str::to_owned), map))
        };
        *maps = std::mem::take(maps).into_iter().filter_map(named).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::Note;

    #[test]
    fn notes_of_maps() {
        let of = Note::parse;
        assert_eq!(of("a public"), Some(("a".into(), Note::Public)));
        assert_eq!(of("a extern"), Some(("a".into(), Note::Extern)));
        assert_eq!(of("a pinned /x y/z"), Some(("a".into(), Note::Pinned("/x y/z".into()))));
        assert_eq!([of(""), of("a"), of("a unknown")], [None, None, None]);
    }
}
