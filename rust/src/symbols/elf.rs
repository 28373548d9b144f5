//! What an ELF file says of itself: segments, sections, build id.

use std::{
    fs::{File, OpenOptions},
    io::{self, Cursor, Read, Seek},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use object::{
    Endianness, FileKind, ReadRef,
    elf::{self, FileHeader32, FileHeader64},
    read::{
        ReadCache,
        elf::{FileHeader, ProgramHeader, SectionHeader},
    },
};
use thiserror::Error;

/// Why a file's symbols cannot be read.
#[derive(Debug, Error)]
pub(crate) enum ElfError {
    #[error("{0}")]
    Read(#[from] io::Error),
    #[error("not an ELF file")]
    NotElf,
    #[error("malformed ELF: {0}")]
    Malformed(String),
}

impl From<object::Error> for ElfError {
    fn from(error: object::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// A part of the file that is loaded into memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Segment {
    pub(crate) address: u64,
    pub(crate) offset: u64,
    pub(crate) file_bytes: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) executable: bool,
}

/// The parts of a file that are loaded.
#[derive(Clone, Debug)]
pub(crate) struct Segments(Vec<Segment>);

impl Segments {
    /// Of the segments that hold something, code comes first: pages at their borders belong to two of them.
    fn find(
        &self,
        into: impl Fn(&Segment) -> Option<u64>,
        length: impl Fn(&Segment) -> u64,
    ) -> Option<(&Segment, u64)> {
        let holds = |segment| into(segment).filter(|into| *into < length(segment)).map(|into| (segment, into));
        let mut holders = self.0.iter().filter_map(holds);
        holders.clone().find(|(segment, _)| segment.executable).or_else(|| holders.next())
    }

    /// Return the address that the linker gave to the byte at `offset` of the file.
    pub(crate) fn address_of(&self, offset: u64) -> Option<u64> {
        let (segment, into) = self.find(|segment| offset.checked_sub(segment.offset), |segment| segment.file_bytes)?;
        segment.address.checked_add(into)
    }

    /// Return where in the file the byte is that the linker gave `address`.
    pub(crate) fn offset_of(&self, address: u64) -> Option<u64> {
        let (segment, into) =
            self.find(|segment| address.checked_sub(segment.address), |segment| segment.file_bytes)?;
        segment.offset.checked_add(into)
    }

    /// The same, also for variables that are zero at the start: they would be behind the end of the segment's bytes.
    pub(crate) fn extended_offset_of(&self, address: u64) -> Option<u64> {
        let into = |segment: &Segment| address.checked_sub(segment.address);
        let found =
            self.find(into, |segment| segment.file_bytes).or_else(|| self.find(into, |segment| segment.memory_bytes));
        found.and_then(|(segment, into)| segment.offset.checked_add(into))
    }
}

/// A named part of the file.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: u32,
    pub(crate) executable: bool,
    pub(crate) address: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) link: usize,
}

trait Stream: Read + Seek + Send {}
impl<T: Read + Seek + Send> Stream for T {}

/// An open ELF file; whatever is asked for is read then.
pub(crate) struct Elf {
    data: ReadCache<Box<dyn Stream>>,
    pub(crate) endian: Endianness,
    pub(crate) is_64_bit: bool,
    pub(crate) machine: u16,
    pub(crate) segments: Segments,
    pub(crate) sections: Vec<Section>,
}

impl Elf {
    /// Open the regular file at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, ElfError> {
        Self::of_file(open_regular(path)?)
    }

    /// Read the headers of an open file.
    pub(crate) fn of_file(file: File) -> Result<Self, ElfError> {
        Self::parse(ReadCache::new(Box::new(file)))
    }

    /// Read the headers of an ELF file in memory.
    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Result<Self, ElfError> {
        Self::parse(ReadCache::new(Box::new(Cursor::new(bytes))))
    }

    fn parse(data: ReadCache<Box<dyn Stream>>) -> Result<Self, ElfError> {
        match FileKind::parse(&data) {
            Ok(FileKind::Elf64) => Self::of_class::<FileHeader64<Endianness>>(data),
            Ok(FileKind::Elf32) => Self::of_class::<FileHeader32<Endianness>>(data),
            _ => Err(ElfError::NotElf),
        }
    }

    fn of_class<H: FileHeader<Endian = Endianness>>(data: ReadCache<Box<dyn Stream>>) -> Result<Self, ElfError> {
        let header = H::parse(&data)?;
        let endian = header.endian()?;
        let segment = |part: &H::ProgramHeader| Segment {
            address: part.p_vaddr(endian).into(),
            offset: part.p_offset(endian).into(),
            file_bytes: part.p_filesz(endian).into(),
            memory_bytes: part.p_memsz(endian).into(),
            executable: part.p_flags(endian) & elf::PF_X != 0,
        };
        let parts = header.program_headers(endian, &data)?.iter();
        let segments = Segments(parts.filter(|part| part.p_type(endian) == elf::PT_LOAD).map(segment).collect());
        let table = header.sections(endian, &data)?;
        let section = |part: &H::SectionHeader| Section {
            name: table.section_name(endian, part).unwrap_or_default().to_owned(),
            kind: part.sh_type(endian),
            executable: part.sh_flags(endian).into() & u64::from(elf::SHF_EXECINSTR) != 0,
            address: part.sh_addr(endian).into(),
            offset: part.sh_offset(endian).into(),
            bytes: part.sh_size(endian).into(),
            link: part.sh_link(endian) as usize,
        };
        let sections = table.iter().map(section).collect();
        let (is_64_bit, machine) = (header.is_type_64(), header.e_machine(endian));
        Ok(Self { data, endian, is_64_bit, machine, segments, sections })
    }

    /// Find a section that has bytes in this file; files of debug information leave most of them empty.
    pub(crate) fn section(&self, name: &[u8]) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name && section.kind != elf::SHT_NOBITS)
    }

    /// Read the bytes of a section.
    pub(crate) fn bytes(&self, section: &Section) -> Result<&[u8], ElfError> {
        (&self.data).read_bytes_at(section.offset, section.bytes).map_err(|()| {
            let name = String::from_utf8_lossy(&section.name);
            ElfError::Malformed(format!("section `{name}` is not within the file"))
        })
    }

    /// Return the number that the linker gave to what it built.
    pub(crate) fn build_id(&self) -> Option<Vec<u8>> {
        let section = self.section(b".note.gnu.build-id")?;
        let notes = Notes { data: self.bytes(section).ok()?, endian: self.endian };
        let mut notes = notes.filter(|note| note.owner == b"GNU" && note.kind == elf::NT_GNU_BUILD_ID);
        notes.next().map(|note| note.description.to_owned()).filter(|id| !id.is_empty())
    }

    /// Read a number of 1 to 8 bytes, as wide as `bytes` is.
    pub(crate) fn number(&self, bytes: &[u8]) -> u64 {
        number(self.endian, bytes)
    }
}

fn number(endian: Endianness, bytes: &[u8]) -> u64 {
    let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    match endian {
        Endianness::Little => bytes.iter().rev().fold(0, add),
        Endianness::Big => bytes.iter().fold(0, add),
    }
}

/// Open a regular file; a pipe or device of that name would make the reader wait.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

/// A remark of the compiler or linker.
pub(crate) struct Note<'a> {
    /// Who made it, without the NUL at the end.
    pub(crate) owner: &'a [u8],
    pub(crate) kind: u32,
    pub(crate) description: &'a [u8],
}

/// The notes of a section, up to the first that is cut off.
pub(crate) struct Notes<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) endian: Endianness,
}

impl<'a> Iterator for Notes<'a> {
    type Item = Note<'a>;

    fn next(&mut self) -> Option<Note<'a>> {
        let word = |at: usize| Some(u32::try_from(number(self.endian, self.data.get(at..at + 4)?)).ok()? as usize);
        let (owner_bytes, bytes, kind) = (word(0)?, word(4)?, word(8)?);
        let start = 12_usize.checked_add(owner_bytes.checked_next_multiple_of(4)?)?;
        let end = start.checked_add(bytes)?;
        let owner = self.data.get(12..12_usize.checked_add(owner_bytes)?)?;
        let description = self.data.get(start..end)?;
        // Nothing follows the last one, not even what would fill it up.
        self.data = self.data.get(end.next_multiple_of(4)..).unwrap_or_default();
        let owner = owner.strip_suffix(b"\0").unwrap_or(owner);
        Some(Note { owner, kind: u32::try_from(kind).ok()?, description })
    }
}
