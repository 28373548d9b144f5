//! The options that the running kernel was built with, as far as it tells.

use std::{collections::HashSet, fmt::Write, fs, io::Read, path::Path};

use flate2::read::GzDecoder;

/// Bytes of a configuration; real ones have a quarter of a million.
const MAX_BYTES: u64 = 16 << 20;

/// Return definitions of those of `options` (`CONFIG_...`) that the kernel has.
pub(crate) fn definitions(options: &HashSet<&str>, release: &str) -> String {
    if options.is_empty() {
        return String::new();
    }
    emit(&read(release).unwrap_or_else(evident), options)
}

/// What a kernel shows of its configuration that keeps it to itself.
fn evident() -> String {
    // All that rtrace works on have wrappers around system calls since 4.17 (x86-64) and 4.19 (arm64).
    let machine = match std::env::consts::ARCH {
        "x86_64" => "CONFIG_X86_64=y\nCONFIG_ARCH_HAS_SYSCALL_WRAPPER=y\n",
        "aarch64" => "CONFIG_ARM64=y\nCONFIG_ARCH_HAS_SYSCALL_WRAPPER=y\n",
        _ => "",
    };
    let signs = [
        ("/proc/self/ns/net", "CONFIG_NET_NS=y\n"),
        ("/proc/self/ns/pid", "CONFIG_PID_NS=y\n"),
        ("/proc/cgroups", "CONFIG_CGROUPS=y\n"),
        ("/sys/devices/system/node", "CONFIG_NUMA=y\n"),
        ("/sys/kernel/slab", "CONFIG_SLUB=y\n"),
    ];
    let shown = signs.iter().filter(|(sign, _)| Path::new(sign).exists()).map(|(_, option)| *option);
    format!("CONFIG_64BIT=y\nCONFIG_SMP=y\n{machine}{}", shown.collect::<String>())
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

    use super::{emit, evident};

    #[test]
    fn what_a_kernel_cannot_hide() {
        let options = HashSet::from(["CONFIG_ARCH_HAS_SYSCALL_WRAPPER", "CONFIG_NET_NS", "CONFIG_NO_SUCH"]);
        let expected = "#define CONFIG_ARCH_HAS_SYSCALL_WRAPPER 1\n#define CONFIG_NET_NS 1\n";
        assert_eq!(emit(&evident(), &options), expected);
    }

    #[test]
    fn options_in_use() {
        let config = "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=m\nCONFIG_D=250\nCONFIG_E=\"x\"\nCONFIG_F=y\n";
        let options = HashSet::from(["CONFIG_A", "CONFIG_B", "CONFIG_C", "CONFIG_D", "CONFIG_E"]);
        let expected = "#define CONFIG_B 1\n#define CONFIG_C_MODULE 1\n#define CONFIG_D 250\n#define CONFIG_E \"x\"\n";
        assert_eq!(emit(config, &options), expected);
    }
}
