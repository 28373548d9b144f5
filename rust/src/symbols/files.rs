//! Files whose symbols have been read; many processes share them.

use std::{
    collections::HashMap,
    fs::File,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use object::elf;

use super::{
    debug_file::{self, Place},
    elf::{Elf, ElfError, Segments, open_regular},
    table::SymbolTable,
};

/// A file's functions and where they come to lie.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) table: SymbolTable,
    pub(crate) segments: Segments,
}

/// A file in one state; the same path may be another file tomorrow, the same file have other contents.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Identity {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    bytes: u64,
}

/// Kept as long as somebody uses them.
static MODULES: LazyLock<Mutex<HashMap<Identity, Weak<Module>>>> = LazyLock::new(Mutex::default);

impl Module {
    /// Read the symbols of the file at `place`.
    pub(crate) fn open(place: &Place<'_>) -> Result<Arc<Self>, ElfError> {
        let path = place.root.join(place.path.strip_prefix("/").unwrap_or(place.path));
        Self::of_file(open_regular(&path)?, place)
    }

    /// Read the symbols of an open file, or find them among those already read.
    pub(crate) fn of_file(file: File, place: &Place<'_>) -> Result<Arc<Self>, ElfError> {
        let facts = file.metadata()?;
        let modified = (facts.mtime(), facts.mtime_nsec());
        let identity = Identity { device: facts.dev(), inode: facts.ino(), modified, bytes: facts.len() };
        let known = |modules: &HashMap<_, Weak<Self>>| modules.get(&identity).and_then(Weak::upgrade);
        if let Some(module) = known(&MODULES.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(module);
        }
        let module = Arc::new(Self::of_elf(&Elf::of_file(file)?, Some(place))?);
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        modules.retain(|_, module| module.strong_count() > 0);
        modules.insert(identity, Arc::downgrade(&module));
        Ok(module)
    }

    /// Read the symbols of `elf`, and those that have been stripped from it.
    pub(crate) fn of_elf(elf: &Elf, place: Option<&Place<'_>>) -> Result<Self, ElfError> {
        let mut table = SymbolTable::of_elf(elf)?;
        let is_stripped = !elf.sections.iter().any(|section| section.kind == elf::SHT_SYMTAB);
        if is_stripped
            && let Some(place) = place
            && let Some(rest) = debug_file::find(elf, place)
            && let Ok(rest) = SymbolTable::of_elf(&rest)
        {
            table.merge(&rest);
        }
        Ok(Self { table, segments: elf.segments.clone() })
    }
}

/// Symbols of a file on its own, seen from this process.
pub(crate) fn open(path: &Path) -> Result<Arc<Module>, ElfError> {
    Module::open(&Place { root: Path::new("/"), path: &std::path::absolute(path)? })
}
