//! What a process has mapped, by `/proc/PID/maps`.

/// A range of a process's addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) is_executable: bool,
    /// Where in the file it starts.
    pub(crate) offset: u64,
    pub(crate) device: (u32, u32),
    /// 0 where no file is mapped.
    pub(crate) inode: u64,
    /// Path, `[name]`, or nothing; without ` (deleted)`.
    pub(crate) path: Vec<u8>,
    /// Whether no file has that path any more.
    pub(crate) is_deleted: bool,
}

/// Read the lines of `/proc/PID/maps`; what is no such line is left out.
pub(crate) fn parse(text: &[u8]) -> Vec<Mapping> {
    text.split(|byte| *byte == b'\n').filter_map(mapping).collect()
}

fn mapping(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let mut word = || {
        let length = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        rest = after.get(1..).unwrap_or_default();
        std::str::from_utf8(word).ok().filter(|word| !word.is_empty())
    };
    let (range, rights, offset, device, inode) = (word()?, word()?, word()?, word()?, word()?);
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let small = |text: &str| u32::from_str_radix(text, 16).ok();
    let (start, end) = range.split_once('-')?;
    let (major, minor) = device.split_once(':')?;
    let path = rest.trim_ascii_start();
    let gone = path.strip_suffix(b" (deleted)");
    Some(Mapping {
        start: hex(start)?,
        end: hex(end)?,
        is_executable: rights.as_bytes().get(2) == Some(&b'x'),
        offset: hex(offset)?,
        device: (small(major)?, small(minor)?),
        inode: inode.parse().ok()?,
        path: unescape(gone.unwrap_or(path)),
        is_deleted: gone.is_some(),
    })
}

/// Undo the only escape that the kernel uses here, that of a line feed.
fn unescape(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"\\012") {
            plain.push(b'\n');
            rest = after;
        } else {
            plain.push(*first);
            rest = after;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{Mapping, parse};

    #[test]
    fn files_deleted_files_names_and_nothing() {
        let text = b"55d0c0de1000-55d0c0de2000 r-xp 00001000 fd:01 1234                       /opt/a b\\012c\n\
            7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n\
            7f0000001000-7f0000002000 r--p 00000000 00:1f 99 /tmp/x (deleted)\n\
            7ffd00000000-7ffd00001000 r-xp 00000000 00:00 0                          [vdso]\n\
            nonsense\n1-2 r-xp\n";
        let found = parse(text);
        assert_eq!(found.len(), 4);
        let first = Mapping {
            start: 0x55d0_c0de_1000,
            end: 0x55d0_c0de_2000,
            is_executable: true,
            offset: 0x1000,
            device: (0xfd, 1),
            inode: 1234,
            path: b"/opt/a b\nc".to_vec(),
            is_deleted: false,
        };
        assert_eq!(found[0], first);
        assert!(found[1].path.is_empty() && !found[1].is_executable);
        assert!(found[2].is_deleted && found[2].path == b"/tmp/x");
        assert_eq!(found[3].path, b"[vdso]");
    }
}
