//! Making the maps of an object.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, OwnedFd},
};

use aya_obj::{EbpfSectionKind, Map as ObjectMap, Object as Elf, generated::bpf_map_type};

use crate::{
    error::Error,
    map::MapFacts,
    sys::{
        self,
        bpf::{self, MapAttributes},
    },
};

/// Put the maps of an object into the kernel.
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
        let create = || create_map(facts, &elf.maps[name], btf);
        // Before Linux 5.11 the first map too many for RLIMIT_MEMLOCK is refused like this.
        let retry = |error: io::Error| match error.raw_os_error() {
            Some(libc::EPERM) if sys::lift_memlock() => create(),
            _ => Err(error),
        };
        Ok((name.clone(), create().or_else(retry).map_err(failed)?))
    };
    facts.iter().map(create).collect()
}

fn create_map(facts: &MapFacts, map: &ObjectMap, btf: Option<&OwnedFd>) -> io::Result<OwnedFd> {
    let section = map.section_kind();
    let max_entries = match facts.max_entries {
        0 if facts.map_type == bpf_map_type::BPF_MAP_TYPE_PERF_EVENT_ARRAY as u32 => {
            u32::try_from(sys::possible_cpus()?).unwrap_or(u32::MAX)
        }
        entries => entries,
    };
    let fd = bpf::map_create(&MapAttributes {
        name: &facts.name,
        map_type: facts.map_type,
        key_size: facts.key_size,
        value_size: facts.value_size,
        max_entries,
        flags: facts.flags,
        btf: btf
            .zip(facts.types)
            .filter(|_| takes_btf(facts.map_type))
            .map(|(fd, (key, value))| (fd.as_fd(), key, value)),
        inner: None,
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

/// Whether the kernel accepts types for the keys and values of such a map.
fn takes_btf(map_type: u32) -> bool {
    ![
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
    ]
    .iter()
    .any(|untyped| *untyped as u32 == map_type)
}
