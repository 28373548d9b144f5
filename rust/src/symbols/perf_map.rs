//! The functions that a just-in-time compiler has made, by the file it writes about them.
//!
//! The convention is perf's: `/tmp/perf-PID.map`, a line for each function with start and length in hexadecimal and a
//! name that may hold blanks.

use std::{
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    elf::open_regular,
    table::{Symbol, SymbolTable},
};

/// One state of such a file.
#[derive(Debug)]
pub(crate) struct PerfMap {
    pub(crate) table: SymbolTable,
    /// Its path, as the process sees it.
    pub(crate) path: PathBuf,
    state: (u64, i64, i64, u64),
}

/// Where such a file may be.
pub(crate) struct Owner<'a> {
    /// The process's folder in `/proc`.
    pub(crate) folder: &'a Path,
    /// Its numbers, from the outermost namespace to its own.
    pub(crate) pids: &'a [u32],
    pub(crate) uid: u32,
}

impl PerfMap {
    /// Read the file of a process, unless it is in the state that is `known`.
    pub(crate) fn read(owner: &Owner<'_>, known: Option<Self>) -> Option<Self> {
        // A process in a container writes its own number; one that shares this file system may know another.
        owner
            .pids
            .iter()
            .rev()
            .find_map(|pid| {
                let path = PathBuf::from(format!("/tmp/perf-{pid}.map"));
                let file = open_regular(&owner.folder.join("root").join(path.strip_prefix("/").ok()?)).ok()?;
                let facts = file.metadata().ok()?;
                // Everybody may write to /tmp: only the process's own word counts, or root's.
                (facts.uid() == owner.uid || facts.uid() == 0).then_some((path, file, facts))
            })
            .and_then(|(path, mut file, facts)| {
                let state = (facts.ino(), facts.mtime(), facts.mtime_nsec(), facts.len());
                if let Some(known) = known
                    && known.state == state
                {
                    return Some(known);
                }
                let mut text = Vec::new();
                file.read_to_end(&mut text).ok()?;
                Some(Self { table: parse(&text), path, state })
            })
    }
}

fn parse(text: &[u8]) -> SymbolTable {
    let mut table = SymbolTable::default();
    // Of functions at one address the one that was written last is there now; equal ranks keep names apart.
    let lines: Vec<_> = text.split(|byte| *byte == b'\n').filter_map(line).collect();
    let mut newest = std::collections::HashMap::new();
    for (index, (start, _, _)) in lines.iter().enumerate() {
        newest.insert(*start, index);
    }
    for (index, (start, bytes, name)) in lines.iter().enumerate() {
        if newest[start] == index {
            table.add(&Symbol { name, start: *start, bytes: *bytes, rank: 0, is_function: true });
        }
    }
    table.finish(&[]);
    table
}

fn line(line: &[u8]) -> Option<(u64, u64, &[u8])> {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let mut hex = || {
        let word = std::str::from_utf8(words.next()?).ok()?;
        u64::from_str_radix(word.strip_prefix("0x").unwrap_or(word), 16).ok()
    };
    let (start, bytes) = (hex()?, hex()?);
    words.next().filter(|name| !name.is_empty()).map(|name| (start, bytes, name))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_word_counts_and_blanks_belong_to_the_name() {
        let table = super::parse(b"1000 20 old one\n1000 10 Ltop;.run (int)\n0x2000 8 b\nbroken\n3000 zz c\n4000 4 \n");
        assert_eq!(table.resolve(0x1004), Some((&b"Ltop;.run (int)"[..], 4)));
        assert_eq!(table.resolve(0x1010), None);
        assert_eq!(table.resolve(0x2007), Some((&b"b"[..], 7)));
        assert_eq!(table.functions().count(), 2);
    }
}
