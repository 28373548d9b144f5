//! Which kernel is running: what is compiled against its types fits this one without relocation, and no other.

use std::{fs, io};

use super::cache::hex;

/// The running kernel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kernel {
    /// As `uname -r` says.
    pub(crate) release: String,
    /// The build id, or what else tells builds of one release apart.
    build: String,
}

impl Kernel {
    /// Ask the running kernel.
    pub(crate) fn running() -> io::Result<Self> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
        let build = fs::read("/sys/kernel/notes").ok().and_then(|notes| build_id(&notes));
        let build = match build {
            Some(build) => build,
            None => fs::read_to_string("/proc/sys/kernel/version")?.trim().to_owned(),
        };
        Ok(Self { release, build })
    }

    /// What no other kernel says of itself.
    pub(crate) fn identity(&self) -> String {
        // It becomes a string in C.
        let plain = |character: &char| !matches!(character, '"' | '\\') && !character.is_control();
        format!("{} {} {}", self.release, std::env::consts::ARCH, self.build).chars().filter(plain).collect()
    }

    /// The release as three numbers, 0 where there is none.
    pub(crate) fn version(&self) -> [u32; 3] {
        let mut numbers = self.release.split(|character: char| !character.is_ascii_digit());
        std::array::from_fn(|_| numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0))
    }
}

/// Find the build id among ELF notes (type 3 of `GNU`).
fn build_id(notes: &[u8]) -> Option<String> {
    let mut rest = notes;
    loop {
        let word = |index: usize| {
            let bytes = rest.get(index * 4..index * 4 + 4)?;
            usize::try_from(u32::from_ne_bytes(bytes.try_into().ok()?)).ok()
        };
        let (name_bytes, bytes, kind) = (word(0)?, word(1)?, word(2)?);
        let start = 12 + name_bytes.next_multiple_of(4);
        let name = rest.get(12..12 + name_bytes)?;
        let description = rest.get(start..start.checked_add(bytes)?)?;
        if kind == 3 && name == b"GNU\0" {
            return Some(hex(description));
        }
        rest = rest.get(start + bytes.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::{Kernel, build_id};

    #[test]
    fn build_ids_among_other_notes() {
        let mut notes = Vec::new();
        for (name, kind, description) in [(&b"Linux\0\0\0"[..], 257_u32, &[1_u8][..]), (b"GNU\0", 3, &[0xab, 0x01])] {
            let named = if kind == 257 { 6_u32 } else { 4 };
            let length = u32::try_from(description.len()).unwrap();
            notes.extend([named, length, kind].iter().flat_map(|word| word.to_ne_bytes()));
            notes.extend(name);
            notes.extend(description);
            notes.resize(notes.len().next_multiple_of(4), 0);
        }
        assert_eq!(build_id(&notes).unwrap(), "ab01");
        assert_eq!(build_id(&notes[..20]), None);
    }

    #[test]
    fn releases_are_numbers_to_programs() {
        let version = |release: &str| Kernel { release: release.into(), build: String::new() }.version();
        assert_eq!(version("6.18.44-fc-v657"), [6, 18, 44]);
        assert_eq!(version("5.10.0-28-amd64"), [5, 10, 0]);
        assert_eq!(version("7.3-rc1"), [7, 3, 0]);
    }
}
