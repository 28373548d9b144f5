use super::{Format, FormatError, Hint, Kind};
use crate::layout::{Field, Layout};

/// `random:urandom_read` as kernels before 5.18 had it.
const URANDOM_READ: &str = "name: urandom_read\nID: 1230\nformat:\n\
    \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
    \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
    \tfield:int got_bits;\toffset:8;\tsize:4;\tsigned:1;\n\
    \tfield:__data_loc char[] who;\toffset:12;\tsize:4;\tsigned:1;\n\
    \tfield:u32 flags;\toffset:16;\tsize:4;\tsigned:0;\n\n\
    print fmt: \"%d %x\n%d,%d\", REC->got_bits, REC->flags, ((unsigned int) ((REC->flags) >> 20)), \
    ((unsigned int) ((REC->flags) & ((1U << 20) - 1))), REC->flags ? __print_flags(REC->flags & ~1, \"|\", \
    { 1 << 31, \"TOP\" }, { SOME, \"some\" }) : \"none\"\n";

#[test]
fn a_whole_file() {
    let format = Format::parse(URANDOM_READ).unwrap();
    assert_eq!((format.name.as_str(), format.id, format.size()), ("urandom_read", 1230, 20));
    let field = format.field("got_bits").unwrap();
    assert_eq!((field.offset, field.size, field.signed, field.kind), (8, 4, true, Kind::Integer));
    assert_eq!(format.fields.iter().filter(|field| field.common).count(), 2);
    let Layout::Record(fields, 20) = format.layout() else { panic!() };
    assert_eq!(fields[3], Field { name: "who".into(), offset: 12, layout: Layout::Number('u', 4) });
    assert_eq!(format.print.text, "%d %x\n%d,%d");
    assert_eq!(format.print.hints, [("flags".to_owned(), Hint::Device)]);
    let table = &format.print.tables[0];
    assert_eq!((table.shift, table.mask), (0, Some(!1)));
    assert_eq!(table.values, [(1 << 31, "TOP".to_owned())]);
    assert_eq!(table.unresolved, [("SOME".to_owned(), "some".to_owned())]);
}

#[test]
fn names_stay_unique() {
    let line = "field:int a;\toffset:0;\tsize:4;\tsigned:1;\n";
    let second = "field:int a_2;\toffset:2;\tsize:4;\tsigned:1;\n";
    let format = Format::parse(&format!("name: x\nID: 1\nformat:\n{line}{second}{line}{line}print fmt: \n"));
    let names: Vec<_> = format.unwrap().fields.into_iter().map(|field| field.name).collect();
    assert_eq!(names, ["a", "a_2", "a_3", "a_4"]);
}

#[test]
fn errors_say_line_and_cause() {
    let head = "name: x\nID: 1\nformat:\n";
    for (text, message) in [
        ("", "line 1: truncated, no `name:` so far"),
        ("name: x\n", "line 1: truncated, no `ID:` so far"),
        ("name: x\nID: 1\n\n", "line 3: truncated, no `format:` so far"),
        (head, "line 3: truncated, no `field:` so far"),
        ("name: x\nname: y\n", "line 2: a second `name:`"),
        ("ID: 99999999999999999999", "line 1: `ID:` is `99999999999999999999`, out of range"),
        ("ID: -1", "line 1: `ID:` is `-1`, not a number"),
        ("hello", "line 1: `hello` is not part of a format"),
        ("field:int x;", "line 1: truncated, no `format:` so far"),
    ] {
        assert_eq!(Format::parse(text).unwrap_err().to_string(), message, "{text}");
    }
    for (field, message) in [
        ("int x;\toffset:0;\tsize:4;", "truncated, no `print fmt:` so far"),
        ("int x;\toffset:0;", "field without `size`"),
        ("int x", "field without `offset`"),
        ("int;\toffset:0;\tsize:4;", "no name in `int`"),
        ("int x;\toffset:a;\tsize:4;", "`offset` is `a`, not a number"),
        ("int x;\toffset:0;\tsize:70000;", "`size` is `70000`, out of range"),
        ("int x;\toffset:65533;\tsize:4;", "field `x` ends at byte 65537; records have at most 65536"),
        ("int x;\toffset:0;\toffset:0;\tsize:4;", "a second `offset`"),
    ] {
        let error = Format::parse(&format!("{head}\tfield:{field}\n")).unwrap_err();
        assert_eq!(error.to_string(), format!("line 4: {message}"), "{field}");
    }
    let no_id = Format::parse("name: x\nformat:\n\tfield:int x;\toffset:0;\tsize:4;\nprint fmt: \n");
    assert_eq!(no_id, Err(FormatError::Truncated { line: 4, missing: "ID:" }));
}

#[test]
fn a_cut_file_is_never_a_panic() {
    for cut in (0..URANDOM_READ.len()).filter(|cut| URANDOM_READ.is_char_boundary(*cut)) {
        let whole = Format::parse(&URANDOM_READ[..cut]).is_ok();
        assert_eq!(whole, URANDOM_READ[..cut].contains("print fmt:"), "{cut}");
    }
}
