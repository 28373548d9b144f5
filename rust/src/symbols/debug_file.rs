//! Symbols that a distribution ships apart from the program, under `/usr/lib/debug`.

use std::{
    ffi::OsStr,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::elf::{Elf, open_regular};

/// Where a program's own file and the files about it are.
pub(crate) struct Place<'a> {
    /// What the program takes for `/`.
    pub(crate) root: &'a Path,
    /// Its path, seen from there.
    pub(crate) path: &'a Path,
}

impl Place<'_> {
    /// Seen from `root`, a path that is absolute there.
    fn within(root: &Path, path: &Path) -> PathBuf {
        root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Find the file that holds what has been stripped from `elf`.
///
/// A file of that name that belongs to another build would give wrong names, so the build ids must be the same, or,
/// for want of one, the checksum that the program itself states.
pub(crate) fn find(elf: &Elf, place: &Place<'_>) -> Option<Elf> {
    let build_id = elf.build_id();
    let link = Link::of(elf);
    let fits = |path: &PathBuf| {
        let found = Elf::open(path).ok()?;
        let same = match (&build_id, found.build_id()) {
            (Some(ours), Some(other)) => *ours == other,
            _ => link.as_ref().is_some_and(|link| checksum_of(path) == Some(link.checksum)),
        };
        same.then_some(found)
    };
    // A container seldom has them, the host's may fit.
    let roots = if place.root == Path::new("/") { vec![place.root] } else { vec![place.root, Path::new("/")] };
    let candidates = roots.iter().flat_map(|root| {
        let store = Place::within(root, Path::new("/usr/lib/debug"));
        let by_id = build_id.as_ref().and_then(|id| Some(store.join(".build-id").join(id_path(id)?)));
        let by_name = link.iter().flat_map(move |link| {
            let folder = place.path.parent().unwrap_or(Path::new("/"));
            let beside = Place::within(root, folder);
            let stored = Place::within(&store, folder);
            [beside.join(&link.name), beside.join(".debug").join(&link.name), stored.join(&link.name)]
        });
        by_id.into_iter().chain(by_name)
    });
    candidates.filter(|path| path.exists()).find_map(|path| fits(&path))
}

/// `ab/cdef.debug`
fn id_path(id: &[u8]) -> Option<PathBuf> {
    use std::fmt::Write;

    let (first, rest) = id.split_first().filter(|(_, rest)| !rest.is_empty())?;
    let mut text = format!("{first:02x}/");
    for byte in rest {
        write!(text, "{byte:02x}").ok()?;
    }
    text.push_str(".debug");
    Some(text.into())
}

/// What a stripped program says about the file that holds the rest.
struct Link {
    name: PathBuf,
    checksum: u32,
}

impl Link {
    fn of(elf: &Elf) -> Option<Self> {
        let data = elf.bytes(elf.section(b".gnu_debuglink")?).ok()?;
        let length = data.iter().position(|byte| *byte == 0).filter(|length| *length > 0)?;
        // Only a file name: a path could lead anywhere.
        let name = Path::new(Path::new(OsStr::from_bytes(&data[..length])).file_name()?).to_owned();
        let at = (length + 1).next_multiple_of(4);
        let checksum = u32::try_from(elf.number(data.get(at..at + 4)?)).ok()?;
        Some(Self { name, checksum })
    }
}

fn checksum_of(path: &Path) -> Option<u32> {
    let mut file = open_regular(path).ok()?;
    let mut buffer = vec![0; 1 << 16];
    let mut sum = !0;
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(!sum),
            count => sum = crc32(sum, &buffer[..count]),
        }
    }
}

/// The checksum of gzip and Ethernet, without its inversions.
fn crc32(start: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[index as usize] = value;
            index += 1;
        }
        table
    };
    bytes.iter().fold(start, |sum, byte| sum >> 8 ^ TABLE[((sum ^ u32::from(*byte)) & 0xff) as usize])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_checksum_is_that_of_gzip() {
        assert_eq!(!super::crc32(!0, b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_build_id_names_a_file() {
        assert_eq!(super::id_path(&[0xab, 0x0c, 0xd1]).as_deref(), Some(Path::new("ab/0cd1.debug")));
        assert_eq!(super::id_path(&[0xab]), None);
    }
}
