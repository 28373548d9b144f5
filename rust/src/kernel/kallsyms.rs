//! `/proc/kallsyms`: the names of the kernel's functions.

use std::{fs, io};

/// A function as the kernel lists it.
pub(crate) struct Symbol {
    pub(crate) name: String,
    /// Module it is in, `None` for the kernel itself.
    pub(crate) module: Option<String>,
}

/// List the functions that are named in `/proc/kallsyms`; addresses may be hidden, names never are.
pub(crate) fn functions() -> io::Result<Vec<Symbol>> {
    Ok(parse(&fs::read_to_string("/proc/kallsyms")?))
}

fn parse(text: &str) -> Vec<Symbol> {
    let symbol = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (_address, kind, name) = (words.next()?, words.next()?, words.next()?);
        let module = words.next().map(|word| word.trim_matches(['[', ']']).to_owned());
        let is_text = matches!(kind, "t" | "T" | "w" | "W");
        is_text.then(|| Symbol { name: name.to_owned(), module })
    };
    text.lines().filter_map(symbol).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn functions_of_kernel_and_modules() {
        let text = "0000000000000000 T vfs_read\n0000000000000000 D jiffies\n0 t ext4_sync_file\t[ext4]\nbroken\n";
        let symbols = super::parse(text);
        assert_eq!(symbols.len(), 2);
        assert_eq!(symbols[0].name, "vfs_read");
        assert_eq!(symbols[1].module.as_deref(), Some("ext4"));
    }
}
