//! Heads of functions: name, specifiers and parameters, as the tokens in front of a body tell them.

use super::lexer::{Kind, Token};

/// A body in braces at file scope behind a closing parenthesis: of a function, or of what a macro makes one.
pub(crate) struct Body<'a> {
    /// The head, unless a macro makes it.
    pub(crate) function: Option<Function<'a>>,
    /// Its opening and its closing brace among the tokens.
    pub(crate) open: usize,
    pub(crate) close: usize,
}

/// Find the bodies of a source.
pub(crate) fn bodies<'a>(source: &'a str, tokens: &'a [Token]) -> Vec<Body<'a>> {
    let mut bodies: Vec<Body<'a>> = Vec::new();
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
                let head = &tokens[start..index];
                if head.last().is_some_and(|last| last.is(b')')) {
                    let function = Function::parse(source, head);
                    bodies.push(Body { function, open: index, close: tokens.len() });
                }
                depth = 1;
            }
            Kind::Punctuation(b'{' | b'(' | b'[') => depth += 1,
            Kind::Punctuation(b'}' | b')' | b']') => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.is(b'}') {
                    start = index + 1;
                    if let Some(body) = bodies.last_mut().filter(|body| body.close == tokens.len()) {
                        body.close = index;
                    }
                }
            }
            Kind::Punctuation(b';') if depth == 0 => start = index + 1,
            _ => {}
        }
    }
    bodies
}

/// The head of a function's definition.
pub(crate) struct Function<'a> {
    pub(crate) source: &'a str,
    /// What stands in front of the name.
    pub(crate) specifiers: &'a [Token],
    pub(crate) name: Token,
    pub(crate) parameters: Vec<&'a [Token]>,
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

    pub(crate) fn says(&self, word: &str) -> bool {
        self.specifiers.iter().any(|token| token.text(self.source) == word)
    }

    /// Tokens as text on one line.
    pub(crate) fn words(&self, tokens: &[Token]) -> String {
        text_of(self.source, tokens)
    }

    /// Whether the first parameter is a pointer, as contexts are, or there is none.
    pub(crate) fn takes_context(&self) -> bool {
        self.parameters.first().is_none_or(|first| first.iter().any(|token| token.is(b'*')))
    }

    /// The struct that the first parameter points to.
    pub(crate) fn context(&self) -> &'a str {
        let words = self.parameters.first().copied().unwrap_or_default();
        let tag = words.windows(2).find(|pair| pair[0].text(self.source) == "struct");
        tag.map_or("", |pair| pair[1].text(self.source))
    }
}

/// Tokens as text on one line, also where one of them goes over two.
pub(crate) fn text_of(source: &str, tokens: &[Token]) -> String {
    let words: Vec<_> = tokens.iter().map(|token| token.text(source)).collect();
    words.join(" ").replace("\\\r\n", "").replace("\\\n", "")
}

/// A parameter as the declaration of a variable.
pub(crate) struct Declarator<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: String,
}

/// Find the name in `struct file *file`, `char buffer[16]` or `int (*function)(int)`; arrays become pointers, as
/// parameters do.
pub(crate) fn declarator<'a>(source: &'a str, parameter: &[Token]) -> Option<Declarator<'a>> {
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

/// Find the bracket that `close` closes, of any kind.
pub(crate) fn matching(tokens: &[Token], close: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for index in (0..=close).rev() {
        match tokens[index].kind {
            Kind::Punctuation(b')' | b']' | b'}') => depth += 1,
            Kind::Punctuation(b'(' | b'[' | b'{') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
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
