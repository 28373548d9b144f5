//! The kernel's BTF with the structs of tracepoints in it.
//!
//! An object that was compiled for another kernel has its offsets relocated by the names of types and members. The
//! records of tracepoints are no types of the kernel's, so they are added to its BTF, from the running kernel's formats.

use std::{fs, io, path::Path};

use log::debug;

use super::{
    scan::{Tracepoint, tracepoint_of},
    tracepoint_struct::{self, Member, Missing, Shape},
};
use crate::{
    kernel::{
        btf::{self, Btf, BtfError, kind},
        format::Format,
    },
    sys::file::Contents,
};

const TARGET: &str = "rtrace::object";
/// Bytes of `struct btf_header` (include/uapi/linux/btf.h).
const HEADER: usize = 24;
const MAGIC_AND_VERSION: u32 = 0x0001_eb9f;

/// Return the running kernel's BTF with the structs of those tracepoints that the object's BTF has structs of.
pub(crate) fn of_kernel_for(object: &Btf) -> Result<Vec<u8>, BtfError> {
    let kernel = fs::read(Path::new(btf::DIRECTORY).join("vmlinux"))?;
    let names =
        object.of_kind(kind::STRUCT).map(|found| String::from_utf8_lossy(object.string(found.name_offset)).into());
    let names: Vec<String> = names.collect();
    let mut formats = Vec::new();
    for tracepoint in names.iter().filter_map(|name| tracepoint_of(name)) {
        match tracepoint_struct::read(tracepoint) {
            Ok(format) => formats.push((tracepoint, format)),
            // Programs for it are refused when they are loaded; others need not be.
            Err(Missing::Unknown) => debug!(target: TARGET, "no tracepoint {tracepoint:?} on this kernel"),
            Err(Missing::Unreadable(cause)) => {
                debug!(target: TARGET, "the format of {tracepoint:?} cannot be read: {cause}");
            }
        }
    }
    if formats.is_empty() { Ok(kernel) } else { extended(&kernel, &formats) }
}

/// Add structs behind the types and strings of BTF.
fn extended(kernel: &[u8], formats: &[(Tracepoint<'_>, Format)]) -> Result<Vec<u8>, BtfError> {
    let parsed = Btf::parse(Contents::Read(kernel.to_vec()), None)?;
    let word = |index: usize| {
        let bytes = kernel.get(index * 4..index * 4 + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| u32::from_ne_bytes(bytes) as usize).ok_or(BtfError::Corrupt(index * 4))
    };
    let (header, types, types_length, strings, strings_length) = (word(1)?, word(2)?, word(3)?, word(4)?, word(5)?);
    let part = |start: usize, length: usize| kernel.get(start..start + length).ok_or(BtfError::Corrupt(start));
    let mut extension = Extension {
        types: part(header + types, types_length)?.to_vec(),
        strings: part(header + strings, strings_length)?.to_vec(),
        last: number(parsed.types().count())?,
    };
    for (tracepoint, format) in formats {
        extension.add(*tracepoint, format)?;
    }
    let Extension { types, strings, .. } = extension;
    let lengths = [number(HEADER)?, 0, number(types.len())?, number(types.len())?, number(strings.len())?];
    let mut blob = Vec::with_capacity(HEADER + types.len() + strings.len());
    blob.extend(MAGIC_AND_VERSION.to_ne_bytes());
    blob.extend(lengths.iter().flat_map(|length| length.to_ne_bytes()));
    blob.extend(types);
    blob.extend(strings);
    Ok(blob)
}

fn number(value: usize) -> Result<u32, BtfError> {
    u32::try_from(value).map_err(|_| BtfError::Read(io::Error::from(io::ErrorKind::FileTooLarge)))
}

/// Types and strings as they grow.
struct Extension {
    types: Vec<u8>,
    strings: Vec<u8>,
    /// Number of the last type.
    last: u32,
}

impl Extension {
    fn string(&mut self, text: &str) -> Result<u32, BtfError> {
        let offset = number(self.strings.len())?;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        Ok(offset)
    }

    /// Add a type: its name, its kind, how many members it has, its size or what it refers to, and what follows.
    fn push(&mut self, name: u32, kind: u8, count: usize, size_or_type: u32, rest: &[u32]) -> Result<u32, BtfError> {
        let info = u32::from(kind) << 24 | number(count)? & 0xffff;
        let words = [name, info, size_or_type];
        self.types.extend(words.iter().chain(rest).flat_map(|word| word.to_ne_bytes()));
        self.last += 1;
        Ok(self.last)
    }

    fn shape(&mut self, shape: &Shape) -> Result<u32, BtfError> {
        const SIGNED: u32 = 1 << 24;
        const BOOL: u32 = 4 << 24;
        let (name, encoding) = match shape {
            Shape::Pointer(_) => return self.push(0, kind::PTR, 0, 0, &[]),
            Shape::Integer { size, signed } => {
                (format!("{}{}", if *signed { 's' } else { 'u' }, size * 8), if *signed { SIGNED } else { 0 })
            }
            Shape::Bool => ("bool".to_owned(), BOOL),
            Shape::Char => ("char".to_owned(), SIGNED),
        };
        let name = self.string(&name)?;
        let size = number(shape.size())?;
        self.push(name, kind::INT, 0, size, &[encoding | (size * 8)])
    }

    fn add(&mut self, tracepoint: Tracepoint<'_>, format: &Format) -> Result<(), BtfError> {
        let index = self.shape(&Shape::Integer { size: 4, signed: false })?;
        let mut words = Vec::new();
        let members = tracepoint_struct::members(format);
        for Member { name, offset, shape, count } in &members {
            let mut id = self.shape(shape)?;
            if let Some(count) = count {
                id = self.push(0, kind::ARRAY, 0, 0, &[id, index, number(*count)?])?;
            }
            words.extend([self.string(name)?, id, number(offset * 8)?]);
        }
        let name = self.string(&tracepoint_struct::name_of(tracepoint))?;
        self.push(name, kind::STRUCT, members.len(), number(format.size())?, &words)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::extended;
    use crate::{
        kernel::{
            btf::{Btf, kind},
            format::Format,
        },
        layout::Layout,
        sys::file::Contents,
    };

    /// BTF without any type.
    fn empty() -> Vec<u8> {
        [0x0001_eb9f_u32, 24, 0, 0, 0, 1].iter().flat_map(|word| word.to_ne_bytes()).chain([0]).collect()
    }

    #[test]
    fn structs_have_the_members_of_the_format() {
        let format = Format::parse(include_str!("../../../tests/data/formats/block_rq_issue.format")).unwrap();
        let blob = extended(&empty(), &[(("block", "block_rq_issue"), format)]).unwrap();
        let btf = Btf::parse(Contents::Read(blob), None).unwrap();
        let (id, found) = btf.find(kind::STRUCT, "tracepoint__block__block_rq_issue").unwrap();
        let named = found.members().map(|member| {
            let name = String::from_utf8_lossy(btf.string(member.name_offset)).into_owned();
            (name, member.bit_offset / 8, Layout::of_type(&btf, member.type_id).unwrap().size())
        });
        let expected = [
            ("dev", 8, 4),
            ("sector", 16, 8),
            ("nr_sector", 24, 4),
            ("bytes", 28, 4),
            ("rwbs", 32, 8),
            ("comm", 40, 16),
            ("data_loc_cmd", 56, 4),
        ];
        assert_eq!(named.collect::<Vec<_>>(), expected.map(|(name, offset, size)| (name.to_owned(), offset, size)));
        assert_eq!(Layout::of_type(&btf, id).unwrap().size(), 60);
    }
}
