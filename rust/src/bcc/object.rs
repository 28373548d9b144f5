//! What sets an object of the compile step apart from others, as the loader sees it.

use std::collections::{HashMap, HashSet};

use aya_obj::EbpfSectionKind;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SectionKind};

use super::kernel_identity::Kernel;

/// The section that marks such objects; it says which kernel they were compiled for.
const MARK: &str = ".rtrace.dialect";
/// What map symbols end with: the plain names are those of the structs of methods.
const MAP_SUFFIX: &str = "__map";

/// What is known of an object that was C in bcc's dialect.
#[derive(Clone, Debug)]
pub(crate) struct Dialect {
    /// The kernel whose types it was compiled against.
    kernel: String,
    /// Sections that some program refers to.
    used: HashSet<String>,
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
        Some(Self { kernel, used })
    }

    /// Whether field offsets are right without relocation.
    pub(crate) fn is_for_running_kernel(&self) -> bool {
        Kernel::running().is_ok_and(|kernel| kernel.identity() == self.kernel)
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
