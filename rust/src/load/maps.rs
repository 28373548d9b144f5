//! Making the maps of an object.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use aya_obj::{
    EbpfSectionKind, Map as ObjectMap, Object as Elf,
    generated::{BPF_F_NO_PREALLOC, bpf_map_type},
};

use crate::{
    error::Error,
    layout::Layout,
    map::{MapFacts, Sharing, pin},
    sys::{
        self,
        bpf::{self, MapAttributes},
    },
};

/// Put the maps of an object into the kernel, all but those that another has.
pub(super) fn create_maps(
    object: &str,
    elf: &Elf,
    facts: &HashMap<String, MapFacts>,
    btf: Option<&OwnedFd>,
) -> Result<HashMap<String, OwnedFd>, Error> {
    let create = |(name, facts): (&String, &MapFacts)| {
        let failed = |source: io::Error| {
            Error::or_privilege(source, format!("load `{object}`: create map `{name}`"), |source| Error::Map {
                operation: "create",
                map: name.clone(),
                source,
            })
        };
        if let Some(path) = &facts.pin
            && let Some(fd) = open_pinned(facts, path)?
        {
            return Ok((name.clone(), fd));
        }
        let create = || create_map(facts, &elf.maps[name], btf);
        // Before Linux 5.11 the first map too many for RLIMIT_MEMLOCK is refused like this.
        let retry = |error: io::Error| match error.raw_os_error() {
            Some(libc::EPERM) if sys::lift_memlock() => create(),
            _ => Err(error),
        };
        let fd = create().or_else(retry).map_err(failed)?;
        if let Some(path) = &facts.pin {
            pin::pin(name, fd.as_fd(), path)?;
        }
        Ok((name.clone(), fd))
    };
    let mut own: Vec<_> = facts.iter().filter(|(_, facts)| facts.sharing != Sharing::Extern).collect();
    // Whatever is wrong, it is said of the same map each time.
    own.sort_by_key(|(name, _)| *name);
    own.into_iter().map(create).collect()
}

fn create_map(facts: &MapFacts, map: &ObjectMap, btf: Option<&OwnedFd>) -> io::Result<OwnedFd> {
    let section = map.section_kind();
    let max_entries = match facts.max_entries {
        0 if facts.is_any(&[bpf_map_type::BPF_MAP_TYPE_PERF_EVENT_ARRAY]) => {
            u32::try_from(sys::possible_cpus()?).unwrap_or(u32::MAX)
        }
        entries => entries,
    };
    // Only for the time of the call: the kernel keeps what it has to know of it.
    let inner = map.inner().map(|inner| create_inner(&inner)).transpose()?;
    let fd = bpf::map_create(&MapAttributes {
        name: &facts.name,
        map_type: facts.map_type,
        key_size: facts.key_size,
        value_size: facts.value_size,
        max_entries,
        flags: facts.flags | needed_flags(facts),
        btf: btf.zip(facts.types).filter(|_| takes_btf(facts)).map(|(fd, (key, value))| (fd.as_fd(), key, value)),
        inner: inner.as_ref().map(AsFd::as_fd),
    })?;
    if matches!(section, EbpfSectionKind::Data | EbpfSectionKind::Rodata) {
        bpf::map_update(fd.as_fd(), &0_u32.to_ne_bytes(), map.data(), 0)?;
    }
    if matches!(section, EbpfSectionKind::Rodata) {
        // Frozen, its contents are constants to the verifier.
        bpf::map_freeze(fd.as_fd())?;
    }
    Ok(fd)
}

/// Make a map like those that a map of maps is to hold.
fn create_inner(inner: &ObjectMap) -> io::Result<OwnedFd> {
    bpf::map_create(&MapAttributes {
        name: "inner",
        map_type: inner.map_type(),
        key_size: inner.key_size(),
        value_size: inner.value_size(),
        max_entries: inner.max_entries(),
        flags: inner.map_flags(),
        btf: None,
        inner: None,
    })
}

/// Return the flags without which the kernel refuses such a map.
fn needed_flags(facts: &MapFacts) -> u32 {
    let grows = facts.is_any(&[
        bpf_map_type::BPF_MAP_TYPE_LPM_TRIE,
        bpf_map_type::BPF_MAP_TYPE_SK_STORAGE,
        bpf_map_type::BPF_MAP_TYPE_INODE_STORAGE,
        bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE,
        bpf_map_type::BPF_MAP_TYPE_CGRP_STORAGE,
    ]);
    if grows { BPF_F_NO_PREALLOC } else { 0 }
}

/// Open the map that is pinned at `path`, which must be like the one that is asked for; `None` if there is none.
fn open_pinned(facts: &MapFacts, path: &Path) -> Result<Option<OwnedFd>, Error> {
    let name = &facts.name;
    let failed = |source: io::Error| {
        Error::or_privilege(source, format!("open map `{name}` at {}", path.display()), |source| Error::Map {
            operation: "open",
            map: name.clone(),
            source,
        })
    };
    let Some(fd) = pin::open(name, path)? else { return Ok(None) };
    let found = bpf::map_info(fd.as_fd()).map_err(failed)?;
    let wanted = (facts.map_type, facts.key_size, facts.value_size, facts.max_entries);
    if (found.type_, found.key_size, found.value_size, found.max_entries) != wanted {
        let cause = "the map pinned there differs in type, sizes or number of entries";
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, cause)));
    }
    Ok(Some(fd))
}

/// Whether the kernel accepts types for the keys and values of such a map.
fn takes_btf(facts: &MapFacts) -> bool {
    let is_prefix_number =
        facts.is_any(&[bpf_map_type::BPF_MAP_TYPE_LPM_TRIE]) && !matches!(facts.key, Layout::Record(..));
    // The kernel asks for the struct that it has for prefixes, and takes any bytes without a type.
    !is_prefix_number
        && !facts.is_any(&[
            bpf_map_type::BPF_MAP_TYPE_RINGBUF,
            bpf_map_type::BPF_MAP_TYPE_PERF_EVENT_ARRAY,
            bpf_map_type::BPF_MAP_TYPE_CGROUP_ARRAY,
            bpf_map_type::BPF_MAP_TYPE_STACK_TRACE,
            bpf_map_type::BPF_MAP_TYPE_PROG_ARRAY,
            bpf_map_type::BPF_MAP_TYPE_ARRAY_OF_MAPS,
            bpf_map_type::BPF_MAP_TYPE_HASH_OF_MAPS,
            bpf_map_type::BPF_MAP_TYPE_DEVMAP,
            bpf_map_type::BPF_MAP_TYPE_DEVMAP_HASH,
            bpf_map_type::BPF_MAP_TYPE_CPUMAP,
            bpf_map_type::BPF_MAP_TYPE_XSKMAP,
            bpf_map_type::BPF_MAP_TYPE_SOCKMAP,
            bpf_map_type::BPF_MAP_TYPE_SOCKHASH,
            bpf_map_type::BPF_MAP_TYPE_QUEUE,
            bpf_map_type::BPF_MAP_TYPE_STACK,
        ])
}
