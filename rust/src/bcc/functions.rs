//! Function definitions of a source: which become programs, which are inlined, and how a program with typed
//! arguments is split into one that reads the registers and a body that has them as parameters.

use std::fmt::Write;

use super::{
    edits::Edits,
    lexer::{Kind, Token},
    scan::tracepoint_of,
};
use crate::bcc::diagnostics::Refusal;

/// Registers that hold arguments of a function (x86-64; arm64 has two more, which bcc does not use either).
const MAX_ARGUMENTS: usize = 6;

/// Find the functions of a source and note what has to change in them.
pub(crate) fn rewrite(source: &str, tokens: &[Token], edits: &mut Edits) -> Result<(), Refusal> {
    let mut depth = 0_usize;
    // Depths at each `#if` that is still open: its branches all start from there.
    let mut branches = Vec::new();
    let mut start = 0;
    let mut directive = None;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Directive => directive = Some(index),
            Kind::EndOfDirective => {
                if let Some(word) = directive.take().and_then(|hash| tokens.get(hash + 1)) {
                    match word.text(source) {
                        "if" | "ifdef" | "ifndef" => branches.push(depth),
                        "else" | "elif" => depth = branches.last().copied().unwrap_or(depth),
                        "endif" => {
                            branches.pop();
                        }
                        _ => {}
                    }
                }
                if depth == 0 {
                    start = index + 1;
                }
            }
            _ if directive.is_some() => {}
            Kind::Punctuation(b'{') if depth == 0 => {
                if let Some(function) = Function::parse(source, &tokens[start..index]) {
                    function.rewrite(edits)?;
                }
                depth = 1;
            }
            Kind::Punctuation(b'{' | b'(' | b'[') => depth += 1,
            Kind::Punctuation(b'}' | b')' | b']') => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.is(b'}') {
                    start = index + 1;
                }
            }
            Kind::Punctuation(b';') if depth == 0 => start = index + 1,
            _ => {}
        }
    }
    Ok(())
}

/// The head of a function's definition.
struct Function<'a> {
    source: &'a str,
    /// What stands in front of the name.
    specifiers: &'a [Token],
    name: Token,
    parameters: Vec<&'a [Token]>,
}

impl<'a> Function<'a> {
    /// Recognise `specifiers name(parameters)`, with attributes behind it.
    fn parse(source: &'a str, head: &'a [Token]) -> Option<Self> {
        let mut end = head.len();
        loop {
            let close = head[..end].last().filter(|token| token.is(b')')).map(|_| end - 1)?;
            let open = matching(head, close)?;
            let name = open.checked_sub(1)?;
            if head[name].kind != Kind::Identifier {
                return None;
            }
            if head[name].text(source).trim_matches('_') == "attribute" {
                end = name;
                continue;
            }
            // Without a type in front it is a macro, which brings its own.
            if name == 0 || head[..name].iter().any(|token| token.is(b'=')) {
                return None;
            }
            let parameters = split(&head[open + 1..close]);
            return Some(Self { source, specifiers: &head[..name], name: head[name], parameters });
        }
    }

    fn says(&self, word: &str) -> bool {
        self.specifiers.iter().any(|token| token.text(self.source) == word)
    }

    fn rewrite(&self, edits: &mut Edits) -> Result<(), Refusal> {
        let head = self.specifiers.iter().chain(self.parameters.iter().copied().flatten());
        if let Some(directive) = head.clone().find(|token| token.kind == Kind::Directive) {
            // Which of its parameters there are only the preprocessor knows.
            return Err(Refusal::new(directive.start as usize, "a directive in the head of a function"));
        }
        let start = self.specifiers[0].start as usize;
        let name = self.name.text(self.source);
        let inlined =
            ["noinline", "__noinline", "__always_inline", "always_inline", "__noinline__", "__always_inline__"];
        if self.says("SEC") || self.says("section") {
            return Ok(());
        }
        if self.says("static") || self.says("inline") || !self.takes_context() {
            if !inlined.iter().any(|word| self.says(word)) {
                let storage = if self.says("static") { "" } else { "static " };
                edits.insert(start, format!("{storage}__rtrace_inline "));
            }
            return Ok(());
        }
        let program = Program::of(name, self.context());
        let section = format!("SEC(\"{}\") ", program.section);
        let returns_nothing = self.says("void") && !self.specifiers.iter().any(|token| token.is(b'*'));
        if self.parameters.len() < 2 && !returns_nothing {
            edits.insert(start, section);
            return Ok(());
        }
        if let Some(surplus) = self.parameters.get(MAX_ARGUMENTS + 1) {
            let message = format!("`{name}` has more than {MAX_ARGUMENTS} arguments in registers");
            return Err(Refusal::new(surplus[0].start as usize, message));
        }
        edits.insert(start, self.with_arguments(&program, &section, returns_nothing)?);
        edits.insert(self.name.start as usize, "__rtrace_body_");
        Ok(())
    }

    /// The program that calls the body, and what makes the function that body.
    fn with_arguments(&self, program: &Program, section: &str, returns_nothing: bool) -> Result<String, Refusal> {
        let name = self.name.text(self.source);
        let result = if returns_nothing { "int".to_owned() } else { self.words(self.specifiers) };
        let declared: Vec<_> = self.parameters.iter().map(|parameter| self.words(parameter)).collect();
        let mut code = format!("static __rtrace_inline {} __rtrace_body_{name}(", self.words(self.specifiers));
        code.push_str(&declared.join(", "));
        code.push_str("); ");
        let context = match self.parameters.first() {
            Some(first) => Some(declarator(self.source, first).ok_or_else(|| self.unnamed(first))?),
            None => None,
        };
        let first = declared.first().map_or("void", String::as_str);
        let _ = write!(code, "{section}{result} {name}({first}) {{ ");
        let mut arguments = Vec::new();
        if let Some(context) = &context {
            arguments.push(context.name);
            for (index, parameter) in self.parameters.iter().skip(1).enumerate() {
                let Declarator { name, text } =
                    declarator(self.source, parameter).ok_or_else(|| self.unnamed(parameter))?;
                let from = program.arguments;
                let number = index + 1;
                let _ = write!(code, "{text} = __rtrace_argument({name}, {from}({}, {number})); ", context.name);
                arguments.push(name);
            }
        }
        let call = format!("__rtrace_body_{name}({})", arguments.join(", "));
        let (before, behind) = if returns_nothing { ("", "return 0; ") } else { ("return ", "") };
        let _ = write!(code, "{before}{call}; {behind}}} static __rtrace_inline ");
        Ok(code)
    }

    fn unnamed(&self, parameter: &[Token]) -> Refusal {
        let at = parameter.first().map_or(self.name.start, |token| token.start);
        Refusal::new(at as usize, format!("a parameter of `{}` without a name", self.name.text(self.source)))
    }

    /// Tokens as text on one line.
    fn words(&self, tokens: &[Token]) -> String {
        text_of(self.source, tokens)
    }

    /// Whether the first parameter is a pointer, as contexts are, or there is none.
    fn takes_context(&self) -> bool {
        self.parameters.first().is_none_or(|first| first.iter().any(|token| token.is(b'*')))
    }

    /// The struct that the first parameter points to.
    fn context(&self) -> &'a str {
        let words = self.parameters.first().copied().unwrap_or_default();
        let tag = words.windows(2).find(|pair| pair[0].text(self.source) == "struct");
        tag.map_or("", |pair| pair[1].text(self.source))
    }
}

/// What a function becomes.
struct Program {
    section: String,
    /// The macro of the prelude that reads an argument.
    arguments: &'static str,
}

/// Prefixes of functions' names and the section of such programs.
const PREFIXES: [(&str, &str, &str); 11] = [
    ("kprobe__", "kprobe", "__rtrace_register"),
    ("kretprobe__", "kretprobe", "__rtrace_register"),
    ("raw_tracepoint__", "raw_tracepoint", "__rtrace_element"),
    ("kfunc__vmlinux__", "fentry", "__rtrace_element"),
    ("kretfunc__vmlinux__", "fexit", "__rtrace_element"),
    ("kfunc__", "fentry", "__rtrace_element"),
    ("kretfunc__", "fexit", "__rtrace_element"),
    ("kmod_ret__vmlinux__", "fmod_ret", "__rtrace_element"),
    ("fmod_ret__", "fmod_ret", "__rtrace_element"),
    ("kmod_ret__", "fmod_ret", "__rtrace_element"),
    ("lsm__", "lsm", "__rtrace_element"),
];

/// Structs that contexts point to and the section of programs that get them.
const CONTEXTS: [(&str, &str); 10] = [
    ("xdp_md", "xdp"),
    ("__sk_buff", "socket"),
    ("bpf_perf_event_data", "perf_event"),
    ("bpf_sock_ops", "sockops"),
    ("sk_msg_md", "sk_msg"),
    ("bpf_sock_addr", "cgroup/connect4"),
    ("bpf_sock", "cgroup/sock"),
    ("bpf_cgroup_dev_ctx", "cgroup/dev"),
    ("bpf_sysctl", "cgroup/sysctl"),
    ("bpf_sk_lookup", "sk_lookup"),
];

/// System calls whose arguments are in registers that the first argument points to.
const WRAPPED: [&str; 5] =
    ["syscall__", "kprobe____x64_sys_", "kprobe____ia32_sys_", "kprobe____arm64_sys_", "kprobe____se_sys_"];

impl Program {
    fn of(name: &str, context: &str) -> Self {
        if let Some((_, section)) = CONTEXTS.iter().find(|(known, _)| *known == context) {
            return Self { section: (*section).to_owned(), arguments: "__rtrace_no_arguments" };
        }
        if let Some((category, event)) = tracepoint_of(name).or_else(|| tracepoint_of(context)) {
            return Self { section: format!("tracepoint/{category}/{event}"), arguments: "__rtrace_no_arguments" };
        }
        if WRAPPED.iter().any(|prefix| name.starts_with(prefix)) {
            let target = name.strip_prefix("kprobe__").unwrap_or(name);
            return Self { section: format!("kprobe/{target}"), arguments: "__rtrace_system_call_register" };
        }
        if let Some((prefix, section, arguments)) = PREFIXES.iter().find(|(prefix, ..)| name.starts_with(prefix)) {
            return Self { section: format!("{section}/{}", &name[prefix.len()..]), arguments };
        }
        if context == "bpf_raw_tracepoint_args" {
            return Self { section: format!("raw_tracepoint/{name}"), arguments: "__rtrace_element" };
        }
        Self { section: format!("kprobe/{name}"), arguments: "__rtrace_register" }
    }
}

/// Tokens as text on one line, also where one of them goes over two.
fn text_of(source: &str, tokens: &[Token]) -> String {
    let words: Vec<_> = tokens.iter().map(|token| token.text(source)).collect();
    words.join(" ").replace("\\\r\n", "").replace("\\\n", "")
}

/// A parameter as the declaration of a variable.
struct Declarator<'a> {
    name: &'a str,
    text: String,
}

/// Find the name in `struct file *file`, `char buffer[16]` or `int (*function)(int)`; arrays become pointers, as
/// parameters do.
fn declarator<'a>(source: &'a str, parameter: &[Token]) -> Option<Declarator<'a>> {
    let text = |tokens: &[Token]| text_of(source, tokens);
    let pointer = parameter
        .windows(3)
        .position(|window| window[0].is(b'(') && window[1].is(b'*') && window[2].kind == Kind::Identifier);
    if let Some(at) = pointer {
        return Some(Declarator { name: parameter[at + 2].text(source), text: text(parameter) });
    }
    let bracket = parameter.iter().position(|token| token.is(b'[')).unwrap_or(parameter.len());
    let (last, front) = parameter[..bracket].split_last()?;
    if last.kind != Kind::Identifier || front.is_empty() || !could_end_type(source, front) {
        return None;
    }
    let name = last.text(source);
    let star = if bracket < parameter.len() { "*" } else { "" };
    Some(Declarator { name, text: format!("{} {star}{name}", text(front)) })
}

/// Whether what precedes a name is a type: `struct file` alone has none behind it.
fn could_end_type(source: &str, front: &[Token]) -> bool {
    !front.last().is_some_and(|token| matches!(token.text(source), "struct" | "union" | "enum"))
}

/// Find the parenthesis that `close` closes.
fn matching(tokens: &[Token], close: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for index in (0..=close).rev() {
        if tokens[index].is(b')') {
            depth += 1;
        } else if tokens[index].is(b'(') {
            depth -= 1;
            if depth == 0 {
                return Some(index);
            }
        }
    }
    None
}

/// Split parameters at their commas; `void` alone is none.
fn split(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0_usize;
    let parameters: Vec<_> = tokens
        .split(|token| {
            match token.kind {
                Kind::Punctuation(b'(' | b'[' | b'{') => depth += 1,
                Kind::Punctuation(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && token.is(b',')
        })
        .collect();
    match parameters.as_slice() {
        // `()` and `(void)`
        [only] if only.len() < 2 => Vec::new(),
        _ => parameters,
    }
}

#[cfg(test)]
mod tests {
    use super::rewrite;
    use crate::bcc::{edits::Edits, lexer::tokens};

    fn rewritten(source: &str) -> String {
        let mut edits = Edits::default();
        rewrite(source, &tokens(source).unwrap(), &mut edits).unwrap();
        edits.apply(source)
    }

    #[test]
    fn a_function_with_a_context_alone_gets_its_section() {
        let cases = [
            ("int do_entry(struct pt_regs *ctx) {", "kprobe/do_entry"),
            ("int kprobe__vfs_read(void *ctx) {", "kprobe/vfs_read"),
            ("int kretprobe__vfs_read(struct pt_regs *ctx) {", "kretprobe/vfs_read"),
            ("int f(struct tracepoint__sched__sched_switch *args) {", "tracepoint/sched/sched_switch"),
            ("int tracepoint__a__b__c(void *args) {", "tracepoint/a/b__c"),
            ("int raw_tracepoint__x(struct bpf_raw_tracepoint_args *ctx) {", "raw_tracepoint/x"),
            ("int filter(struct __sk_buff *skb) {", "socket"),
            ("int sample(struct bpf_perf_event_data *ctx) {", "perf_event"),
            ("int drop(struct xdp_md *ctx) {", "xdp"),
            ("int hello() {", "kprobe/hello"),
            ("int kfunc__vmlinux__vfs_read(u64 *ctx) {", "fentry/vfs_read"),
        ];
        for (source, section) in cases {
            assert_eq!(rewritten(source), format!("SEC(\"{section}\") {source}"));
        }
    }

    #[test]
    fn typed_arguments_come_from_the_registers() {
        assert_eq!(
            rewritten("int f(struct pt_regs *ctx,\n  struct file *file, char b[16])\n{"),
            "static __rtrace_inline int __rtrace_body_f(struct pt_regs * ctx, struct file * file, char b [ 16 ]); \
             SEC(\"kprobe/f\") int f(struct pt_regs * ctx) { \
             struct file * file = __rtrace_argument(file, __rtrace_register(ctx, 1)); \
             char *b = __rtrace_argument(b, __rtrace_register(ctx, 2)); return __rtrace_body_f(ctx, file, b); } \
             static __rtrace_inline int __rtrace_body_f(struct pt_regs *ctx,\n  struct file *file, char b[16])\n{"
        );
        assert!(
            rewritten("int syscall__x(struct pt_regs *ctx, int a) {").contains("__rtrace_system_call_register(ctx, 1)")
        );
        assert!(rewritten("void f(struct pt_regs *ctx) {").contains("__rtrace_body_f(ctx); return 0; }"));
        assert!(rewritten("int f(void *ctx, int (*call)(int, int)) {").contains("= __rtrace_argument(call, "));
    }

    #[test]
    fn helpers_are_inlined_and_the_rest_is_left_alone() {
        for (source, result) in [
            ("static int f(int a) {", "static"),
            ("inline int f(int a) {", "inline"),
            ("int add(int a, int b) {", "int"),
        ] {
            let storage = if source.starts_with("static") { "" } else { "static " };
            assert!(rewritten(source).starts_with(&format!("{storage}__rtrace_inline {result}")), "{source}");
        }
        for source in [
            "static __always_inline int f(int a) {",
            "TRACEPOINT_PROBE(a, b) {",
            "struct key {",
            "typedef struct {",
            "int a[] = {",
            "int f(struct pt_regs *ctx, int a);",
            "SEC(\"xdp\") int f(struct xdp_md *ctx) {",
            "union x { int (*f)(int a) ; }; enum {",
            "BPF_HASH(a); BPF_ARRAY(b);",
        ] {
            assert_eq!(rewritten(source), source);
        }
    }

    #[test]
    fn branches_of_the_preprocessor_may_open_the_same_brace_twice() {
        let source = "int f(void *ctx) {\n#if A\nif (a) {\n#else\nif (b) {\n#endif\n}\n}\nint g(void *ctx) {}";
        assert_eq!(rewritten(source).matches("SEC(").count(), 2);
    }

    #[test]
    fn too_many_arguments_are_refused_where_they_are() {
        let source = "int f(void *c, int a1, int a2, int a3, int a4, int a5, int a6, int a7) {";
        let refusal = rewrite(source, &tokens(source).unwrap(), &mut Edits::default()).unwrap_err();
        assert_eq!(refusal.at, source.find("int a7").unwrap());
        let source = "int f(void *ctx\n#if A\n, int a\n#endif\n) {";
        let refusal = rewrite(source, &tokens(source).unwrap(), &mut Edits::default()).unwrap_err();
        assert_eq!(refusal.at, source.find('#').unwrap());
        let source = "int f(void *ctx, struct file *) {";
        assert!(rewrite(source, &tokens(source).unwrap(), &mut Edits::default()).is_err());
    }
}
