//! The kernel's types that a program uses, as C.
//!
//! A program names what it uses: tags, typedefs, enumerators and members are identifiers in its source. That decides
//! which types are written, without a look at what the identifiers mean:
//!
//! 1. A struct, union, enumeration or typedef whose name is an identifier of the program is written ([`roots`]).
//!    An enumeration is too if one of its enumerators is.
//! 2. What a written type contains by value is written before it ([`writer`], [`record`]).
//! 3. What it points to is declared. If the *member's* name is an identifier of the program, the program may go on
//!    behind it, so the type it points to is written as well: for `file->f_path.dentry->d_name.name` it is enough that
//!    `struct file` is named somewhere.
//!
//! Everything else of the kernel's ten thousand types stays away, which is what makes compiling fast. Types have the
//! size in C that BTF says, and their members the offsets ([`record`]). Two types of one name get two names: the second
//! one `NAME___2`, which CO-RE takes for a flavour of `NAME`.

mod declaration;
mod enumeration;
mod record;
mod roots;
mod sources;
#[cfg(test)]
mod tests;
mod writer;

use std::{collections::HashSet, sync::Arc};

use roots::{Quality, Roots};
use sources::Sources;
use writer::Writer;

use crate::kernel::btf::{self, Btf, BtfError};

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
    /// Tags that the program defines itself. Where it follows a pointer of the kernel's to one of them, it gets there.
    pub(crate) own_tags: HashSet<&'a str>,
    /// Everything else that the program defines at file scope: typedefs, functions, variables, maps, enumerators.
    pub(crate) own_names: HashSet<&'a str>,
}

/// Return the C text of the types that `request` asks for, from the running kernel's BTF and its modules'.
///
/// The text belongs behind the definitions of [`BASE`] and in front of everything else: macros of the prelude would
/// rewrite members that happen to have their names.
pub(crate) fn of_kernel(request: &Request<'_>) -> Result<String, BtfError> {
    let kernel = Arc::new(Btf::of_kernel()?);
    emit(&kernel, request, || {
        let modules = btf::modules()?;
        // A module may be on its way out, or its BTF made for another kernel: the program can do without.
        Ok(modules.into_iter().filter_map(|module| Btf::of_module(&module, Arc::clone(&kernel)).ok()))
    })
}

/// The same from any BTF; `modules` is called if a tag is not in the kernel's.
pub(crate) fn emit<M: Iterator<Item = Btf>>(
    kernel: &Arc<Btf>,
    request: &Request<'_>,
    modules: impl FnOnce() -> Result<M, BtfError>,
) -> Result<String, BtfError> {
    let mut sources = Sources::new(Arc::clone(kernel));
    let roots = Roots::find(&sources, request);
    let mut missing = request.tags.clone();
    let is_defined = |tag: &str| roots.tags.get(tag).is_some_and(|(quality, _)| *quality != Quality::Declaration);
    missing.retain(|tag| !request.own_tags.contains(tag) && !is_defined(tag));
    if missing.is_empty() {
        return Writer::new(&sources, request).write(&roots);
    }
    let mut modules = modules()?;
    while !missing.is_empty()
        && let Some(module) = modules.next()
    {
        let found = Roots::tags_of(&module, &missing);
        if !found.is_empty() {
            missing.retain(|tag| !found.contains(tag));
            sources.push(module);
        }
    }
    let roots = Roots::find(&sources, request);
    Writer::new(&sources, request).write(&roots)
}
