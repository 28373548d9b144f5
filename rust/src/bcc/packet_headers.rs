//! Members of packet headers: `ethernet->type` where `ethernet` is a `BPF_PACKET_HEADER` struct.
//!
//! Such a struct says what lies in a packet, most significant bit first; a pointer to it is no address but an offset
//! in the packet. So `->` on it is neither C's nor anything that the compiled instructions could tell: the order of
//! bits is lost in them. Types decide, and only the compiler knows types. What is done here is therefore little: each
//! `->` with the name of a header's member becomes a macro that asks the compiler for the type of what is in front of
//! it. Where that is no header, the macro is the plain access again, wherever and whatever it is.

use std::{collections::BTreeSet, fmt::Write};

use super::{
    diagnostics::Refusal,
    edits::Edits,
    function_head::{Body, Function, bodies, matching},
    lexer::{Kind, Token},
};

/// What stands behind the struct of a header.
const MARK: &str = "BPF_PACKET_HEADER";
/// The struct that programs for packets have as their context.
const BUFFER: &str = "__sk_buff";
/// What may stand in front of an expression, and looks like a function's name.
const KEYWORDS: [&str; 8] = ["return", "case", "if", "while", "switch", "else", "do", "sizeof"];

/// The packet headers that a program knows.
#[derive(Default)]
pub(crate) struct PacketHeaders {
    tags: BTreeSet<String>,
    members: BTreeSet<String>,
}

impl PacketHeaders {
    /// Add the headers that a source defines.
    pub(crate) fn add(&mut self, source: &str, tokens: &[Token]) {
        let marks = tokens.iter().enumerate().filter(|(_, token)| token.text(source) == MARK);
        for (index, _) in marks {
            let Some((tag, body)) = definition(source, &tokens[..index]) else { continue };
            self.tags.insert(tag.to_owned());
            let pairs = body.windows(2).filter(|pair| pair[0].kind == Kind::Identifier);
            let members = pairs.filter(|pair| matches!(pair[1].kind, Kind::Punctuation(b':' | b';' | b',')));
            self.members.extend(members.map(|pair| pair[0].text(source).to_owned()));
        }
    }

    /// Note the accesses of a source that may be to headers.
    pub(crate) fn rewrite(&self, source: &str, tokens: &[Token], edits: &mut Edits) -> Result<(), Refusal> {
        if self.tags.is_empty() {
            return Ok(());
        }
        for Body { function, open, close } in bodies(source, tokens) {
            if let Some(buffer) = function.as_ref().and_then(buffer_of) {
                let declaration = format!(" struct {BUFFER} *__rtrace_packet __attribute__((unused)) = {buffer};");
                edits.insert(tokens[open].end as usize, declaration);
            }
            self.rewrite_members(source, &tokens[open..close], edits)?;
        }
        // What macros stand for may come from anywhere.
        let mut rest = tokens;
        while let Some(start) = rest.iter().position(|token| token.kind == Kind::Directive) {
            let length = rest[start..].iter().position(|token| token.kind == Kind::EndOfDirective);
            let end = length.map_or(rest.len(), |length| start + length);
            if rest.get(start + 1).is_some_and(|word| word.text(source) == "define") {
                self.rewrite_members(source, &rest[start + 1..end], edits)?;
            }
            rest = &rest[end..];
        }
        Ok(())
    }

    fn rewrite_members(&self, source: &str, tokens: &[Token], edits: &mut Edits) -> Result<(), Refusal> {
        let mut nesting = Nesting::default();
        let mut directive = false;
        for (index, window) in tokens.windows(3).enumerate() {
            let [arrow, head, member] = window else { continue };
            match arrow.kind {
                // Those within bodies are looked at with all others.
                Kind::Directive => directive = true,
                Kind::EndOfDirective => directive = false,
                _ => {}
            }
            let is_arrow = arrow.is(b'-') && head.is(b'>') && arrow.end == head.start;
            let decrement = index > 0 && tokens[index - 1].is(b'-') && tokens[index - 1].end == arrow.start;
            if directive || !is_arrow || decrement || !self.members.contains(member.text(source)) {
                continue;
            }
            // Members of headers are numbers.
            let next =
                |ahead: usize, punctuation| tokens.get(index + 2 + ahead).is_some_and(|next| next.is(punctuation));
            if next(1, b'.') || next(1, b'[') || next(1, b'(') || next(1, b'-') && next(2, b'>') {
                continue;
            }
            let Some(base) = base_of(source, &tokens[..index]) else { continue };
            let assigned = next(1, b'=') && !(next(2, b'=') && tokens[index + 3].end == tokens[index + 4].start);
            let end = if assigned { end_of_expression(&tokens[index + 4..]) } else { None };
            let start = tokens[base].start;
            nesting.add(start, end.unwrap_or(member.end)).map_err(|message| Refusal::new(start as usize, message))?;
            let name = if end.is_some() { "__rtrace_set_member(" } else { "__rtrace_member(" };
            edits.insert(start as usize, name);
            edits.replace(arrow.start as usize, head.end as usize, ", ");
            if let Some(end) = end {
                let equals = tokens[index + 3];
                edits.replace(equals.start as usize, equals.end as usize, ",");
                edits.insert(end as usize, ")");
            } else {
                edits.insert(member.end as usize, ")");
            }
        }
        Ok(())
    }

    /// What the macros want to know of the headers, in C.
    pub(crate) fn declarations(&self) -> String {
        let mut text = String::new();
        if self.tags.is_empty() {
            return text;
        }
        let (mut is_header, mut header) = (String::new(), String::new());
        for tag in &self.tags {
            let _ = writeln!(text, "struct {tag};");
            for constant in ["", "const "] {
                let _ = write!(is_header, "{constant}struct {tag} *: 1, ");
                let _ = write!(header, "{constant}struct {tag} *: (struct {tag} *)0, ");
            }
        }
        text.push_str("struct __rtrace_any_header {\n");
        for member in &self.members {
            let _ = writeln!(text, "unsigned long long {member};");
        }
        text.push_str("};\n");
        let _ = writeln!(text, "#define __rtrace_is_header(pointer) _Generic((pointer), {is_header}default: 0)");
        let _ = writeln!(
            text,
            "#define __rtrace_header(pointer) \
             _Generic((pointer), {header}default: (struct __rtrace_any_header *)0)"
        );
        text
    }
}

/// Macros say what is in them several times, so that within each other they would grow without bounds.
#[derive(Default)]
struct Nesting {
    /// Where accesses start and end, and how many there are in each other.
    accesses: Vec<(u32, u32, usize)>,
}

impl Nesting {
    fn add(&mut self, start: u32, end: u32) -> Result<(), String> {
        const MAX: usize = 4;
        let inner = self.accesses.iter().rev().take_while(|access| access.0 >= start).map(|access| access.2).max();
        // Assigned values come behind what they are assigned to.
        let outer = self.accesses.iter().rev().take(2 * MAX).filter(|access| access.0 < start && access.1 >= end);
        let depth = 1 + inner.unwrap_or(0).max(outer.map(|access| access.2).max().unwrap_or(0));
        if depth > MAX {
            return Err(format!("members of packet headers nested more than {MAX} deep"));
        }
        self.accesses.push((start, end, depth));
        Ok(())
    }
}

/// The tag and the inside of the struct that these tokens end with.
fn definition<'a, 'b>(source: &'a str, tokens: &'b [Token]) -> Option<(&'a str, &'b [Token])> {
    let (last, before) = tokens.split_last()?;
    if last.is(b')') {
        // An attribute of its own.
        let open = matching(tokens, before.len())?;
        let word = open.checked_sub(1)?;
        return (tokens[word].text(source).trim_matches('_') == "attribute")
            .then(|| definition(source, &tokens[..word]))?;
    }
    if !last.is(b'}') {
        return None;
    }
    let open = before.iter().rposition(|token| token.is(b'{'))?;
    let [.., word, tag] = &tokens[..open] else { return None };
    (word.text(source) == "struct" && tag.kind == Kind::Identifier).then(|| (tag.text(source), &before[open..]))
}

/// The parameter of a function that is a socket buffer.
fn buffer_of<'a>(function: &Function<'a>) -> Option<&'a str> {
    let source = function.source;
    let is_buffer = |parameter: &&&[Token]| match parameter {
        [.., tag, star, name] => tag.text(source) == BUFFER && star.is(b'*') && name.kind == Kind::Identifier,
        _ => false,
    };
    function.parameters.iter().find(is_buffer).and_then(|parameter| parameter.last()).map(|name| name.text(source))
}

/// Find where the expression starts that these tokens end with and that `->` applies to: a name or parentheses, and
/// calls, indices and members behind it.
fn base_of(source: &str, tokens: &[Token]) -> Option<usize> {
    let mut at = tokens.len().checked_sub(1)?;
    loop {
        let is_name =
            |index: usize| tokens[index].kind == Kind::Identifier && !KEYWORDS.contains(&tokens[index].text(source));
        if tokens[at].is(b')') || tokens[at].is(b']') {
            let open = matching(tokens, at)?;
            let Some(before) = open.checked_sub(1) else { return Some(open) };
            let index = tokens[at].is(b']');
            if !is_name(before) && !(index && (tokens[before].is(b')') || tokens[before].is(b']'))) {
                return if index { None } else { Some(open) };
            }
            at = before;
            continue;
        }
        if !is_name(at) {
            return None;
        }
        let before = |back: usize, punctuation| at >= back && tokens[at - back].is(punctuation);
        at = match () {
            () if before(1, b'.') => at.checked_sub(2)?,
            () if before(1, b'>') && before(2, b'-') => at.checked_sub(3)?,
            () => return Some(at),
        };
    }
}

/// Find where the expression ends that these tokens start with: at what separates it from the next.
fn end_of_expression(tokens: &[Token]) -> Option<u32> {
    let mut depth = 0_usize;
    for token in tokens {
        match token.kind {
            Kind::Punctuation(b'(' | b'[' | b'{') => depth += 1,
            Kind::Punctuation(b')' | b']' | b'}' | b';' | b',') if depth == 0 => return Some(token.start),
            Kind::Punctuation(b')' | b']' | b'}') => depth -= 1,
            Kind::Directive => return None,
            _ => {}
        }
    }
    tokens.last().map(|last| last.end)
}

#[cfg(test)]
mod tests {
    use super::PacketHeaders;
    use crate::bcc::{edits::Edits, lexer::tokens};

    const HEADERS: &str = "struct a_t { unsigned int kind:4, rest:4; u16 size; } BPF_PACKET_HEADER;\n\
                           struct b_t { u8 kind; } __attribute__((aligned(1))) BPF_PACKET_HEADER;";

    fn headers() -> PacketHeaders {
        let mut headers = PacketHeaders::default();
        headers.add(HEADERS, &tokens(HEADERS).unwrap());
        headers
    }

    fn rewritten(source: &str) -> String {
        let mut edits = Edits::default();
        headers().rewrite(source, &tokens(source).unwrap(), &mut edits).unwrap();
        edits.apply(source)
    }

    #[test]
    fn headers_are_found_by_their_mark() {
        let headers = headers();
        assert_eq!(headers.tags.iter().map(String::as_str).collect::<Vec<_>>(), ["a_t", "b_t"]);
        assert_eq!(headers.members.iter().map(String::as_str).collect::<Vec<_>>(), ["kind", "rest", "size"]);
        assert!(PacketHeaders::default().declarations().is_empty());
    }

    #[test]
    fn members_become_a_question_to_the_compiler() {
        let cases = [
            ("a->kind", "__rtrace_member(a, kind)"),
            ("a -> kind == 1", "__rtrace_member(a , kind) == 1"),
            ("((struct a_t *)p)->size + 1", "__rtrace_member(((struct a_t *)p), size) + 1"),
            ("(u64)(p)->size", "(u64)__rtrace_member((p), size)"),
            ("return (p)->size", "return __rtrace_member((p), size)"),
            ("x.y[3]->z->size", "__rtrace_member(x.y[3]->z, size)"),
            ("f(a, b)[1]->size", "__rtrace_member(f(a, b)[1], size)"),
            ("a->kind->size", "__rtrace_member(a->kind, size)"),
            ("f(a->kind)->size", "__rtrace_member(f(__rtrace_member(a, kind)), size)"),
            ("g(a->kind, b->kind)", "g(__rtrace_member(a, kind), __rtrace_member(b, kind))"),
            ("a->kind = b->kind + g(1, 2); c", "__rtrace_set_member(a, kind , __rtrace_member(b, kind) + g(1, 2)); c"),
            ("a->other; a-->kind; a.kind", "a->other; a-->kind; a.kind"),
            ("\"a->kind\" /* a->kind */", "\"a->kind\" /* a->kind */"),
        ];
        for (source, result) in cases {
            let plain = |text: &str| text.split_whitespace().collect::<String>();
            let in_body = |text: &str| plain(&format!("int f(int a) {{ {text} }}"));
            assert_eq!(plain(&rewritten(&format!("int f(int a) {{ {source} }}"))), in_body(result), "{source}");
            let as_macro = |text: &str| plain(&format!("#define M(a) {text}"));
            assert_eq!(plain(&rewritten(&format!("#define M(a) {source}"))), as_macro(result), "{source}");
        }
    }

    #[test]
    fn the_buffer_of_a_function_has_a_name() {
        let text = rewritten("int f(int a, struct __sk_buff *skb) { return 0; }\nint g(void *ctx) { }");
        assert!(text.contains("{ struct __sk_buff *__rtrace_packet __attribute__((unused)) = skb; return 0; }"));
        assert_eq!(text.matches("__rtrace_packet").count(), 1);
    }

    #[test]
    fn macros_in_macros_have_an_end() {
        for (source, at) in [
            ("a->kind = ".repeat(50), 40),
            (format!("{}a{}", "f(".repeat(9), ")->kind".repeat(9)), 8),
            ("f(a->kind, a->kind, a->kind, a->kind, a->kind, a->kind)->kind;".repeat(99), usize::MAX),
        ] {
            let source = format!("int f(int a) {{{source}1; }}");
            let result = headers().rewrite(&source, &tokens(&source).unwrap(), &mut Edits::default());
            assert_eq!(result.err().map_or(usize::MAX, |refusal| refusal.at - 14), at, "{source}");
        }
    }

    #[test]
    fn what_is_no_body_stays() {
        for source in ["char b[sizeof(((struct x *)0)->size)];", "struct y { char b[sizeof(((struct x *)0)->size)]; };"]
        {
            assert_eq!(rewritten(source), source);
        }
    }
}
