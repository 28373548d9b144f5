//! The options that the running kernel was built with, as far as it tells.

use std::{collections::HashSet, fmt::Write, fs, io::Read};

use flate2::read::GzDecoder;

/// Bytes of a configuration; real ones have a quarter of a million.
const MAX_BYTES: u64 = 16 << 20;

/// Return definitions of those of `options` (`CONFIG_...`) that the kernel has.
pub(crate) fn definitions(options: &HashSet<&str>, release: &str) -> String {
    if options.is_empty() {
        return String::new();
    }
    read(release).map(|config| emit(&config, options)).unwrap_or_default()
}

fn read(release: &str) -> Option<String> {
    let mut text = String::new();
    if let Ok(file) = fs::File::open("/proc/config.gz") {
        GzDecoder::new(file).take(MAX_BYTES).read_to_string(&mut text).ok()?;
        return Some(text);
    }
    let places = [format!("/boot/config-{release}"), format!("/lib/modules/{release}/config")];
    places.iter().find_map(|path| fs::read_to_string(path).ok())
}

/// As the kernel's own header of its configuration has them: modules have a name of their own.
fn emit(config: &str, options: &HashSet<&str>) -> String {
    let mut text = String::new();
    for line in config.lines() {
        let Some((name, value)) = line.split_once('=') else { continue };
        let module = value == "m";
        let wanted =
            options.contains(name) || options.iter().any(|option| option.strip_suffix("_MODULE") == Some(name));
        if !wanted || !name.starts_with("CONFIG_") {
            continue;
        }
        let _ = match value {
            _ if module => writeln!(text, "#define {name}_MODULE 1"),
            "y" => writeln!(text, "#define {name} 1"),
            value => writeln!(text, "#define {name} {value}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::emit;

    #[test]
    fn options_in_use() {
        let config = "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=m\nCONFIG_D=250\nCONFIG_E=\"x\"\nCONFIG_F=y\n";
        let options = HashSet::from(["CONFIG_A", "CONFIG_B", "CONFIG_C", "CONFIG_D", "CONFIG_E"]);
        let expected = "#define CONFIG_B 1\n#define CONFIG_C_MODULE 1\n#define CONFIG_D 250\n#define CONFIG_E \"x\"\n";
        assert_eq!(emit(config, &options), expected);
    }
}
