//! Calls of map methods, and other tokens, whose meaning depends on something that C's macros cannot see.

use super::{
    edits::Edits,
    lexer::{Kind, Token},
};

/// Methods that become macros of the prelude, which have the map as their first parameter: those that record the type
/// of what they are given, and the one that may leave the program.
const METHODS: [&str; 5] = ["perf_submit", "perf_submit_skb", "ringbuf_output", "ringbuf_submit", "lookup_or_init"];

/// Methods whose last argument may be missing; macros of their names exist only in sources that use them.
pub(crate) const OPTIONAL: [&str; 2] = ["increment", "atomic_increment"];

/// Macros that have the type of a map as a string.
const TABLES: [&str; 9] = [
    "BPF_TABLE",
    "BPF_F_TABLE",
    "BPF_TABLE_PINNED",
    "BPF_TABLE_PUBLIC",
    "BPF_TABLE_SHARED",
    "BPF_QUEUESTACK",
    "BPF_QUEUESTACK_PINNED",
    "BPF_QUEUESTACK_PUBLIC",
    "BPF_QUEUESTACK_SHARED",
];

/// Macros that have the name of another map as a string, behind their own name.
const OF_MAPS: [&str; 2] = ["BPF_ARRAY_OF_MAPS", "BPF_HASH_OF_MAPS"];

/// Macros of the prelude that read the arguments of a USDT probe, to which the asking function's name is added.
const USDT: [&str; 2] = ["bpf_usdt_readarg", "bpf_usdt_readarg_p"];

/// Note what has to change in calls; return which of [`OPTIONAL`] are used.
pub(crate) fn rewrite(source: &str, tokens: &[Token], edits: &mut Edits) -> Vec<&'static str> {
    let mut used = Vec::new();
    let mut functions = Enclosing::default();
    for (index, token) in tokens.iter().enumerate() {
        functions.step(source, tokens, index);
        if token.kind != Kind::Identifier {
            continue;
        }
        let text = token.text(source);
        let is = |ahead: usize, punctuation| tokens.get(index + ahead).is_some_and(|next| next.is(punctuation));
        let before = |back: usize, punctuation| index >= back && tokens[index - back].is(punctuation);
        if let Some(name) = OPTIONAL.iter().find(|name| **name == text)
            && before(1, b'.')
            && !used.contains(name)
        {
            used.push(*name);
        }
        if (METHODS.contains(&text) || OPTIONAL.contains(&text)) && before(1, b'.') && is(1, b'(') {
            put_in_parentheses(&tokens[index + 1..], edits);
        }
        if METHODS.contains(&text) && before(1, b'.') && is(1, b'(') && index >= 2 {
            let map = tokens[index - 2];
            let part_of_more = index >= 3 && (before(3, b'.') || before(3, b'>'));
            if map.kind == Kind::Identifier && !part_of_more {
                let end = tokens[index + 1].end as usize;
                edits.replace(map.start as usize, end, format!("__rtrace_{text}({}, ", map.text(source)));
            }
        }
        let quoted = if TABLES.contains(&text) && is(1, b'(') {
            tokens.get(index + 2)
        } else if OF_MAPS.contains(&text) && is(1, b'(') {
            let arguments = tokens[index + 2..].iter().take_while(|token| !token.is(b')'));
            arguments.skip(1).find(|token| token.kind == Kind::Text)
        } else {
            None
        };
        if let Some(quoted) = quoted
            && let Some(name) = unquoted(source, *quoted)
        {
            edits.replace(quoted.start as usize, quoted.end as usize, name);
        }
        if USDT.contains(&text)
            && is(1, b'(')
            && let Some(function) = functions.name
        {
            let end = tokens[index + 1].end as usize;
            let name = text.trim_start_matches("bpf_");
            edits.replace(token.start as usize, end, format!("__rtrace_{name}({function}, "));
        }
    }
    used
}

/// Put the arguments of a call in parentheses that have commas in braces, `(struct key){1, 2}`: methods are functions,
/// but to a macro each comma ends an argument. The first of `tokens` opens the call.
fn put_in_parentheses(tokens: &[Token], edits: &mut Edits) {
    let mut open = Vec::new();
    let (mut first, mut has_comma) = (1, false);
    for (index, token) in tokens.iter().enumerate() {
        let Kind::Punctuation(punctuation) = token.kind else { continue };
        let ends = match punctuation {
            b'(' | b'[' | b'{' => {
                open.push(punctuation);
                false
            }
            b')' | b']' | b'}' => {
                open.pop();
                open.is_empty()
            }
            b',' => {
                has_comma |= open.last() == Some(&b'{');
                open.len() == 1
            }
            _ => false,
        };
        if ends {
            if has_comma {
                edits.insert(tokens[first].start as usize, "(");
                edits.insert(tokens[index - 1].end as usize, ")");
            }
            (first, has_comma) = (index + 1, false);
        }
        if open.is_empty() {
            return;
        }
    }
}

/// The name in a string of a name alone.
fn unquoted(source: &str, token: Token) -> Option<&str> {
    let text = token.text(source).strip_prefix('"')?.strip_suffix('"')?;
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(text)
}

/// The function whose body the tokens are in.
#[derive(Default)]
struct Enclosing<'a> {
    name: Option<&'a str>,
    depth: usize,
    /// The last name in front of a parenthesis at file scope.
    candidate: Option<&'a str>,
}

impl<'a> Enclosing<'a> {
    fn step(&mut self, source: &'a str, tokens: &[Token], index: usize) {
        match tokens[index].kind {
            Kind::Punctuation(b'(') if self.depth == 0 => {
                let before = index.checked_sub(1).map(|before| tokens[before]);
                self.candidate = before.filter(|token| token.kind == Kind::Identifier).map(|token| token.text(source));
            }
            Kind::Punctuation(b'{') => {
                if self.depth == 0 {
                    self.name = self.candidate.take();
                }
                self.depth += 1;
            }
            Kind::Punctuation(b'}') => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    self.name = None;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rewrite;
    use crate::bcc::{edits::Edits, lexer::tokens};

    fn rewritten(source: &str) -> (String, Vec<&'static str>) {
        let mut edits = Edits::default();
        let used = rewrite(source, &tokens(source).unwrap(), &mut edits);
        (edits.apply(source), used)
    }

    #[test]
    fn methods_get_their_map_as_an_argument() {
        let cases = [
            (
                "events.perf_submit(ctx, &data, sizeof(data));",
                "__rtrace_perf_submit(events,  ctx, &data, sizeof(data));",
            ),
            ("#define S(m) m . ringbuf_output(d, n, 0)\n", "#define S(m) __rtrace_ringbuf_output(m, d, n, 0)\n"),
            ("v = m.lookup_or_init(&k, &z);", "v = __rtrace_lookup_or_init(m, &k, &z);"),
            ("x.y.perf_submit(a)", "x.y.perf_submit(a)"),
            ("\"events.perf_submit(\"", "\"events.perf_submit(\""),
            ("BPF_TABLE(\"percpu_hash\", int, u64, t, 9);", "BPF_TABLE(percpu_hash, int, u64, t, 9);"),
            ("BPF_TABLE_PINNED(\"a\", b, c, t, 9, \"/x\");", "BPF_TABLE_PINNED(a, b, c, t, 9, \"/x\");"),
            ("BPF_HASH_OF_MAPS(t, struct k, \"inner\", 9);", "BPF_HASH_OF_MAPS(t, struct k, inner, 9);"),
            ("BPF_TABLE(\"a b\", c);", "BPF_TABLE(\"a b\", c);"),
        ];
        for (source, result) in cases {
            assert_eq!(rewritten(source).0.replace(",  ", ", "), result.replace(",  ", ", "));
        }
    }

    #[test]
    fn commas_in_braces_part_no_arguments() {
        let cases = [
            ("h.increment((struct k){1, 2});", "h.increment(((struct k){1, 2}));"),
            ("h.increment((struct k){f(1, 2)}, 3);", "h.increment((struct k){f(1, 2)}, 3);"),
            ("h.atomic_increment((struct k){1, 2}, (u64){3});", "h.atomic_increment(((struct k){1, 2}), (u64){3});"),
            (
                "e.perf_submit(ctx, &(struct k){{1, 2}, 3}, n)",
                "__rtrace_perf_submit(e, ctx, (&(struct k){{1, 2}, 3}), n)",
            ),
            ("h.increment(a[f(1, 2)], b)", "h.increment(a[f(1, 2)], b)"),
            ("h.increment((struct k){1, 2}", "h.increment((struct k){1, 2}"),
            ("h.increment()", "h.increment()"),
        ];
        for (source, result) in cases {
            assert_eq!(rewritten(source).0.replace(",  ", ", "), result);
        }
    }

    #[test]
    fn counters_are_noticed() {
        assert_eq!(
            rewritten("dist.increment(k); a.atomic_increment(k, 3); b.increment(k);").1,
            ["increment", "atomic_increment"]
        );
        assert!(rewritten("int increment; p->increment(x);").1.is_empty());
    }

    #[test]
    fn probes_arguments_are_asked_for_by_function() {
        let source = "int f(struct pt_regs *ctx) { if (1) { bpf_usdt_readarg(2, ctx, &x); } }\nint g(void) { bpf_usdt_readarg_p(1, ctx, b, 4); }";
        let (result, _) = rewritten(source);
        assert!(result.contains("{ __rtrace_usdt_readarg(f, 2, ctx, &x)"));
        assert!(result.contains("{ __rtrace_usdt_readarg_p(g, 1, ctx, b, 4)"));
    }
}
