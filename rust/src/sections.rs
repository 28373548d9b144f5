//! ELF sections by names that aya-obj knows.
//!
//! It refuses an object that has a section of code which it has no word for. Before it sees the object, such sections
//! are renamed to `tp/NAME`, in the ELF and in the BTF that speaks of them; which kind their programs really are is
//! kept beside it.

use aya_obj::generated::BPF_F_SLEEPABLE;

use crate::kind::Kind;

/// Positions of fields in `Elf64_Ehdr` and `Elf64_Shdr` (include/uapi/linux/elf.h).
const SECTIONS_AT: usize = 0x28;
const SECTION_COUNT: usize = 0x3c;
const NAMES_INDEX: usize = 0x3e;
const SECTION_SIZE: usize = 0x40;
const OFFSET: usize = 0x18;
const LENGTH: usize = 0x20;

/// What the programs of a renamed section are.
#[derive(Clone, Copy)]
pub(crate) struct Meant {
    /// Number of the section.
    pub(crate) section: usize,
    pub(crate) kind: &'static Kind,
    /// Flags to load them with.
    pub(crate) flags: u32,
}

/// Return the kind and the flags that a section's name stands for, where aya-obj does not know it.
fn unknown(name: &str) -> Option<(&'static str, u32)> {
    let (first, rest) = name.split_once('/').unwrap_or((name, ""));
    Some(match first {
        "fmod_ret" => ("fmod_ret", 0),
        "fmod_ret.s" => ("fmod_ret", BPF_F_SLEEPABLE),
        "tc" | "tcx" | "sched_cls" => ("classifier", 0),
        "action" | "sched_act" => ("action", 0),
        "socket_filter" => ("socket", 0),
        "lwt_in" => ("lwt_in", 0),
        "lwt_out" => ("lwt_out", 0),
        "lwt_xmit" => ("lwt_xmit", 0),
        "sk_skb" if !rest.starts_with("stream_") => ("sk_skb", 0),
        "syscall" => ("syscall", BPF_F_SLEEPABLE),
        // The name of a program may follow; aya-obj takes it for a place to attach to.
        "xdp" if !matches!(rest, "" | "cpumap" | "devmap") => ("xdp", 0),
        _ => return None,
    })
}

/// A little-endian file that is being edited. Whatever lies outside of it ends the edit with `None`.
struct File(Vec<u8>);

impl File {
    fn get(&self, at: usize, bytes: usize) -> Option<usize> {
        let field = self.0.get(at..at.checked_add(bytes)?)?;
        let value = field.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        usize::try_from(value).ok()
    }

    fn set(&mut self, at: usize, bytes: usize, value: usize) -> Option<()> {
        let field = self.0.get_mut(at..at.checked_add(bytes)?)?;
        field.copy_from_slice(&(value as u64).to_le_bytes()[..bytes]);
        Some(())
    }

    /// Position of the header of section number `index`.
    fn header(&self, index: usize) -> Option<usize> {
        self.get(SECTIONS_AT, 8)?.checked_add(index.checked_mul(SECTION_SIZE)?)
    }

    fn contents(&self, header: usize) -> Option<&[u8]> {
        let start = self.get(header + OFFSET, 8)?;
        self.0.get(start..start.checked_add(self.get(header + LENGTH, 8)?)?)
    }

    /// Move a section to the end of the file, with more behind it.
    fn grow(&mut self, header: usize, more: &[u8]) -> Option<()> {
        let contents = [self.contents(header)?, more].concat();
        // BTF is read in words.
        let start = self.0.len().next_multiple_of(8);
        self.0.resize(start, 0);
        self.set(header + OFFSET, 8, start)?;
        self.set(header + LENGTH, 8, contents.len())?;
        self.0.extend_from_slice(&contents);
        Some(())
    }

    /// Let BTF speak of sections by their new names: `renamed` has the old ones.
    fn rename_in_btf(&mut self, btf: usize, extension: usize, renamed: &[String]) -> Option<()> {
        // `struct btf_header`: length of itself, then where the strings are behind it; they end the section.
        let start = self.get(btf + OFFSET, 8)?;
        let strings = self.get(start + 4, 4)?.checked_add(self.get(start + 16, 4)?)?;
        let length = self.get(start + 20, 4)?;
        let text = self.contents(btf)?.get(strings..strings.checked_add(length)?)?.to_vec();
        let mut more = Vec::new();
        // `struct btf_ext_header`: three tables, each with the size of its records and then, for each section, its
        // name, how many records follow, and the records.
        let head = self.get(extension + OFFSET, 8)?;
        let own_length = self.get(head + 4, 4)?;
        for table in [8, 16, 24].into_iter().filter(|table| table + 8 <= own_length) {
            let mut at = head.checked_add(own_length)?.checked_add(self.get(head + table, 4)?)?;
            let end = at.checked_add(self.get(head + table + 4, 4)?)?;
            let record = if at < end { self.get(at, 4)? } else { continue };
            at += 4;
            while at < end {
                let name = text.get(self.get(at, 4)?..)?.split(|byte| *byte == 0).next()?;
                if renamed.iter().any(|old| old.as_bytes() == name) {
                    self.set(at, 4, length + more.len())?;
                    more.extend_from_slice(&new_name(&String::from_utf8_lossy(name)));
                }
                at = at.checked_add(8)?.checked_add(self.get(at + 4, 4)?.checked_mul(record)?)?;
            }
        }
        self.set(start + 20, 4, length + more.len())?;
        self.grow(btf, &more)
    }
}

/// Return the new name of a section, with its NUL.
fn new_name(old: &str) -> Vec<u8> {
    format!("tp/{old}\0").into_bytes()
}

/// Rename the sections that aya-obj does not know; `None` where there are none, as in what is no ELF.
pub(crate) fn rename_unknown(data: &[u8]) -> Option<(Vec<u8>, Vec<Meant>)> {
    if !data.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let mut file = File(data.to_vec());
    let names_header = file.header(file.get(NAMES_INDEX, 2)?)?;
    let names = file.contents(names_header)?.to_vec();
    let (mut btf, mut extension) = (None, None);
    let (mut meant, mut renamed, mut more) = (Vec::new(), Vec::new(), Vec::new());
    for section in 0..file.get(SECTION_COUNT, 2)? {
        let header = file.header(section)?;
        let name = names.get(file.get(header, 4)?..)?.split(|byte| *byte == 0).next()?;
        let Ok(name) = std::str::from_utf8(name) else { continue };
        match name {
            ".BTF" => btf = Some(header),
            ".BTF.ext" => extension = Some(header),
            _ => {}
        }
        let Some((kind, flags)) = unknown(name) else { continue };
        meant.push(Meant { section, kind: Kind::named(kind).ok()?, flags });
        file.set(header, 4, names.len() + more.len())?;
        more.extend_from_slice(&new_name(name));
        renamed.push(name.to_owned());
    }
    if renamed.is_empty() {
        return None;
    }
    file.grow(names_header, &more)?;
    if let (Some(btf), Some(extension)) = (btf, extension) {
        file.rename_in_btf(btf, extension, &renamed)?;
    }
    Some((file.0, meant))
}
