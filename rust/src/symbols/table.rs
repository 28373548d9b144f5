//! The names of an ELF file's functions, by address and by name.

use object::elf;

use super::elf::{Elf, ElfError, Section};

/// A name and what it stands for.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u64,
    end: u64,
    /// Highest end of this entry and all before it: where nothing that starts earlier can reach.
    reach: u64,
    /// Where its name is in the text of names.
    name: u32,
    length: u32,
    /// Which of several names for one address is the one to show; the lowest.
    rank: u8,
    is_function: bool,
}

/// Names, sorted by address.
#[derive(Debug, Default)]
pub(crate) struct SymbolTable {
    entries: Vec<Entry>,
    names: Vec<u8>,
}

/// A symbol as it is added to a table.
pub(crate) struct Symbol<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) start: u64,
    /// Its length, 0 if nobody wrote it down.
    pub(crate) bytes: u64,
    pub(crate) rank: u8,
    /// Code, as against data.
    pub(crate) is_function: bool,
}

impl SymbolTable {
    /// Read the symbols of a file: all of them, or the exported ones if that is all it has kept.
    pub(crate) fn of_elf(elf: &Elf) -> Result<Self, ElfError> {
        let mut table = Self::default();
        for kind in [elf::SHT_SYMTAB, elf::SHT_DYNSYM] {
            for section in elf.sections.iter().filter(|section| section.kind == kind) {
                table.add_section(elf, section)?;
            }
        }
        table.finish(&elf.sections);
        Ok(table)
    }

    /// Add the symbols of `other`; sizes that are missing were settled when it was made.
    pub(crate) fn merge(&mut self, other: &Self) {
        let known: Vec<Entry> = other.entries.clone();
        for entry in known {
            let name = other.name(&entry);
            let (start, bytes, rank) = (entry.start, entry.end - entry.start, entry.rank);
            self.add(&Symbol { name, start, bytes, rank, is_function: entry.is_function });
        }
        self.finish(&[]);
    }

    fn add_section(&mut self, elf: &Elf, section: &Section) -> Result<(), ElfError> {
        let missing = || ElfError::Malformed("symbols without names".into());
        let strings = elf.sections.get(section.link).filter(|strings| strings.kind == elf::SHT_STRTAB);
        let names = elf.bytes(strings.ok_or_else(missing)?)?;
        let size = if elf.is_64_bit { 24 } else { 16 };
        let versions = versions(elf, section);
        for (position, raw) in elf.bytes(section)?.chunks_exact(size).enumerate() {
            let number = |from: usize, to: usize| elf.number(&raw[from..to]);
            let (info, index) = if elf.is_64_bit { (raw[4], number(6, 8)) } else { (raw[12], number(14, 16)) };
            let (start, bytes) =
                if elf.is_64_bit { (number(8, 16), number(16, 24)) } else { (number(4, 8), number(8, 12)) };
            let Ok(name) = usize::try_from(number(0, 4)) else { continue };
            let Some(name) = names.get(name..).and_then(|rest| rest.split(|byte| *byte == 0).next()) else { continue };
            let place = usize::try_from(index).ok().and_then(|index| elf.sections.get(index));
            let in_code = place.is_some_and(|place| place.executable);
            let is_function = match info & 15 {
                elf::STT_FUNC | elf::STT_GNU_IFUNC => true,
                elf::STT_OBJECT => false,
                // Assembler code often says nothing of its names; mapping symbols ($x) are no names.
                elf::STT_NOTYPE if in_code && !name.starts_with(b"$") => true,
                _ => continue,
            };
            if name.is_empty() || index == u64::from(elf::SHN_UNDEF) || start == 0 {
                continue;
            }
            let binding = match info >> 4 {
                elf::STB_GLOBAL => 0,
                elf::STB_WEAK => 1,
                _ => 2,
            };
            let version = versions.get(position * 2..position * 2 + 2).map_or(0, |bytes| elf.number(bytes));
            let (name, is_old) = without_version(name);
            let is_old = is_old || version & u64::from(elf::VERSYM_HIDDEN) != 0;
            let unsaid = u8::from(bytes == 0) * 6 + u8::from(info & 15 == elf::STT_NOTYPE) * 3;
            let rank = binding + unsaid + u8::from(is_old) * 12;
            self.add(&Symbol { name, start, bytes, rank, is_function });
        }
        Ok(())
    }

    /// Add a symbol; the table can be asked after [`Self::finish`].
    pub(crate) fn add(&mut self, symbol: &Symbol<'_>) {
        let Symbol { name, start, bytes, rank, is_function } = *symbol;
        let (Ok(at), Ok(length)) = (u32::try_from(self.names.len()), u32::try_from(name.len())) else { return };
        self.names.extend_from_slice(name);
        let end = start.saturating_add(bytes);
        self.entries.push(Entry { start, end, reach: 0, name: at, length, rank, is_function });
    }

    /// Sort what has been added; a symbol of unknown length reaches to the next one, or to the end of its section.
    pub(crate) fn finish(&mut self, sections: &[Section]) {
        let names = &self.names;
        let name = |entry: &Entry| &names[entry.name as usize..(entry.name + entry.length) as usize];
        self.entries.sort_by(|a, b| {
            (a.start, a.rank, a.length).cmp(&(b.start, b.rank, b.length)).then_with(|| name(a).cmp(name(b)))
        });
        self.entries.dedup_by(|a, b| a.start == b.start && name(a) == name(b));
        let mut next = u64::MAX;
        let mut after = u64::MAX;
        for entry in self.entries.iter_mut().rev() {
            if entry.start != next {
                (after, next) = (next, entry.start);
            }
            if entry.end == entry.start {
                let holds = |section: &&Section| {
                    section.address != 0 && entry.start.wrapping_sub(section.address) < section.bytes
                };
                let place = sections.iter().find(holds);
                let limit = place.map_or(entry.start, |place| place.address.saturating_add(place.bytes));
                entry.end = after.min(limit);
            }
        }
        let mut reach = 0;
        for entry in &mut self.entries {
            reach = reach.max(entry.end);
            entry.reach = reach;
        }
        self.entries.shrink_to_fit();
        self.names.shrink_to_fit();
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        &self.names[entry.name as usize..(entry.name + entry.length) as usize]
    }

    /// Find the innermost function that holds `address`: its name and the distance from its start.
    pub(crate) fn resolve(&self, address: u64) -> Option<(&[u8], u64)> {
        let above = self.entries.partition_point(|entry| entry.start <= address);
        let before = self.entries[..above].iter().rev();
        let candidates = before.take_while(|entry| entry.reach > address);
        let holds = |entry: &&Entry| entry.is_function && address < entry.end;
        let mut holders = candidates.filter(holds);
        let mut best = holders.next()?;
        // Of names for one start, the first one is the best.
        for entry in holders.take_while(|entry| entry.start == best.start) {
            best = entry;
        }
        Some((self.name(best), address - best.start))
    }

    /// Find the address of a name: a function's rather than a variable's, a global one rather than a local one.
    pub(crate) fn address(&self, name: &[u8]) -> Option<u64> {
        let named = self.entries.iter().filter(|entry| self.name(entry) == name);
        named.min_by_key(|entry| (!entry.is_function, entry.rank)).map(|entry| entry.start)
    }

    /// Go through the functions by address.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let functions = self.entries.iter().filter(|entry| entry.is_function);
        functions.map(|entry| (self.name(entry), entry.start))
    }
}

/// Split the version off a name, and tell whether it is one that programs are no longer linked to.
///
/// Linkers write `memcpy@@GLIBC_2.14` and `memcpy@GLIBC_2.2.5` into the table that debuggers read.
fn without_version(name: &[u8]) -> (&[u8], bool) {
    match name.iter().position(|byte| *byte == b'@') {
        Some(at) if at > 0 => (&name[..at], name.get(at + 1) != Some(&b'@')),
        _ => (name, false),
    }
}

/// The versions of a table's symbols, two bytes each; only exported ones have them.
fn versions<'a>(elf: &'a Elf, table: &Section) -> &'a [u8] {
    let belongs = |section: &&Section| {
        let of = elf.sections.get(section.link);
        section.kind == elf::SHT_GNU_VERSYM && of.is_some_and(|of| of.offset == table.offset)
    };
    let found = elf.sections.iter().find(belongs);
    found.and_then(|section| elf.bytes(section).ok()).unwrap_or_default()
}
