//! What is asked of the running kernel's BTF: members, enumerators, functions and tracepoints.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    sync::Arc,
};

use super::{Btf, BtfError, DIRECTORY, Member, kind};

/// Return where a member is in one of the kernel's structs, and its size, in bytes; `None` if there is no such.
pub(crate) fn member(name: &str, member: &str) -> Result<Option<(usize, usize)>, BtfError> {
    let btf = Btf::of_kernel()?;
    let Some((_, found)) = btf.find(kind::STRUCT, name) else { return Ok(None) };
    let matches = |candidate: &Member| btf.string(candidate.name_offset) == member.as_bytes() && candidate.bits == 0;
    let Some(found) = found.members().find(matches) else { return Ok(None) };
    let size = usize::try_from(btf.size_of(found.type_id)?).unwrap_or(usize::MAX);
    Ok(Some((found.bit_offset as usize / 8, size)))
}

/// Return the values of enumerators by name, the kernel's or else its modules'; those that there are not, or that mean
/// different numbers, are left out.
pub(crate) fn enumerators(names: &HashSet<String>) -> Result<HashMap<String, i128>, BtfError> {
    let kernel = Arc::new(Btf::of_kernel()?);
    // Unloaded meanwhile, a module has no say.
    let of_module = |module: String| Btf::of_module(&module, Arc::clone(&kernel)).ok();
    values(names, &kernel, || Ok(modules()?.into_iter().filter_map(of_module)))
}

/// `modules` are read only if the kernel does not know all of the names.
fn values<M: Iterator<Item = Btf>>(
    names: &HashSet<String>,
    kernel: &Btf,
    modules: impl FnOnce() -> Result<M, BtfError>,
) -> Result<HashMap<String, i128>, BtfError> {
    let mut found = kernel.values_of(names);
    let missing: HashSet<_> = names.iter().filter(|name| !found.contains_key(*name)).cloned().collect();
    if !missing.is_empty() {
        for module in modules()? {
            for (name, values) in module.values_of(&missing) {
                found.entry(name).or_default().extend(values);
            }
        }
    }
    let single = |(name, values): (String, HashSet<i128>)| {
        let mut values = values.into_iter();
        values.next().filter(|_| values.next().is_none()).map(|value| (name, value))
    };
    Ok(found.into_iter().filter_map(single).collect())
}

/// Return the structs that the arguments of a raw tracepoint point to, empty names for other arguments; `None` if BTF
/// does not describe the tracepoint.
pub(crate) fn tracepoint_arguments(name: &str) -> Result<Option<Vec<String>>, BtfError> {
    let btf = Btf::of_kernel()?;
    let Some((_, found)) = btf.find(kind::TYPEDEF, &format!("btf_trace_{name}")) else { return Ok(None) };
    let (_, pointer) = btf.resolve(found.size_or_type)?;
    let (_, function) = btf.resolve(pointer.size_or_type)?;
    let struct_name = |id: u32| -> Result<String, BtfError> {
        let (_, argument) = btf.resolve(id)?;
        if argument.kind() != kind::PTR || argument.size_or_type == 0 {
            return Ok(String::new());
        }
        let (_, target) = btf.resolve(argument.size_or_type)?;
        Ok(String::from_utf8_lossy(btf.string(target.name_offset)).into_owned())
    };
    // The first parameter is the kernel's own, programs do not get it.
    function.parameters().skip(1).map(struct_name).collect::<Result<_, _>>().map(Some)
}

/// Where a function is described, and what a program needs to hang off it.
pub(crate) struct Function {
    /// Module it is in, `None` for the kernel itself.
    pub(crate) module: Option<String>,
    /// Number of its type.
    pub(crate) id: u32,
    /// Number of its parameters.
    pub(crate) parameters: usize,
}

/// Find a tracepoint of the kernel's by the function type that stands for it.
pub(crate) fn find_tracepoint(name: &str) -> Result<Option<Function>, BtfError> {
    let btf = Btf::of_kernel()?;
    let Some((id, found)) = btf.find(kind::TYPEDEF, &format!("btf_trace_{name}")) else { return Ok(None) };
    let (_, pointer) = btf.resolve(found.size_or_type)?;
    let (_, function) = btf.resolve(pointer.size_or_type)?;
    Ok(Some(Function { module: None, id, parameters: function.len() }))
}

/// Find a function in the kernel or in one of its modules.
pub(crate) fn find_function(name: &str) -> Result<Option<Function>, BtfError> {
    let describe = |btf: &Btf, module: Option<&str>| -> Option<Function> {
        let (id, found) = btf.find(kind::FUNC, name)?;
        let parameters = btf.get(found.size_or_type).ok()?.len();
        Some(Function { module: module.map(str::to_owned), id, parameters })
    };
    let kernel = Arc::new(Btf::of_kernel()?);
    if let Some(function) = describe(&kernel, None) {
        return Ok(Some(function));
    }
    for module in modules()? {
        if let Some(function) = describe(&Btf::of_module(&module, Arc::clone(&kernel))?, Some(&module)) {
            return Ok(Some(function));
        }
    }
    Ok(None)
}

/// Return the names of the loaded modules that have BTF, in order.
pub(crate) fn modules() -> io::Result<Vec<String>> {
    let entries = fs::read_dir(DIRECTORY)?.flatten();
    let mut modules: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    modules.retain(|module| module != "vmlinux");
    modules.sort_unstable();
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::values;
    use crate::kernel::btf_builder::Builder;

    #[test]
    fn enumerators_of_the_kernel_and_its_modules() {
        let mut kernel = Builder::new();
        kernel.enumeration("colour", 4, true, &[("RED", -1), ("BLUE", 7)]);
        kernel.enumeration("", 8, false, &[("FAR", 1 << 40)]);
        kernel.enumeration("one", 4, false, &[("SAME", 3), ("TWICE", 3)]);
        kernel.enumeration("other", 4, false, &[("SAME", 3), ("TWICE", 4)]);
        let (mut first, mut second) = (Builder::on(&kernel), Builder::on(&kernel));
        first.enumeration("", 4, false, &[("BLUE", 8), ("OWN", 0xffff_ffff), ("UNLIKE", 1)]);
        second.enumeration("", 4, false, &[("UNLIKE", 2)]);
        let kernel = kernel.build();
        let modules = || Ok([first.build_on(&kernel), second.build_on(&kernel)].into_iter());

        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<HashSet<_>>();
        let wanted = names(&["RED", "BLUE", "FAR", "SAME", "TWICE", "OWN", "UNLIKE", "NOWHERE"]);
        let found = values(&wanted, &kernel, modules).unwrap();
        // The kernel's own come first; what has several meanings has none.
        let expected = [("RED", -1), ("BLUE", 7), ("FAR", 1 << 40), ("SAME", 3), ("OWN", 0xffff_ffff)];
        assert_eq!(found, HashMap::from(expected.map(|(name, value)| (name.to_owned(), value))));

        let unread = || -> Result<std::iter::Empty<_>, _> { panic!("the kernel knows all of them") };
        assert_eq!(values(&names(&["RED"]), &kernel, unread).unwrap().len(), 1);
    }
}
