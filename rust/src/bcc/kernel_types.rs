//! The kernel's types that a program uses, as C.

use std::collections::HashSet;

use crate::kernel::btf::{Btf, BtfError};

/// Typedefs that the text refers to and does not define: the prelude has them, in front of it.
pub(crate) const BASE: &[&str] = &[
    "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "__u8", "__u16", "__u32", "__u64", "__s8", "__s16", "__s32",
    "__s64", "bool", "size_t",
];

/// What a program uses of the kernel's types, as far as its tokens tell.
#[derive(Default)]
pub(crate) struct Request<'a> {
    /// Every identifier in the source, and in those parts of the prelude that it uses.
    pub(crate) identifiers: HashSet<&'a str>,
    /// Identifiers that follow `struct`, `union` or `enum`: only these are looked for in modules too, because looking
    /// there takes time, and most identifiers of a program are no kernel types at all.
    pub(crate) tags: HashSet<&'a str>,
    /// Tags that the program defines itself. Kernel types point to the program's own definition.
    pub(crate) own_tags: HashSet<&'a str>,
    /// Everything else that the program defines at file scope: typedefs, functions, variables, maps, enumerators.
    pub(crate) own_names: HashSet<&'a str>,
}

/// Return the C text of the types that `request` asks for, from the running kernel's BTF and its modules'.
///
/// The text belongs behind the definitions of [`BASE`] and in front of everything else: macros of the prelude would
/// rewrite members that happen to have their names.
pub(crate) fn of_kernel(request: &Request<'_>) -> Result<String, BtfError> {
    emit(&Btf::of_kernel()?, request)
}

/// The same from the given BTF alone.
pub(crate) fn emit(_btf: &Btf, _request: &Request<'_>) -> Result<String, BtfError> {
    todo!("published for its signature")
}
