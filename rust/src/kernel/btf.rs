//! Reading BTF, the kernel's and an object's own.
//!
//! Nothing is indexed beyond the position of each type: finding one function in the kernel's 150,000 types is one
//! pass over memory and takes a millisecond or two, where building every type takes tens.
//!
//! Format: <https://docs.kernel.org/bpf/btf.html>.

mod lookup;

use std::{
    collections::{HashMap, HashSet},
    io,
    ops::Range,
    path::Path,
    sync::Arc,
};

use thiserror::Error;

pub(crate) use self::lookup::{enumerators, find_function, find_tracepoint, member, modules, tracepoint_arguments};
use crate::sys::file::Contents;

/// Where the kernel shows its BTF and that of its modules.
pub(crate) const DIRECTORY: &str = "/sys/kernel/btf";

const MAGIC: u16 = 0xeb9f;
/// The kernel's own limit: a loop in corrupt BTF must not become one here.
const MAX_RESOLVE_DEPTH: usize = 32;

/// The kinds of types that rtrace looks at (`BTF_KIND_*`).
pub(crate) mod kind {
    pub(crate) const INT: u8 = 1;
    pub(crate) const PTR: u8 = 2;
    pub(crate) const ARRAY: u8 = 3;
    pub(crate) const STRUCT: u8 = 4;
    pub(crate) const UNION: u8 = 5;
    pub(crate) const ENUM: u8 = 6;
    pub(crate) const FWD: u8 = 7;
    pub(crate) const TYPEDEF: u8 = 8;
    pub(crate) const VOLATILE: u8 = 9;
    pub(crate) const CONST: u8 = 10;
    pub(crate) const RESTRICT: u8 = 11;
    pub(crate) const FUNC: u8 = 12;
    pub(crate) const FUNC_PROTO: u8 = 13;
    pub(crate) const VAR: u8 = 14;
    pub(crate) const DATASEC: u8 = 15;
    pub(crate) const FLOAT: u8 = 16;
    pub(crate) const DECL_TAG: u8 = 17;
    pub(crate) const TYPE_TAG: u8 = 18;
    pub(crate) const ENUM64: u8 = 19;
}

/// Why BTF could not be read.
#[derive(Debug, Error)]
pub(crate) enum BtfError {
    #[error("cannot read it")]
    Read(#[from] io::Error),
    #[error("not BTF of this machine's byte order")]
    Magic,
    #[error("truncated or corrupt at byte {0}")]
    Corrupt(usize),
    #[error("no type number {0}")]
    NoType(u32),
    #[error("corrupt: a type contains itself")]
    Endless,
    #[error("corrupt: `{0}` is larger than it can be")]
    TooLarge(String),
    #[error("corrupt: a member lies outside of its struct or type")]
    Outside,
}

/// The bytes of a BTF blob and where each type starts in them.
pub(crate) struct Btf {
    data: Contents,
    strings: Range<usize>,
    /// Position of type `first_id + index`.
    positions: Vec<u32>,
    /// The kernel's BTF, for a module's: its types and strings come first in the numbering.
    base: Option<Arc<Btf>>,
}

/// One type: `struct btf_type` and what follows it.
#[derive(Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "the kernel's own name for the field")]
pub(crate) struct Type<'a> {
    pub(crate) name_offset: u32,
    info: u32,
    /// Size in bytes, or the id of the type this one refers to.
    pub(crate) size_or_type: u32,
    /// What follows the header, up to the end of the blob.
    rest: &'a [u8],
}

/// A name of an enumeration.
pub(crate) struct Enumerator {
    pub(crate) name_offset: u32,
    /// Wide enough for both signs of 64 bits.
    pub(crate) value: i128,
}

/// A field of a struct or union.
pub(crate) struct Member {
    pub(crate) name_offset: u32,
    pub(crate) type_id: u32,
    pub(crate) bit_offset: u32,
    /// Width of a bit field, 0 otherwise.
    pub(crate) bits: u32,
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

impl Type<'_> {
    pub(crate) fn kind(&self) -> u8 {
        ((self.info >> 24) & 0x1f) as u8
    }

    /// Whether it is a struct or union.
    pub(crate) fn is_record(&self) -> bool {
        matches!(self.kind(), kind::STRUCT | kind::UNION)
    }

    /// Members, parameters or values.
    pub(crate) fn len(&self) -> usize {
        (self.info & 0xffff) as usize
    }

    /// For enumerations, whether they are signed; for declarations without a definition, whether of a union.
    pub(crate) fn kind_flag(&self) -> bool {
        self.info >> 31 != 0
    }

    fn word(&self, index: usize) -> u32 {
        u32_at(self.rest, index * 4).unwrap_or(0)
    }

    /// Element type and number of elements of an array.
    pub(crate) fn array(&self) -> (u32, u32) {
        (self.word(0), self.word(2))
    }

    /// Whether an integer is signed.
    pub(crate) fn is_signed(&self) -> bool {
        self.word(0) >> 24 & 1 != 0
    }

    /// Whether an integer is a truth value.
    pub(crate) fn is_bool(&self) -> bool {
        self.word(0) >> 24 & 4 != 0
    }

    /// The names and values of an enumeration; `signed` is for those of 32 bits.
    pub(crate) fn enumerators(&self, signed: bool) -> impl Iterator<Item = Enumerator> + '_ {
        let wide = self.kind() == kind::ENUM64;
        let narrow = move |word: u32| if signed { i128::from(word.cast_signed()) } else { i128::from(word) };
        (0..self.len()).map(move |index| {
            if !wide {
                return Enumerator { name_offset: self.word(index * 2), value: narrow(self.word(index * 2 + 1)) };
            }
            let value = u64::from(self.word(index * 3 + 1)) | (u64::from(self.word(index * 3 + 2)) << 32);
            let value = if self.kind_flag() { i128::from(value.cast_signed()) } else { i128::from(value) };
            Enumerator { name_offset: self.word(index * 3), value }
        })
    }

    /// Types of the parameters of a function.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len()).map(|index| self.word(index * 2 + 1))
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = Member> + '_ {
        (0..self.len()).map(|index| {
            let offset = self.word(index * 3 + 2);
            let (bits, bit_offset) = if self.kind_flag() { (offset >> 24, offset & 0x00ff_ffff) } else { (0, offset) };
            Member { name_offset: self.word(index * 3), type_id: self.word(index * 3 + 1), bit_offset, bits }
        })
    }

    /// Bytes that follow the header.
    fn trailing(&self) -> Option<usize> {
        Some(match self.kind() {
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::ARRAY => 12,
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => self.len() * 12,
            kind::ENUM | kind::FUNC_PROTO => self.len() * 8,
            kind::PTR
            | kind::FWD
            | kind::TYPEDEF
            | kind::VOLATILE
            | kind::CONST
            | kind::RESTRICT
            | kind::FUNC
            | kind::FLOAT
            | kind::TYPE_TAG => 0,
            _ => return None,
        })
    }
}

impl Btf {
    /// Read the running kernel's BTF.
    pub(crate) fn of_kernel() -> Result<Self, BtfError> {
        Self::parse(Contents::of(&Path::new(DIRECTORY).join("vmlinux"))?, None)
    }

    /// Read the BTF of a loaded module on top of the kernel's.
    pub(crate) fn of_module(module: &str, kernel: Arc<Self>) -> Result<Self, BtfError> {
        Self::parse(Contents::of(&Path::new(DIRECTORY).join(module))?, Some(kernel))
    }

    /// Take the bytes of a BTF blob apart.
    pub(crate) fn parse(data: Contents, base: Option<Arc<Self>>) -> Result<Self, BtfError> {
        let header = |at| u32_at(&data, at).map(|word| word as usize).ok_or(BtfError::Corrupt(at));
        if data.get(..2) != Some(&MAGIC.to_ne_bytes()) {
            return Err(BtfError::Magic);
        }
        let (length, types, types_length) = (header(4)?, header(8)?, header(12)?);
        let (strings, strings_length) = (header(16)?, header(20)?);
        let types = length.saturating_add(types)..length.saturating_add(types).saturating_add(types_length);
        let strings = length.saturating_add(strings)..length.saturating_add(strings).saturating_add(strings_length);
        if types.end > data.len() || strings.end > data.len() || types.end > u32::MAX as usize {
            return Err(BtfError::Corrupt(data.len()));
        }
        let mut positions = Vec::with_capacity(types_length / 20);
        let mut at = types.start;
        while at < types.end {
            let found = type_at(&data, at).ok_or(BtfError::Corrupt(at))?;
            positions.push(u32::try_from(at).map_err(|_| BtfError::Corrupt(at))?);
            at += 12 + found.trailing().ok_or(BtfError::Corrupt(at))?;
        }
        if at != types.end {
            return Err(BtfError::Corrupt(at));
        }
        Ok(Self { data, strings, positions, base })
    }

    /// Number of the first type that is this blob's own.
    pub(crate) fn first_id(&self) -> u32 {
        self.base.as_ref().map_or(1, |base| base.first_id() + u32::try_from(base.positions.len()).unwrap_or(0))
    }

    fn base_strings(&self) -> usize {
        self.base.as_ref().map_or(0, |base| base.base_strings() + base.strings.len())
    }

    /// Return type number `id`.
    pub(crate) fn get(&self, id: u32) -> Result<Type<'_>, BtfError> {
        let first = self.first_id();
        if id < first {
            return self.base.as_ref().ok_or(BtfError::NoType(id))?.get(id);
        }
        let position = self.positions.get((id - first) as usize).ok_or(BtfError::NoType(id))?;
        type_at(&self.data, *position as usize).ok_or(BtfError::NoType(id))
    }

    /// Return the bytes that a type takes; what has no end takes more than there can be.
    pub(crate) fn size_of(&self, mut id: u32) -> Result<u64, BtfError> {
        let mut elements = 1_u64;
        for _ in 0..MAX_RESOLVE_DEPTH {
            let (_, found) = self.resolve(id)?;
            let element = match found.kind() {
                kind::ARRAY => {
                    let (element, count) = found.array();
                    (id, elements) = (element, elements.saturating_mul(count.into()));
                    continue;
                }
                kind::PTR => 8,
                kind::FUNC_PROTO | kind::FWD => 0,
                _ => found.size_or_type.into(),
            };
            return Ok(elements.saturating_mul(element));
        }
        Ok(u64::MAX)
    }

    /// Refuse a type that is larger than anything in memory, or than numpy knows.
    pub(crate) fn check_size(&self, id: u32) -> Result<(), BtfError> {
        if i32::try_from(self.size_of(id)?).is_ok() { Ok(()) } else { Err(self.too_large(self.get(id)?.name_offset)) }
    }

    fn too_large(&self, name: u32) -> BtfError {
        BtfError::TooLarge(String::from_utf8_lossy(self.string(name)).into_owned())
    }

    /// Refuse a member that does not lie inside of its struct or union.
    pub(crate) fn check_member(&self, record: &Type<'_>, member: &Member) -> Result<(), BtfError> {
        let bits = match member.bits {
            0 => self.size_of(member.type_id)?.saturating_mul(8),
            bits => bits.into(),
        };
        if bits.saturating_add(member.bit_offset.into()) <= u64::from(record.size_or_type) * 8 {
            return Ok(());
        }
        Err(self.too_large(member.name_offset))
    }

    /// Return the string at `offset`, without its NUL.
    pub(crate) fn string(&self, offset: u32) -> &[u8] {
        self.tail(offset).split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// Return the string at `offset` and everything behind it.
    pub(crate) fn tail(&self, offset: u32) -> &[u8] {
        let base = self.base_strings();
        match &self.base {
            Some(kernel) if (offset as usize) < base => kernel.tail(offset),
            _ => self.data[self.strings.clone()].get(offset as usize - base..).unwrap_or_default(),
        }
    }

    /// Find the type of that kind and name among this blob's own types; return its number.
    pub(crate) fn find(&self, kind: u8, name: &str) -> Option<(u32, Type<'_>)> {
        let found = |(index, position): (usize, &u32)| {
            let candidate = type_at(&self.data, *position as usize)?;
            let matches = candidate.kind() == kind && self.string(candidate.name_offset) == name.as_bytes();
            matches.then_some((self.first_id() + u32::try_from(index).ok()?, candidate))
        };
        self.positions.iter().enumerate().find_map(found)
    }

    /// Number of this blob's own types.
    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }

    /// All of this blob's own types, with their numbers.
    pub(crate) fn types(&self) -> impl Iterator<Item = (u32, Type<'_>)> {
        let found = |position: &u32| type_at(&self.data, *position as usize);
        (self.first_id()..).zip(self.positions.iter().map(found)).filter_map(|(id, found)| Some((id, found?)))
    }

    /// All of this blob's own types of one kind.
    pub(crate) fn of_kind(&self, kind: u8) -> impl Iterator<Item = Type<'_>> {
        self.types().map(|(_, found)| found).filter(move |found| found.kind() == kind)
    }

    /// Return the values that enumerators of these names have among this blob's own types.
    fn values_of(&self, names: &HashSet<String>) -> HashMap<String, HashSet<i128>> {
        let tells_signs = self.tells_signs();
        let mut found: HashMap<String, HashSet<i128>> = HashMap::new();
        for of in self.of_kind(kind::ENUM).chain(self.of_kind(kind::ENUM64)) {
            for enumerator in of.enumerators(of.kind_flag() || !tells_signs) {
                if let Ok(name) = str::from_utf8(self.string(enumerator.name_offset))
                    && names.contains(name)
                {
                    found.entry(name.to_owned()).or_default().insert(enumerator.value);
                }
            }
        }
        found
    }

    /// Whether enumerations of 32 bits say if they are signed. What wrote BTF before Linux 6.1 or LLVM 15 does not; then,
    /// values with the highest bit set are taken for negative ones, as they nearly always are.
    pub(crate) fn tells_signs(&self) -> bool {
        self.base.as_ref().is_some_and(|base| base.tells_signs())
            || self.types().any(|(_, found)| {
                matches!(found.kind(), kind::ENUM if found.kind_flag()) || found.kind() == kind::ENUM64
            })
    }

    /// Whether an enumeration has values below zero, or says that it could.
    pub(crate) fn is_signed_enumeration(&self, found: &Type<'_>) -> bool {
        let flag = found.kind_flag();
        flag || found.enumerators(!self.tells_signs()).any(|enumerator| enumerator.value < 0)
    }

    /// Follow typedefs and qualifiers to the type that has a size.
    pub(crate) fn resolve(&self, mut id: u32) -> Result<(u32, Type<'_>), BtfError> {
        for _ in 0..MAX_RESOLVE_DEPTH {
            let found = self.get(id)?;
            match found.kind() {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = found.size_or_type;
                }
                _ => return Ok((id, found)),
            }
        }
        Err(BtfError::NoType(id))
    }
}

fn type_at(data: &[u8], at: usize) -> Option<Type<'_>> {
    Some(Type {
        name_offset: u32_at(data, at)?,
        info: u32_at(data, at + 4)?,
        size_or_type: u32_at(data, at + 8)?,
        rest: data.get(at + 12..)?,
    })
}
