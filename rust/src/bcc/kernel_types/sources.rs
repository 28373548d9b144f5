//! Types of the kernel and of some of its modules, side by side.

use std::sync::Arc;

use crate::kernel::btf::{Btf, BtfError, Type};

/// A type: which of the sources it is in, and its number there. The kernel's own types are in source 0 only.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Id {
    source: u32,
    number: u32,
}

impl Id {
    pub(super) fn is_void(self) -> bool {
        self.number == 0
    }

    pub(super) fn corrupt(self) -> BtfError {
        BtfError::NoType(self.number)
    }
}

/// The kernel's BTF, then that of modules.
pub(super) struct Sources {
    all: Vec<Arc<Btf>>,
    tells_signs: bool,
}

impl Sources {
    pub(super) fn new(kernel: Arc<Btf>) -> Self {
        Self { tells_signs: kernel.tells_signs(), all: vec![kernel] }
    }

    pub(super) fn push(&mut self, module: Btf) {
        self.all.push(Arc::new(module));
    }

    /// Number of types.
    pub(super) fn len(&self) -> usize {
        self.all.iter().map(|btf| btf.len()).sum()
    }

    /// Every type of every source.
    pub(super) fn types(&self) -> impl Iterator<Item = (Id, Type<'_>)> {
        (0..)
            .zip(&self.all)
            .flat_map(|(source, btf)| btf.types().map(move |(number, found)| (Id { source, number }, found)))
    }

    pub(super) fn get(&self, id: Id) -> Result<Type<'_>, BtfError> {
        self.btf(id).get(id.number)
    }

    /// The type that type `from` calls `number`.
    pub(super) fn refer(&self, from: Id, number: u32) -> Id {
        let source = if number < self.btf(from).first_id() { 0 } else { from.source };
        Id { source, number }
    }

    /// The string that type `of` refers to.
    pub(super) fn string(&self, of: Id, offset: u32) -> &[u8] {
        self.btf(of).string(offset)
    }

    /// The same with everything behind it.
    pub(super) fn tail(&self, of: Id, offset: u32) -> &[u8] {
        self.btf(of).tail(offset)
    }

    pub(super) fn name(&self, id: Id) -> Result<&[u8], BtfError> {
        Ok(self.string(id, self.get(id)?.name_offset))
    }

    pub(super) fn tells_signs(&self) -> bool {
        self.tells_signs
    }

    /// Follow typedefs and qualifiers.
    pub(super) fn resolve(&self, id: Id) -> Result<(Id, Type<'_>), BtfError> {
        let (number, found) = self.btf(id).resolve(id.number)?;
        Ok((self.refer(id, number), found))
    }

    fn btf(&self, id: Id) -> &Btf {
        &self.all[id.source as usize]
    }
}
