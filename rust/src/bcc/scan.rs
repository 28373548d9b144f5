//! What a source mentions and what it defines itself, as far as its tokens tell.

use std::collections::{BTreeSet, HashSet};

use super::lexer::{Kind, Token};

/// A tracepoint's category and name.
pub(crate) type Tracepoint<'a> = (&'a str, &'a str);

/// Everything that other steps want to know of the tokens.
#[derive(Default)]
pub(crate) struct Scan<'a> {
    pub(crate) identifiers: HashSet<&'a str>,
    /// What follows `struct`, `union` or `enum`.
    pub(crate) tags: HashSet<&'a str>,
    /// Tags that are defined here.
    pub(crate) own_tags: HashSet<&'a str>,
    /// Typedefs, functions, variables, enumerators and macros that are defined here.
    pub(crate) own_names: HashSet<&'a str>,
    /// Members, variables, parameters and enumerators that are declared here, wherever: a macro of the same name would
    /// change what they are.
    pub(crate) values: HashSet<&'a str>,
    /// Functions that are defined here.
    pub(crate) functions: HashSet<&'a str>,
    /// Tracepoints whose records are wanted as structs.
    pub(crate) tracepoints: BTreeSet<Tracepoint<'a>>,
    /// What `BPF_ITER` goes through, each with a struct of its own.
    pub(crate) iterators: BTreeSet<&'a str>,
}

const TRACEPOINT: &str = "tracepoint__";

/// Words that a name may follow without being declared.
const NO_TYPES: [&str; 11] =
    ["return", "else", "case", "goto", "do", "sizeof", "typeof", "__typeof__", "struct", "union", "enum"];

impl<'a> Scan<'a> {
    /// Add what `source`, whose tokens are given, mentions and defines.
    pub(crate) fn add(&mut self, source: &'a str, tokens: &[Token]) {
        let mut directive = None;
        for (index, token) in tokens.iter().enumerate() {
            match token.kind {
                Kind::Directive => directive = Some(index),
                Kind::EndOfDirective => directive = None,
                Kind::Identifier => {
                    let name = token.text(source);
                    self.identifiers.insert(name);
                    let before = index.checked_sub(1).map(|index| tokens[index]);
                    let word_before = before.map_or("", |token| token.text(source));
                    if matches!(word_before, "struct" | "union" | "enum") {
                        self.tags.insert(name);
                        if tokens.get(index + 1).is_some_and(|next| next.is(b'{')) {
                            self.own_tags.insert(name);
                        }
                    }
                    if directive.is_some_and(|start| index == start + 2) && word_before == "define" {
                        self.own_names.insert(name);
                    }
                    if let Some(tracepoint) = tracepoint_of(name) {
                        self.tracepoints.insert(tracepoint);
                    }
                    if name == "BPF_ITER"
                        && let Some([_, target, _]) = tokens.get(index + 1..index + 4)
                        && target.kind == Kind::Identifier
                    {
                        self.iterators.insert(target.text(source));
                    }
                    if name == "TRACEPOINT_PROBE"
                        && let Some([_, category, comma, event, _]) = tokens.get(index + 1..index + 6)
                        && comma.is(b',')
                        && category.kind == Kind::Identifier
                        && event.kind == Kind::Identifier
                    {
                        self.tracepoints.insert((category.text(source), event.text(source)));
                    }
                }
                _ => {}
            }
        }
        self.add_definitions(source, tokens);
    }

    /// Names that are declared at file scope, and enumerators.
    fn add_definitions(&mut self, source: &'a str, tokens: &[Token]) {
        let (mut depth, mut in_directive, mut enum_depth) = (0_usize, false, None);
        for (index, token) in tokens.iter().enumerate() {
            match token.kind {
                Kind::Directive => in_directive = true,
                Kind::EndOfDirective => in_directive = false,
                _ if in_directive => {}
                Kind::Punctuation(b'{' | b'(' | b'[') => {
                    depth += 1;
                    if token.is(b'{') && is_enum(source, &tokens[..index]) {
                        enum_depth = Some(depth);
                    }
                }
                Kind::Punctuation(b'}' | b')' | b']') => {
                    if enum_depth == Some(depth) {
                        enum_depth = None;
                    }
                    depth = depth.saturating_sub(1);
                }
                Kind::Identifier => {
                    let declares = |next: &Token| {
                        matches!(next.kind, Kind::Punctuation(b'(' | b'=' | b';' | b'[' | b',')) && depth == 0
                    };
                    let enumerates = enum_depth == Some(depth)
                        && index
                            .checked_sub(1)
                            .is_some_and(|before| tokens[before].is(b'{') || tokens[before].is(b','));
                    // `(*name)(...)`, a pointer to a function.
                    let pointer = depth == 1
                        && index >= 2
                        && tokens[index - 1].is(b'*')
                        && tokens[index - 2].is(b'(')
                        && tokens.get(index + 1).is_some_and(|next| next.is(b')'));
                    if enumerates || is_value(source, tokens, index) {
                        self.values.insert(token.text(source));
                    } else if depth == 0 && is_function(source, tokens, index) {
                        self.functions.insert(token.text(source));
                    }
                    if enumerates || pointer || tokens.get(index + 1).is_some_and(declares) {
                        self.own_names.insert(token.text(source));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Whether the name at `index` is declared by standing behind a type, as far as that can be told: `u16 port;`, not
/// `u16 *port;`, which may be a product as well.
fn is_value(source: &str, tokens: &[Token], index: usize) -> bool {
    let ends = |next: &Token| matches!(next.kind, Kind::Punctuation(b';' | b'=' | b',' | b'[' | b')' | b':'));
    is_behind_type(source, tokens, index) && tokens.get(index + 1).is_some_and(ends)
}

/// Whether the name at `index`, at file scope, is that of a function with a body. No function has the name of a macro,
/// as `SEC("...")` behind a type has.
fn is_function(source: &str, tokens: &[Token], index: usize) -> bool {
    let is_macro = || tokens[index].text(source).bytes().any(|byte| byte.is_ascii_uppercase());
    let has_body = || tokens[index..].windows(2).find(|pair| pair[0].is(b')')).is_some_and(|pair| pair[1].is(b'{'));
    let returns = || index > 0 && tokens[index - 1].is(b'*') || is_behind_type(source, tokens, index);
    tokens.get(index + 1).is_some_and(|next| next.is(b'(')) && !is_macro() && returns() && has_body()
}

fn is_behind_type(source: &str, tokens: &[Token], index: usize) -> bool {
    let before = index.checked_sub(1).map(|before| tokens[before]);
    before.is_some_and(|before| before.kind == Kind::Identifier && !NO_TYPES.contains(&before.text(source)))
}

/// Whether a `{` that follows these tokens opens an enum.
fn is_enum(source: &str, before: &[Token]) -> bool {
    let word = |back: usize| before.len().checked_sub(back).map_or("", |index| before[index].text(source));
    word(1) == "enum" || word(2) == "enum"
}

/// Take `tracepoint__category__name` apart.
pub(crate) fn tracepoint_of(name: &str) -> Option<Tracepoint<'_>> {
    let (category, event) = name.strip_prefix(TRACEPOINT)?.split_once("__")?;
    (!category.is_empty() && !event.is_empty()).then_some((category, event))
}

#[cfg(test)]
mod tests {
    use super::Scan;
    use crate::bcc::lexer::tokens;

    #[test]
    fn what_a_source_defines_itself() {
        let source = "#define LIMIT 3\n#include <a.h>\nstruct key { u32 pid; char comm[16]; };\ntypedef struct { int a; } t;\n\
                      enum mode { READ, WRITE = LIMIT + X };\nstatic int (*hook)(int);\nint f(struct file *file) { g(file->f); }\n\
                      BPF_HASH(start, struct key);\n";
        let mut scan = Scan::default();
        scan.add(source, &tokens(source).unwrap());
        let mut own: Vec<_> = scan.own_names.into_iter().collect();
        own.sort_unstable();
        assert_eq!(own, ["BPF_HASH", "LIMIT", "READ", "WRITE", "f", "hook", "int", "t"]);
        let mut values: Vec<_> = scan.values.into_iter().collect();
        values.sort_unstable();
        assert_eq!(values, ["READ", "WRITE", "a", "comm", "pid"]);
        assert_eq!(scan.functions, ["f"].into());
        assert_eq!(scan.own_tags.len(), 2);
        assert!(scan.tags.contains("file") && !scan.own_tags.contains("file"));
        assert!(scan.identifiers.contains("f"));
    }

    #[test]
    fn what_is_used_is_not_declared() {
        let source = "#define FLAGS O_RDONLY, O_RDWR\nint f(struct sock *sk) { u64 x = n * HZ; y = 2 * HZ; sk->sk_num = 1; if (x)\n\
                      return READ; switch (x) { case WRITE: break; } z = (struct sk_num) { READ, WRITE }; goto sk_num; }\n\
                      static u64 *memset(void *p) { }\nstatic SEC(\"x\") int g(void); int min(int a, int b);";
        let mut scan = Scan::default();
        scan.add(source, &tokens(source).unwrap());
        let mut values: Vec<_> = scan.values.into_iter().collect();
        values.sort_unstable();
        assert_eq!(values, ["a", "b", "x"]);
        assert_eq!(scan.functions, ["f", "memset"].into());
    }

    #[test]
    fn tracepoints_by_name_and_by_macro() {
        let source = "BPF_ITER(task) { }\nTRACEPOINT_PROBE(random, urandom_read) { }\nint f(struct tracepoint__sched__sched_switch *args);\n\
                      int tracepoint__syscalls__sys_enter_openat(void *args); int tracepoint__x;";
        let mut scan = Scan::default();
        scan.add(source, &tokens(source).unwrap());
        assert_eq!(scan.iterators.into_iter().collect::<Vec<_>>(), ["task"]);
        let found: Vec<_> = scan.tracepoints.into_iter().collect();
        assert_eq!(found, [("random", "urandom_read"), ("sched", "sched_switch"), ("syscalls", "sys_enter_openat")]);
    }
}
