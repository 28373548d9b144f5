use std::{cell::Cell, collections::HashSet, sync::Arc};

use super::{Request, emit};
use crate::{
    kernel::{
        btf::{Btf, BtfError, kind},
        btf_builder::Builder,
    },
    sys::file::Contents,
};

fn set(names: &str) -> HashSet<&str> {
    names.split_whitespace().collect()
}

fn request<'a>(identifiers: &'a str, own: &'a str) -> Request<'a> {
    Request { identifiers: set(identifiers), tags: HashSet::new(), own_tags: set(own), own_names: set(own) }
}

fn emit_from(kernel: &Arc<Btf>, request: &Request<'_>) -> Result<String, BtfError> {
    emit(kernel, request, || Ok(std::iter::empty()))
}

/// The text without what is around it, a line for each definition.
fn write(builder: &Builder, identifiers: &str, own: &str) -> Vec<String> {
    let text = emit_from(&builder.build(), &request(identifiers, own)).unwrap();
    let text = text.replace("{\n", "{ ").replace(";\n}", "; }").replace(",\n}", " }");
    let mut lines = vec![String::new()];
    let mut depth = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let last = lines.last_mut().unwrap();
        if depth > 0 {
            last.push(' ');
        }
        last.push_str(line);
        depth += line.matches('{').count();
        depth -= line.matches('}').count();
        if depth == 0 {
            lines.push(String::new());
        }
    }
    lines.pop();
    lines
}

/// `struct file` with what hangs on it, as kernels have it.
fn files() -> Builder {
    let mut btf = Builder::new();
    let int = btf.int("unsigned int", 4);
    let character = btf.int("unsigned char", 1);
    let text = btf.refer(kind::CONST, "", character);
    let text = btf.pointer(text);
    let qstr = btf.structure("qstr", 16, &[("len", int, 0, 0), ("name", text, 64, 0)]);
    // The number of `struct dentry` is needed before it is there: pointer, path, pointer, file, super_block.
    let dentry = qstr + 6;
    let to_dentry = btf.pointer(dentry);
    let path = btf.structure("path", 8, &[("dentry", to_dentry, 0, 0)]);
    let to_block = btf.pointer(path + 3);
    btf.structure("file", 16, &[("f_path", path, 0, 0), ("f_sb", to_block, 64, 0)]);
    btf.structure("super_block", 4, &[("s_magic", int, 0, 0)]);
    let number = btf.structure("dentry", 24, &[("d_name", qstr, 0, 0), ("d_sb", to_block, 128, 0)]);
    assert_eq!(number, dentry);
    btf
}

#[test]
fn what_is_contained_comes_first_and_what_is_pointed_to_is_declared() {
    let expected = [
        "struct file;",
        "struct dentry;",
        "struct super_block;",
        "struct path { struct dentry *dentry; };",
        "struct file { struct path f_path; struct super_block *f_sb; };",
    ];
    assert_eq!(write(&files(), "file do_entry ctx", ""), expected);
    assert!(emit_from(&files().build(), &request("do_entry ctx", "")).unwrap().is_empty());
}

#[test]
fn named_members_are_followed() {
    let written = write(&files(), "file f_path dentry d_name name", "");
    assert!(written.contains(&"struct dentry { struct qstr d_name; struct super_block *d_sb; };".into()));
    assert!(written.contains(&"struct qstr { unsigned int len; const unsigned char *name; };".into()));
    assert!(!written.iter().any(|line| line.starts_with("struct super_block {")));
    let written = write(&files(), "file f_sb", "");
    assert!(written.contains(&"struct super_block { unsigned int s_magic; };".into()));
    assert!(!written.iter().any(|line| line.starts_with("struct dentry {")));
}

#[test]
fn what_the_program_defines_is_left_to_it() {
    let written = write(&files(), "file f_path dentry", "dentry");
    assert!(written.contains(&"struct path { struct dentry *dentry; };".into()));
    assert!(!written.iter().any(|line| line.starts_with("struct dentry {")));
    // Where the program does not go on, and by value, it is still the kernel's.
    let written = write(&files(), "file f_path", "dentry");
    assert!(written.contains(&"struct path { struct dentry___2 *dentry; };".into()));
    let written = write(&files(), "file f_path", "path");
    assert!(written.contains(&"struct path___2 { struct dentry *dentry; };".into()));
    assert!(written.contains(&"struct file { struct path___2 f_path; struct super_block *f_sb; };".into()));
}

#[test]
fn a_declaration_finds_its_definition() {
    let mut btf = Builder::new();
    let int = btf.int("int", 4);
    let declared = btf.forward("inner", false);
    let pointer = btf.pointer(declared);
    btf.structure("outer", 8, &[("to", pointer, 0, 0)]);
    btf.structure("inner", 4, &[("x", int, 0, 0)]);
    assert!(!write(&btf, "outer", "").contains(&"struct inner { int x; };".into()));
    assert!(write(&btf, "outer to", "").contains(&"struct inner { int x; };".into()));
}

#[test]
fn two_types_of_a_name() {
    let mut btf = Builder::new();
    let int = btf.int("int", 4);
    btf.structure("empty", 0, &[]);
    btf.structure("empty", 4, &[("x", int, 0, 0)]);
    let first = btf.structure("twin", 4, &[("x", int, 0, 0)]);
    let second = btf.structure("twin", 4, &[("y", int, 0, 0)]);
    let (one, two) = (btf.typedef("alias", first), btf.typedef("alias", second));
    let colour = btf.enumeration("twin", 4, false, &[("RED", 0), ("BLUE", 1)]);
    let other = btf.enumeration("", 4, false, &[("RED", 5)]);
    btf.structure("all", 16, &[("a", one, 0, 0), ("b", two, 32, 0), ("c", colour, 64, 0), ("d", other, 96, 0)]);
    assert!(write(&btf, "empty", "").ends_with(&["struct empty { int x; };".into()]));
    let written = write(&btf, "all", "");
    for line in [
        "struct twin { int x; };",
        "struct twin___2 { int y; };",
        "typedef struct twin alias;",
        "typedef struct twin___2 alias___2;",
        "enum twin___3 { RED = 0, BLUE = 1 };",
        "struct all { alias a; alias___2 b; enum twin___3 c; enum { RED___2 = 5 } d; };",
    ] {
        assert!(written.contains(&line.to_owned()), "{line}: {written:#?}");
    }
    // The program's own names are no enumerators.
    assert!(write(&btf, "twin RED BLUE", "RED").contains(&"enum twin___2 { RED___2 = 0, BLUE = 1 };".into()));
}

#[test]
fn enumerations() {
    let mut btf = Builder::new();
    btf.enumeration("sign", 4, true, &[("MINUS", -1), ("PLUS", 1)]);
    btf.enumeration("", 4, false, &[("HIGH", 0xffff_fff0)]);
    btf.enumeration("narrow", 1, false, &[("LOW", 1)]);
    btf.enumeration("wide", 8, true, &[("LEAST", i64::MIN), ("MOST", i64::MAX)]);
    let incomplete = btf.enumeration("incomplete", 4, false, &[]);
    btf.structure("user", 4, &[("value", incomplete, 0, 0)]);
    assert_eq!(write(&btf, "MINUS", ""), ["enum sign { MINUS = -1, PLUS = 1 };"]);
    assert_eq!(write(&btf, "HIGH", ""), ["enum { HIGH = 4294967280U };"]);
    assert_eq!(write(&btf, "narrow", ""), ["enum narrow { LOW = 1 } __attribute__((mode(QI)));"]);
    let wide = "enum wide { LEAST = (-9223372036854775807LL - 1), MOST = 9223372036854775807ULL } \
                __attribute__((mode(DI)));";
    assert_eq!(write(&btf, "MOST", ""), [wide]);
    assert!(write(&btf, "user", "").contains(&"struct user { unsigned int value; };".into()));
}

#[test]
fn declarators() {
    let mut btf = Builder::new();
    let int = btf.int("int", 4);
    let constant = btf.refer(kind::CONST, "", int);
    let pointer = btf.pointer(constant);
    let fixed = btf.refer(kind::CONST, "", pointer);
    let function = btf.function(fixed, &[int, pointer, 0]);
    let callback = btf.pointer(function);
    let callbacks = btf.array(callback, 3);
    let nothing = btf.function(0, &[]);
    let nothing = btf.pointer(nothing);
    let inner = btf.array(int, 2);
    let grid = btf.array(inner, 0);
    let to_inner = btf.pointer(inner);
    let shared = btf.refer(kind::VOLATILE, "", constant);
    let size = btf.typedef("size_t", int);
    let odd = btf.int("odd", 3);
    let fields = [
        ("fixed", fixed, 0, 0),
        ("callbacks", callbacks, 64, 0),
        ("nothing", nothing, 256, 0),
        ("to_inner", to_inner, 320, 0),
        ("shared", shared, 384, 0),
        ("size", size, 416, 0),
        ("odd", odd, 448, 0),
        ("asm", int, 480, 0),
        ("grid", grid, 512, 0),
    ];
    btf.structure("s", 64, &fields);
    let written = write(&btf, "s", "");
    let expected = "struct s { const int *const fixed; const int *const (*callbacks[3])(int, const int *, ...); \
                    void (*nothing)(void); int (*to_inner)[2]; volatile const int shared; size_t size; \
                    unsigned char odd[3]; int _asm; int grid[0][2]; };";
    assert_eq!(written.last().map(String::as_str), Some(expected));
}

#[test]
fn layouts_that_need_help() {
    let mut btf = Builder::new();
    let byte = btf.int("unsigned char", 1);
    let int = btf.int("int", 4);
    let long = btf.int("long int", 8);
    btf.structure("packed", 13, &[("a", byte, 0, 0), ("b", long, 8, 0), ("c", int, 72, 0)]);
    btf.structure("gaps", 256, &[("a", byte, 0, 0), ("b", int, 64, 0), ("c", long, 1024, 0)]);
    btf.structure("fields", 8, &[("a", int, 0, 3), ("b", int, 5, 4), ("c", int, 32, 0)]);
    btf.structure("crossing", 6, &[("a", int, 0, 20), ("b", int, 20, 20)]);
    btf.record(kind::UNION, "large", 64, &[("a", int, 0, 0)]);
    let inner = btf.structure("", 8, &[("x", long, 0, 0)]);
    btf.structure("outer", 12, &[("a", int, 0, 0), ("", inner, 32, 0)]);
    btf.structure("empty", 0, &[]);
    for (tag, expected) in [
        (
            "packed",
            "struct packed { unsigned char a; long int b __attribute__((packed)); int c __attribute__((packed)); };",
        ),
        (
            "gaps",
            "struct gaps { unsigned char a; char: 8; short: 16; int: 32; int b; char ___gap12[116]; long int c; \
             char ___gap136[120]; };",
        ),
        ("fields", "struct fields { int a: 3; char: 2; int b: 4; int c; };"),
        (
            "crossing",
            "struct crossing { int a: 20 __attribute__((packed)); int b: 20 __attribute__((packed)); char: 8; };",
        ),
        ("large", "union large { int a; char ___size[64]; };"),
        ("outer", "struct outer { int a; struct { long int x __attribute__((packed)); }; };"),
        ("empty", "struct empty { };"),
    ] {
        assert_eq!(write(&btf, tag, "").last().map(String::as_str), Some(expected));
    }
}

#[test]
fn members_without_a_name_are_members_of_the_whole() {
    let mut btf = Builder::new();
    let int = btf.int("int", 4);
    let tagged = btf.structure("tagged", 4, &[("x", int, 0, 0)]);
    btf.structure("outer", 8, &[("", tagged, 0, 0), ("y", int, 32, 0)]);
    let expected = "struct outer { struct { int x; }; int y; };";
    assert_eq!(write(&btf, "outer", "").last().map(String::as_str), Some(expected));
}

#[test]
fn modules_are_asked_for_missing_tags_only() {
    let mut kernel = files();
    let declared = kernel.forward("kvm", false);
    let pointer = kernel.pointer(declared);
    kernel.structure("holder", 8, &[("kvm", pointer, 0, 0)]);
    let int = 1;
    let module = |tag: &str, member: &str| {
        let mut module = Builder::on(&kernel);
        let own = module.structure("own", 4, &[("x", int, 0, 0)]);
        // The path of files, from the kernel.
        module.structure(tag, 16, &[(member, own, 0, 0), ("path", 7, 64, 0)]);
        module
    };
    let base = kernel.build();
    let built = || [module("none", "n"), module("kvm", "k"), module("vcpu", "v")].map(|module| module.build_on(&base));
    let asked = Cell::new(0);
    let modules = || Ok(built().into_iter().inspect(|_| asked.set(asked.get() + 1)));
    let ask = |identifiers, tags| {
        asked.set(0);
        emit(&base, &Request { tags: set(tags), ..request(identifiers, "") }, modules).unwrap()
    };
    assert!(!ask("holder kvm vcpu", "holder").contains("struct kvm {"));
    assert_eq!(asked.get(), 0);
    let text = ask("holder kvm", "holder kvm");
    assert!(text.contains("struct kvm {\nstruct own k;\nstruct path path;\n};\n"), "{text}");
    assert_eq!(asked.get(), 2);
    let text = ask("kvm vcpu", "kvm vcpu");
    assert!(text.contains("struct kvm {\nstruct own k;\nstruct path path;\n};\n"));
    assert!(text.contains("struct vcpu {\nstruct own___2 v;\nstruct path path;\n};\n"));
    assert_eq!(text.matches("struct path {").count(), 1);
    assert_eq!(ask("nowhere", "nowhere"), "");
    assert_eq!(asked.get(), 3);
}

#[test]
fn types_that_contain_themselves_are_refused() {
    let mut btf = Builder::new();
    btf.structure("s", 8, &[("s", 1, 0, 0), ("t", 2, 0, 0)]);
    btf.typedef("t", 2);
    btf.array(3, 2);
    btf.structure("a", 8, &[("a", 3, 0, 0)]);
    // Two of the next in each: more members than anyone could write down.
    for number in 5..60 {
        btf.structure("", 1, &[("x", number + 1, 0, 0), ("y", number + 1, 8, 0)]);
    }
    btf.int("int", 1);
    btf.structure("bomb", 1, &[("x", 5, 0, 0)]);
    let btf = btf.build();
    for name in ["s", "t", "a", "bomb"] {
        assert!(emit_from(&btf, &request(name, "")).is_err(), "{name}");
    }
}

#[test]
fn corrupt_btf_never_panics() {
    let mut btf = files();
    let int = btf.int("int", 4);
    let colour = btf.enumeration("colour", 4, true, &[("RED", -1)]);
    let wide = btf.enumeration("wide", 8, true, &[("FAR", -1)]);
    let function = btf.function(int, &[colour, wide]);
    let pointer = btf.pointer(function);
    let array = btf.array(pointer, 3);
    let alias = btf.typedef("alias", array);
    let constant = btf.refer(kind::CONST, "", alias);
    let union = btf.record(kind::UNION, "both", 24, &[("alias", constant, 0, 0), ("wide", wide, 0, 0)]);
    btf.structure("all", 32, &[("bits", int, 3, 7), ("both", union, 64, 0)]);
    let bytes = btf.bytes();
    let everything = request("file path dentry qstr colour wide alias both all RED FAR d_name name d_sb f_sb bits", "");
    // Numerical Recipes' generator: the same bytes on every run.
    let mut state = 1_u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut survived = 0;
    for _ in 0..3_000 {
        let mut corrupt = bytes.clone();
        for _ in 0..=random(4) {
            let at = 24 + random(corrupt.len() - 24);
            // Most bytes of BTF are small numbers: so are many that replace them.
            let below = if random(2) == 0 { 32 } else { 256 };
            corrupt[at] = u8::try_from(random(below)).unwrap();
        }
        let Ok(parsed) = Btf::parse(Contents::Read(corrupt), None) else { continue };
        survived += usize::from(emit_from(&Arc::new(parsed), &everything).is_ok());
    }
    assert!(survived > 100);
}
