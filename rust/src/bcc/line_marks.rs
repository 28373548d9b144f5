//! `#line` directives: the places that a source claims for its lines, and the way back to where they are.

use super::lexer::{Kind, Token};

/// Lines of a source that go by the name and number of others, from one directive to the next.
#[derive(Debug)]
struct Stretch {
    file: String,
    /// The number that its first line goes by, and the line that it really is.
    number: usize,
    line: usize,
}

/// What a source says of its lines.
#[derive(Debug)]
pub(crate) struct LineMarks {
    stretches: Vec<Stretch>,
}

impl LineMarks {
    /// Read the directives of a source that is called `name` where it says nothing else.
    pub(crate) fn read(source: &str, tokens: &[Token], name: &str) -> Self {
        let mut stretches = vec![Stretch { file: name.to_owned(), number: 1, line: 1 }];
        let (mut line, mut at) = (1, 0);
        for (index, token) in tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Directive) {
            let start = token.start as usize;
            line += source[at..start].bytes().filter(|byte| *byte == b'\n').count();
            at = start;
            let rest = &tokens[index + 1..];
            // `#line 5 "file"`, and `# 5 "file"` as preprocessors write it.
            let rest = if rest.first().is_some_and(|word| word.text(source) == "line") { &rest[1..] } else { rest };
            let [number, file, ..] = rest else { continue };
            let Some(number) = (number.kind == Kind::Number).then(|| number.text(source).parse().ok()).flatten() else {
                continue;
            };
            let file = (file.kind == Kind::Text).then(|| file.text(source).trim_matches('"').to_owned());
            let file = file.or_else(|| stretches.last().map(|last| last.file.clone())).unwrap_or_default();
            stretches.push(Stretch { file, number, line: line + 1 });
        }
        Self { stretches }
    }

    /// Find the line that goes by this name and number.
    pub(crate) fn find(&self, file: &str, number: usize) -> Option<usize> {
        self.stretches.iter().enumerate().find_map(|(index, stretch)| {
            let end = self.stretches.get(index + 1).map_or(usize::MAX, |next| next.line);
            let line = stretch.line.checked_add(number.checked_sub(stretch.number)?)?;
            (stretch.file == file && line < end).then_some(line)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::LineMarks;
    use crate::bcc::lexer::tokens;

    #[test]
    fn lines_are_found_by_what_they_go_by() {
        let source = "a\n#line 100\nb\nc\n# 7 \"x.y\"\nd\n#line nothing\n#line 3 \"own\"\ne\n";
        let marks = LineMarks::read(source, &tokens(source).unwrap(), "own");
        let of = |file, number| marks.find(file, number);
        assert_eq!([of("own", 1), of("own", 100), of("own", 101), of("own", 3)], [Some(1), Some(3), Some(4), Some(9)]);
        assert_eq!([of("x.y", 7), of("x.y", 6), of("y", 7), of("own", 99)], [Some(6), None, None, Some(105)]);
    }
}
