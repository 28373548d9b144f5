//! Where libraries and programs are.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use super::{process::Process, process_symbols::names_file};

/// The file that `ldconfig` writes.
const CACHE: &str = "/etc/ld.so.cache";
/// How its part of today starts; the part of 1996 may stand before it.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER_BYTES: usize = 48;
const ENTRY_BYTES: usize = 24;
/// The cache's word for libraries of this machine's 64-bit programs.
const FLAGS: u32 = if cfg!(target_arch = "aarch64") { 0x0a03 } else { 0x0303 };
/// Where loaders look that have no cache.
const FOLDERS: [&str; 7] = if cfg!(target_arch = "aarch64") {
    [
        "/lib64",
        "/usr/lib64",
        "/lib/aarch64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/local/lib",
        "/lib",
        "/usr/lib",
    ]
} else {
    ["/lib64", "/usr/lib64", "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/local/lib", "/lib", "/usr/lib"]
};

/// Find the library that programs are linked to by `-lNAME`.
///
/// With a process: first among what it has mapped, then where its loader would look. The path is one that this process
/// can open.
pub(crate) fn library(name: &str, process: Option<&Process>) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    let within = |path: &Path| process.map_or_else(|| path.to_owned(), |process| process.within(path));
    if name.contains('/') {
        let path = within(Path::new(name));
        return path.is_file().then_some(path);
    }
    let mapped = process.and_then(|process| {
        let code = process.mappings().iter().filter(|mapping| mapping.is_executable && !mapping.is_deleted);
        let named = code.filter(|mapping| names_file(name.as_bytes(), &mapping.path));
        // A program may be called what its library is called in short.
        let is_program = |path: &[u8]| Path::new(OsStr::from_bytes(path)).file_name() == Some(OsStr::new(name));
        // Where the other one's root is no mount, the kernel tells a path from our root, which is none in theirs.
        Some(process.path_of(named.min_by_key(|mapping| is_program(&mapping.path))?))
    });
    let start = format!("lib{name}.so");
    let cached = || {
        let cache = fs::read(within(Path::new(CACHE))).ok()?;
        let found = in_cache(&cache, start.as_bytes())?;
        Some(within(Path::new(OsStr::from_bytes(found)))).filter(|path| path.is_file())
    };
    mapped.or_else(cached).or_else(|| {
        let folders = FOLDERS.iter().map(|folder| within(Path::new(folder)));
        folders.into_iter().find_map(|folder| in_folder(&folder, &start).ok()?)
    })
}

/// Find the path of the first library whose name is `start`, or `start` and a version.
fn in_cache<'a>(cache: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    let base = cache.windows(MAGIC.len()).position(|bytes| bytes == MAGIC)?;
    let cache = &cache[base..];
    let word = |at: usize| Some(u32::from_ne_bytes(cache.get(at..at + 4)?.try_into().ok()?));
    let text = |at: usize| cache.get(at..)?.split(|byte| *byte == 0).next();
    let entries = (0..word(20)? as usize).map_while(|index| {
        let at = HEADER_BYTES + index * ENTRY_BYTES;
        Some((word(at)?, word(at + 4)? as usize, word(at + 8)? as usize))
    });
    let mut libraries = entries.filter(|(flags, ..)| *flags == FLAGS);
    libraries.find_map(|(_, name, path)| is_version_of(text(name)?, start).then(|| text(path))?)
}

fn is_version_of(name: &[u8], start: &[u8]) -> bool {
    name.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
}

fn in_folder(folder: &Path, start: &str) -> io::Result<Option<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().as_bytes();
        // A linker script has the plain name, in places.
        if is_version_of(name, start.as_bytes()) && super::elf::Elf::open(&path).is_ok() {
            found.push(path);
        }
    }
    Ok(found.into_iter().min())
}

/// Find a program as the shell would: a name with a slash is a path, others are looked for in `$PATH`.
pub(crate) fn executable(name: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(is_program);
    }
    if name.is_empty() {
        return None;
    }
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(is_program)
}

#[cfg(test)]
mod tests {
    use super::{ENTRY_BYTES, FLAGS, HEADER_BYTES, MAGIC, in_cache};

    /// What `ldconfig` writes for pairs of name and path; names stand behind the entries.
    fn cache(libraries: &[(u32, &str, &str)]) -> Vec<u8> {
        let mut header = MAGIC.to_vec();
        header.extend(u32::try_from(libraries.len()).unwrap().to_ne_bytes());
        header.resize(HEADER_BYTES, 0);
        let mut strings = Vec::new();
        for (flags, name, path) in libraries {
            header.extend(flags.to_ne_bytes());
            for text in [name, path] {
                let at = HEADER_BYTES + libraries.len() * ENTRY_BYTES + strings.len();
                header.extend(u32::try_from(at).unwrap().to_ne_bytes());
                strings.extend(text.bytes());
                strings.push(0);
            }
            header.resize(header.len() + 12, 0);
        }
        header.extend(strings);
        header
    }

    #[test]
    fn a_library_of_this_machine() {
        let libraries = [
            (FLAGS, "libcap.so.2", "/lib/libcap.so.2"),
            (3, "libc.so.6", "/lib32/libc.so.6"),
            (FLAGS, "libc.so.6", "/lib/libc.so.6"),
        ];
        let mut both = b"ld.so-1.7.0\0whatever stands there".to_vec();
        both.extend(cache(&libraries));
        for cache in [cache(&libraries), both] {
            assert_eq!(in_cache(&cache, b"libc.so"), Some(&b"/lib/libc.so.6"[..]));
            assert_eq!(in_cache(&cache, b"libca.so"), None);
        }
    }

    #[test]
    fn a_cache_that_is_cut_off() {
        let whole = cache(&[(FLAGS, "liba.so.1", "/a"), (FLAGS, "libb.so.2", "/b")]);
        for length in 0..whole.len() {
            if let Some(path) = in_cache(&whole[..length], b"libb.so") {
                assert!(b"/b".starts_with(path));
            }
        }
    }
}
