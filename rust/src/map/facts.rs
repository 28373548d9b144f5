//! What a map is, whether it is in the kernel or not.

use std::path::PathBuf;

use aya_obj::generated::bpf_map_type;

use crate::{bcc::type_description::MapTypes, layout::Layout};

/// Which other objects of this process a map belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sharing {
    #[default]
    None,
    /// Others may have it by its name.
    Public,
    /// It is the one that another has made public.
    Extern,
}

/// What a map is, known before and after it is in the kernel.
#[derive(Clone, Debug)]
pub(crate) struct MapFacts {
    pub(crate) name: String,
    pub(crate) map_type: u32,
    pub(crate) max_entries: u32,
    pub(crate) flags: u32,
    /// Sizes in bytes as the kernel is told them.
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    /// Numbers of the key's and the value's type in the object's BTF.
    pub(crate) types: Option<(u32, u32)>,
    pub(crate) key: Layout,
    pub(crate) value: Layout,
    /// The same and more, for Python.
    pub(crate) described: MapTypes,
    /// Where in a BPF file system it is to be found by other processes.
    pub(crate) pin: Option<PathBuf>,
    pub(crate) sharing: Sharing,
}

impl MapFacts {
    /// Whether it is of one of these types.
    pub(crate) fn is_any(&self, types: &[bpf_map_type]) -> bool {
        types.iter().any(|known| *known as u32 == self.map_type)
    }

    pub(crate) fn is_per_cpu(&self) -> bool {
        self.is_any(&[
            bpf_map_type::BPF_MAP_TYPE_PERCPU_HASH,
            bpf_map_type::BPF_MAP_TYPE_PERCPU_ARRAY,
            bpf_map_type::BPF_MAP_TYPE_LRU_PERCPU_HASH,
            bpf_map_type::BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE_DEPRECATED,
        ])
    }

    pub(crate) fn is_array(&self) -> bool {
        self.is_any(&[bpf_map_type::BPF_MAP_TYPE_ARRAY, bpf_map_type::BPF_MAP_TYPE_PERCPU_ARRAY])
    }
}
