//! The probes that programs declare (USDT), by the notes of `sys/sdt.h`.
//!
//! For each place in the code there is a note with the place's address, the address of a counter that says whether
//! anybody listens (the semaphore), the probe's name and where its arguments are. Addresses are the linker's; where
//! a tool has moved the file's segments since, section `.stapsdt.base` has moved with them and tells how far.

use std::path::PathBuf;

use super::{
    elf::{Elf, ElfError, Notes},
    table::SymbolTable,
    usdt_argument::{Argument, Operand, parse},
};

/// Kind of the notes.
const NT_STAPSDT: u32 = 3;

/// A probe of one file.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) provider: String,
    pub(crate) name: String,
    /// A path by which this process can open the file.
    pub(crate) path: PathBuf,
    pub(crate) locations: Vec<Location>,
}

/// A place in the code where a probe fires.
#[derive(Debug, PartialEq)]
pub(crate) struct Location {
    /// The linker's address.
    pub(crate) address: u64,
    /// Where that is in the file.
    pub(crate) offset: u64,
    /// Where that is in the process that was asked about.
    pub(crate) loaded_at: Option<u64>,
    /// The linker's address of the counter of listeners; 0 if there is none.
    pub(crate) semaphore: u64,
    pub(crate) semaphore_offset: u64,
    /// With the linker's address of the name that is part of its place.
    pub(crate) arguments: Vec<(Argument, Option<u64>)>,
}

/// Read the probes of a file, in the order in which each is first mentioned.
pub(crate) fn probes(elf: &Elf, path: &std::path::Path) -> Result<Vec<Probe>, ElfError> {
    let Some(section) = elf.section(b".note.stapsdt") else { return Ok(Vec::new()) };
    let base = elf.sections.iter().find(|section| section.name == b".stapsdt.base").map(|section| section.address);
    let mut notes = Notes { data: elf.bytes(section)?, endian: elf.endian };
    let mut symbols = None;
    let mut probes: Vec<Probe> = Vec::new();
    for note in notes.by_ref().filter(|note| note.owner == b"stapsdt" && note.kind == NT_STAPSDT) {
        let Some((provider, name, location)) = location(elf, note.description, base, &mut symbols)? else { continue };
        match probes.iter_mut().find(|probe| probe.provider == provider && probe.name == name) {
            Some(probe) => probe.locations.push(location),
            None => probes.push(Probe { provider, name, path: path.to_owned(), locations: vec![location] }),
        }
    }
    if notes.data.iter().any(|byte| *byte != 0) {
        return Err(ElfError::Malformed("a note of a probe is cut off".into()));
    }
    Ok(probes)
}

/// Read a note; there is nothing behind the notes of code that the linker has thrown away.
fn location(
    elf: &Elf,
    note: &[u8],
    base: Option<u64>,
    symbols: &mut Option<SymbolTable>,
) -> Result<Option<(String, String, Location)>, ElfError> {
    let malformed = |what: &str| ElfError::Malformed(format!("a note of a probe {what}"));
    let size = if elf.is_64_bit { 8 } else { 4 };
    let numbers = note.get(..3 * size).ok_or_else(|| malformed("is too short"))?;
    let [address, linked_base, semaphore] = [0, 1, 2].map(|index| elf.number(&numbers[index * size..][..size]));
    let mut words = note[3 * size..].split(|byte| *byte == 0);
    let mut word = || words.next().map(|word| String::from_utf8_lossy(word).into_owned());
    let (Some(provider), Some(name), Some(arguments), Some(_)) = (word(), word(), word(), word()) else {
        return Err(malformed("has no end"));
    };
    if provider.is_empty() || name.is_empty() {
        return Err(malformed("has no name"));
    }
    if address == 0 {
        return Ok(None);
    }
    let moved = base.map_or(0, |base| base.wrapping_sub(linked_base));
    let address = address.wrapping_add(moved);
    let semaphore = if semaphore == 0 { 0 } else { semaphore.wrapping_add(moved) };
    let offset = |address| elf.segments.offset_of(address);
    let of = offset(address).ok_or_else(|| malformed("is about code that is not in the file"))?;
    let semaphore_offset = match semaphore {
        0 => 0,
        address => offset(address).ok_or_else(|| malformed("has its semaphore outside of the file"))?,
    };
    let mut symbol = |argument: &Argument| -> Option<u64> {
        let Operand::Memory(memory) = &argument.operand else { return None };
        let name = memory.symbol.as_ref()?;
        symbols.get_or_insert_with(|| SymbolTable::of_elf(elf).unwrap_or_default()).address(name.as_bytes())
    };
    let arguments = parse(&arguments, elf.machine).into_iter().map(|argument| {
        let address = symbol(&argument);
        (argument, address)
    });
    let arguments = arguments.collect();
    Ok(Some((
        provider,
        name,
        Location { address, offset: of, loaded_at: None, semaphore, semaphore_offset, arguments },
    )))
}
