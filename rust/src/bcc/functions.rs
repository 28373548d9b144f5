//! Function definitions of a source: which become programs, which are inlined, and how a program with typed
//! arguments is split into one that reads the registers and a body that has them as parameters.

use std::fmt::Write;

use super::{
    diagnostics::Refusal,
    edits::Edits,
    function_head::{Body, Declarator, Function, bodies, declarator},
    lexer::{Kind, Token},
    program_section::Program,
};

/// Registers that hold arguments of a function (x86-64; arm64 has two more, which bcc does not use either).
const MAX_ARGUMENTS: usize = 6;

/// Find the functions of a source and note what has to change in them.
pub(crate) fn rewrite(source: &str, tokens: &[Token], edits: &mut Edits) -> Result<(), Refusal> {
    for Body { function, .. } in bodies(source, tokens) {
        if let Some(function) = function {
            function.rewrite(edits)?;
        }
    }
    Ok(())
}

impl Function<'_> {
    fn rewrite(&self, edits: &mut Edits) -> Result<(), Refusal> {
        let head = self.specifiers.iter().chain(self.parameters.iter().copied().flatten());
        if let Some(directive) = head.clone().find(|token| token.kind == Kind::Directive) {
            // Which of its parameters there are only the preprocessor knows.
            return Err(Refusal::new(directive.start as usize, "a directive in the head of a function"));
        }
        self.check_semicolon()?;
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

    /// Refuse what begins with `BPF_HASH(...)`: a table of its own, but for the semicolon.
    fn check_semicolon(&self) -> Result<(), Refusal> {
        let [first, open, ..] = self.specifiers else { return Ok(()) };
        let name = first.text(self.source);
        if !name.starts_with("BPF_") || !open.is(b'(') {
            return Ok(());
        }
        let close = self.specifiers.iter().find(|token| token.is(b')')).unwrap_or(open);
        Err(Refusal::new(close.end as usize, format!("expected ';' behind `{name}(...)`")))
    }

    /// The program that calls the body, and what makes the function that body.
    fn with_arguments(&self, program: &Program, section: &str, returns_nothing: bool) -> Result<String, Refusal> {
        let name = self.name.text(self.source);
        let result = if returns_nothing { "int".to_owned() } else { self.words(self.specifiers) };
        let declared: Vec<_> = self.parameters.iter().map(|parameter| self.words(parameter)).collect();
        let mut code = self.declared_tags();
        let _ = write!(code, "static __rtrace_inline {} __rtrace_body_{name}(", self.words(self.specifiers));
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

    /// Declarations of the structs and unions in the parameters: of one that there is not, each head that names it would
    /// make another.
    fn declared_tags(&self) -> String {
        let mut code = String::new();
        for pair in self.parameters.iter().skip(1).flat_map(|parameter| parameter.windows(2)) {
            let (word, tag) = (pair[0].text(self.source), pair[1].text(self.source));
            if matches!(word, "struct" | "union") && pair[1].kind == Kind::Identifier {
                let _ = write!(code, "{word} {tag}; ");
            }
        }
        code
    }

    fn unnamed(&self, parameter: &[Token]) -> Refusal {
        let at = parameter.first().map_or(self.name.start, |token| token.start);
        Refusal::new(at as usize, format!("a parameter of `{}` without a name", self.name.text(self.source)))
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
            "struct file; \
             static __rtrace_inline int __rtrace_body_f(struct pt_regs * ctx, struct file * file, char b [ 16 ]); \
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
