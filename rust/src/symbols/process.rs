//! A process's functions: what it has mapped, and the symbols of that.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, File},
    io,
    os::{
        fd::AsRawFd,
        unix::{
            ffi::OsStrExt,
            fs::{FileExt, MetadataExt, OpenOptionsExt},
        },
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    debug_file::Place,
    elf::{Elf, open_regular},
    files::Module,
    maps::{self, Mapping},
    perf_map::{Owner, PerfMap},
};

/// More than any kernel's; what the process claims is not to be believed.
const MAX_VDSO_BYTES: u64 = 1 << 20;

/// The symbols of what is mapped.
#[derive(Clone)]
enum Symbols {
    NotRead,
    /// Not a file, or not one that can be read.
    Nothing,
    Read(Arc<Module>),
}

/// What has been found out about a process.
pub(crate) struct Process {
    /// Its folder in `/proc`. Once it has ended the folder is empty, even if another process has its number then.
    folder: PathBuf,
    _open_folder: File,
    pid: u32,
    shares_files: bool,
    pids: Vec<u32>,
    uid: u32,
    /// What the mappings were read from.
    text: Vec<u8>,
    /// By address.
    mappings: Vec<Mapping>,
    /// Of each mapping; read when first needed.
    symbols: Vec<Symbols>,
    perf_map: Option<PerfMap>,
}

/// Where an address is.
pub(crate) struct Found<'a> {
    /// Function, if its name is known.
    pub(crate) name: Option<&'a [u8]>,
    /// Path of the file, as the process sees it.
    pub(crate) module: &'a [u8],
    /// Distance from the function's start, or from the file's.
    pub(crate) offset: u64,
}

impl Process {
    /// Look at a process.
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        let path = PathBuf::from(format!("/proc/{pid}"));
        let open_folder =
            fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path)?;
        let folder = PathBuf::from(format!("/proc/self/fd/{}", open_folder.as_raw_fd()));
        let (pids, uid) = status(&folder)?;
        let shares_files = is_same(&folder.join("ns/mnt"), "/proc/self/ns/mnt") && is_same(&folder.join("root"), "/");
        let mut process = Self {
            folder,
            _open_folder: open_folder,
            pid,
            shares_files,
            pids,
            uid,
            text: Vec::new(),
            mappings: Vec::new(),
            symbols: Vec::new(),
            perf_map: None,
        };
        process.refresh()?;
        Ok(process)
    }

    /// Read again what is mapped; tells whether that has changed. What was known of a process that has ended stays.
    pub(crate) fn refresh(&mut self) -> io::Result<bool> {
        let text = match fs::read(self.folder.join("maps")) {
            Ok(text) => text,
            Err(error) if is_gone(&error) && !self.text.is_empty() => return Ok(false),
            Err(error) => return Err(error),
        };
        // A zombie has nothing mapped any more.
        if text.is_empty() {
            return Ok(false);
        }
        let owner = Owner { folder: &self.folder, pids: &self.pids, uid: self.uid };
        self.perf_map = PerfMap::read(&owner, self.perf_map.take());
        if text == self.text {
            return Ok(false);
        }
        let mappings = maps::parse(&text);
        // What could not be read may be readable now.
        let known: HashMap<_, _> = self
            .mappings
            .iter()
            .map(file_of)
            .zip(&self.symbols)
            .filter(|(_, symbols)| matches!(symbols, Symbols::Read(_)))
            .collect();
        let symbols = mappings
            .iter()
            .map(|mapping| known.get(&file_of(mapping)).map_or(Symbols::NotRead, |known| (*known).clone()));
        self.symbols = symbols.collect();
        self.mappings = mappings;
        self.text = text;
        Ok(true)
    }

    /// Whether it is over.
    pub(crate) fn has_ended(&self) -> bool {
        !self.folder.join("stat").exists()
    }

    /// What it has mapped, by address.
    pub(crate) fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// The path by which this process can open what the other one sees at `path`.
    pub(crate) fn within(&self, path: &Path) -> PathBuf {
        if self.shares_files {
            return path.to_owned();
        }
        PathBuf::from(format!("/proc/{}/root", self.pid)).join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The path by which this process can open a file that the other one has mapped.
    pub(crate) fn path_of(&self, mapping: &Mapping) -> PathBuf {
        if self.named(mapping).is_some() {
            return self.within(Path::new(OsStr::from_bytes(&mapping.path)));
        }
        PathBuf::from(format!("/proc/{}/map_files/{:x}-{:x}", self.pid, mapping.start, mapping.end))
    }

    /// Whether `address` is in none of the mapped files; a process that loads more code would have it there later.
    pub(crate) fn is_unknown(&self, address: u64) -> bool {
        self.position(address).is_none_or(|position| self.mappings[position].path.is_empty())
    }

    /// Find the executable mapping that holds `address`.
    fn position(&self, address: u64) -> Option<usize> {
        let position = self.mappings.partition_point(|mapping| mapping.start <= address).checked_sub(1)?;
        let mapping = &self.mappings[position];
        (address < mapping.end && mapping.is_executable).then_some(position)
    }

    /// Find the function that holds `address`.
    pub(crate) fn resolve(&mut self, address: u64) -> Option<Found<'_>> {
        let position = self.position(address).filter(|position| !self.mappings[*position].path.is_empty());
        if let Some(position) = position {
            self.load(position);
        }
        let in_file = position.map(|position| {
            let mapping = &self.mappings[position];
            (position, mapping, address - mapping.start + mapping.offset)
        });
        if let Some((position, mapping, offset)) = in_file
            && let Symbols::Read(module) = &self.symbols[position]
            && let Some(linked) = module.segments.address_of(offset)
            && let Some((name, offset)) = module.table.resolve(linked)
        {
            return Some(Found { name: Some(name), module: &mapping.path, offset });
        }
        if let Some(perf_map) = &self.perf_map
            && let Some((name, offset)) = perf_map.table.resolve(address)
        {
            return Some(Found { name: Some(name), module: perf_map.path.as_os_str().as_bytes(), offset });
        }
        in_file.map(|(_, mapping, offset)| Found { name: None, module: &mapping.path, offset })
    }

    /// Find the address of a name in the modules that `is_meant`.
    pub(crate) fn address(&mut self, name: &[u8], is_meant: impl Fn(&[u8]) -> bool) -> Option<u64> {
        (0..self.mappings.len()).find_map(|position| {
            let mapping = &self.mappings[position];
            if !mapping.is_executable || !is_meant(&mapping.path) {
                return None;
            }
            self.load(position);
            let Symbols::Read(module) = &self.symbols[position] else { return None };
            let offset = module.segments.extended_offset_of(module.table.address(name)?)?;
            self.loaded_at(&self.mappings[position], offset)
        })
    }

    /// Find the code of the file that it sees at `path`.
    pub(crate) fn mapping_of(&self, path: &Path) -> Option<&Mapping> {
        let facts = fs::metadata(self.within(path)).ok()?;
        let code = || self.mappings.iter().filter(|mapping| mapping.is_executable && mapping.inode == facts.ino());
        let named = code().find(|mapping| mapping.path == path.as_os_str().as_bytes());
        named.or_else(|| code().find(|mapping| self.named(mapping).is_some()))
    }

    /// Return where the byte at `offset` of the file behind `mapping` has been mapped.
    pub(crate) fn loaded_at(&self, mapping: &Mapping, offset: u64) -> Option<u64> {
        let holds = |mapping: &&Mapping| {
            offset.checked_sub(mapping.offset).is_some_and(|into| into < mapping.end - mapping.start)
        };
        let parts = self.mappings.iter().filter(|other| file_of(other) == file_of(mapping));
        let mut holders = parts.clone().filter(holds);
        let code = holders.clone().find(|mapping| mapping.is_executable);
        // What is zero at the start follows the file's last bytes, without being mapped from it.
        let follows = || parts.rev().find(|mapping| mapping.offset <= offset);
        let found = code.or_else(|| holders.next_back()).or_else(follows)?;
        found.start.checked_add(offset - found.offset)
    }

    /// Read the symbols of a mapping, unless they have been.
    fn load(&mut self, position: usize) {
        if !matches!(self.symbols[position], Symbols::NotRead) {
            return;
        }
        let mapping = &self.mappings[position];
        let module = if mapping.path == b"[vdso]" { self.vdso(mapping) } else { self.module(mapping) };
        self.symbols[position] = module.map_or(Symbols::Nothing, Symbols::Read);
    }

    fn module(&self, mapping: &Mapping) -> Option<Arc<Module>> {
        let root = self.folder.join("root");
        let place = Place { root: &root, path: Path::new(OsStr::from_bytes(&mapping.path)) };
        Module::of_file(self.file(mapping)?, &place).ok()
    }

    /// Open the file at the path of what has been mapped, if it still is the same file.
    fn named(&self, mapping: &Mapping) -> Option<File> {
        let path = Path::new(OsStr::from_bytes(&mapping.path));
        let file = open_regular(&self.folder.join("root").join(path.strip_prefix("/").ok()?)).ok()?;
        let facts = file.metadata().ok()?;
        let (major, minor) = mapping.device;
        (facts.dev() == libc::makedev(major, minor) && facts.ino() == mapping.inode).then_some(file)
    }

    /// Open the file that has been mapped by what the kernel remembers of it, whatever has become of its path.
    fn remembered(&self, mapping: &Mapping) -> Option<File> {
        open_regular(&self.folder.join(format!("map_files/{:x}-{:x}", mapping.start, mapping.end))).ok()
    }

    /// Open the very file that has been mapped.
    pub(crate) fn file(&self, mapping: &Mapping) -> Option<File> {
        if mapping.inode == 0 {
            return None;
        }
        self.named(mapping).or_else(|| self.remembered(mapping))
    }

    /// The kernel maps a library of its own, which is no file.
    fn vdso(&self, mapping: &Mapping) -> Option<Arc<Module>> {
        let length = usize::try_from((mapping.end - mapping.start).min(MAX_VDSO_BYTES)).ok()?;
        let mut bytes = vec![0; length];
        File::open(self.folder.join("mem")).ok()?.read_exact_at(&mut bytes, mapping.start).ok()?;
        Module::of_elf(&Elf::of_bytes(bytes).ok()?, None).map(Arc::new).ok()
    }
}

/// What tells files apart.
fn file_of(mapping: &Mapping) -> ((u32, u32), u64, &[u8]) {
    (mapping.device, mapping.inode, &mapping.path)
}

/// The process has ended.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

/// Read a process's numbers in its namespaces, and its effective user.
fn status(folder: &Path) -> io::Result<(Vec<u32>, u32)> {
    let text = fs::read_to_string(folder.join("status"))?;
    let numbers = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<u32>>()
    };
    let uid = numbers("Uid:").get(1).copied().unwrap_or(0);
    Ok((numbers("NSpid:"), uid))
}

fn is_same(first: &Path, second: &str) -> bool {
    let facts = |path: &Path| fs::metadata(path).map(|facts| (facts.dev(), facts.ino())).ok();
    let second = facts(Path::new(second));
    second.is_some() && facts(first) == second
}
