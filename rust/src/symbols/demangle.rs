//! Names as their programmers wrote them.

use std::borrow::Cow;

/// Turn a compiler's name for a C++ or Rust function into the source's; other names stay as they are.
pub(crate) fn demangle(name: &[u8]) -> Cow<'_, str> {
    let name = String::from_utf8_lossy(name);
    if !name.starts_with('_') {
        return name;
    }
    // Rust's older names look like C++ ones with a hash at the end, which says nothing to people.
    if let Ok(demangled) = rustc_demangle::try_demangle(&name) {
        return format!("{demangled:#}").into();
    }
    if !name.starts_with("_Z") {
        return name;
    }
    let Ok(symbol) = cpp_demangle::Symbol::new(name.as_bytes()) else { return name };
    symbol.demangle().map_or(name, Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::demangle;

    #[test]
    fn names_of_three_languages() {
        for (mangled, name) in [
            ("_ZN5shape6circle4areaEdi", "shape::circle::area(double, int)"),
            ("_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector<int, std::allocator<int> >::push_back(int const&)"),
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("vfs_read", "vfs_read"),
            ("_start", "_start"),
            ("_Z", "_Z"),
            ("_Z5", "_Z5"),
        ] {
            assert_eq!(demangle(mangled.as_bytes()), name);
        }
        assert_eq!(demangle(b"_Z3fo\xff"), "_Z3fo\u{fffd}");
    }
}
