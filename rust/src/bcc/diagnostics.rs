//! What the compiler says about a program, and what rtrace itself says, at places in the user's own text.

use std::fmt::Write;

use pyo3::{prelude::*, types::PyDict};

use super::{
    edits::Edits,
    lexer::{self, Kind},
    line_marks::LineMarks,
};

/// Why a source is not compiled at all; `at` is a byte of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) at: usize,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }

    /// The same as what a compiler says.
    pub(crate) fn diagnostic(&self, source: &str, file: &str) -> Diagnostic {
        let (line, column) = position(source, self.at);
        let (severity, message) = ("error".into(), self.message.clone());
        Diagnostic { file: file.to_owned(), line, column, severity, message, shown: Some(line) }
    }
}

/// One message about a place in a file; line and column count from 1, 0 where there is no place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Diagnostic {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) severity: String,
    pub(crate) message: String,
    /// The line of the program's own text that it is about, whatever it goes by.
    pub(crate) shown: Option<usize>,
}

impl Diagnostic {
    /// As Python gets it.
    pub(crate) fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let facts = PyDict::new(py);
        facts.set_item("file", &self.file)?;
        facts.set_item("line", self.line)?;
        facts.set_item("column", self.column)?;
        facts.set_item("severity", &self.severity)?;
        facts.set_item("message", &self.message)?;
        Ok(facts)
    }
}

/// Say the first error, behind what was to be compiled, and show its line.
pub(crate) fn summary(name: &str, diagnostics: &[Diagnostic], excerpt: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(first) = diagnostics.iter().find(|diagnostic| diagnostic.severity == "error") {
        if first.line > 0 {
            let file = if first.file == name { String::new() } else { format!("{}:", first.file) };
            let _ = write!(text, ": {file}{}:{}", first.line, first.column);
        }
        let _ = write!(text, ": {}", first.message);
        let includes = diagnostics.iter().find(|said| said.message == INCLUDED && said.file == name);
        if let Some(place) = includes.filter(|_| first.file != name) {
            let _ = write!(text, " (included at {})", place.line);
        }
    }
    if let Some(excerpt) = excerpt {
        let _ = write!(text, "\n{excerpt}");
    }
    text
}

/// Return line and column of a byte.
fn position(source: &str, at: usize) -> (usize, usize) {
    let before = &source.as_bytes()[..at.min(source.len())];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let lines = before.split(|byte| *byte == b'\n').count();
    (lines, before.len() - line_start + 1)
}

/// A file as the compiler knows it.
pub(crate) struct Named<'a> {
    /// What line directives call it.
    pub(crate) compiled_as: &'a str,
    /// What the user calls it.
    pub(crate) name: &'a str,
    pub(crate) source: &'a str,
    pub(crate) edits: &'a Edits,
    pub(crate) marks: &'a LineMarks,
}

/// Take the compiler's messages apart: `file:line:column: severity: message`.
///
/// Places move from the rewritten text to the user's own; messages about other files keep theirs.
/// Behind a message about a header come notes of where it is included.
pub(crate) fn parse(log: &str, files: &[Named<'_>]) -> Vec<Diagnostic> {
    let (mut found, mut included) = (Vec::new(), Vec::new());
    for line in log.lines() {
        if let Some(place) = line.strip_prefix("In file included from ") {
            let place = place.trim_end_matches(':').rsplit_once(':');
            included.extend(place.and_then(|(file, line)| Some(including(file, line.parse().ok()?, files))));
        } else if let Some(diagnostic) = parse_line(line, files) {
            found.push(diagnostic);
            found.append(&mut included);
        }
    }
    found
}

const INCLUDED: &str = "included here";

fn including(file: &str, line: usize, files: &[Named<'_>]) -> Diagnostic {
    let known = files.iter().find(|known| known.compiled_as == file);
    let file = known.map_or(file, |known| known.name).to_owned();
    Diagnostic { file, line, column: 1, severity: "note".into(), message: INCLUDED.into(), shown: None }
}

/// The text that stands behind every program.
pub(crate) const END: &str = "rtrace/end.h";

const SEVERITIES: [&str; 4] = ["fatal error", "error", "warning", "note"];

fn parse_line(line: &str, files: &[Named<'_>]) -> Option<Diagnostic> {
    let (at, severity) = SEVERITIES
        .iter()
        .filter_map(|severity| Some((line.find(&format!("{severity}: "))?, *severity)))
        .min_by_key(|(at, severity)| (*at, severity.len()))?;
    let (place, message) = (&line[..at], &line[at + severity.len() + 2..]);
    // Which flag makes it an error is rtrace's business.
    let message = message.rsplit_once(" [-W").filter(|(_, flag)| flag.ends_with(']')).map_or(message, |(said, _)| said);
    let severity = severity.strip_prefix("fatal ").unwrap_or(severity).to_owned();
    // The code generator puts the place behind the severity: `error: file:line:column: in function ...`.
    let (place, message) = match place.strip_suffix(": ").and_then(located) {
        Some(found) => (Some(found), message),
        None if place.is_empty() || place == "clang: " => message
            .split_once(": ")
            .and_then(|(place, rest)| Some((Some(located(place)?), rest)))
            // Or behind everything: `error in backend: Cannot select: ... = sdiv 0x1, 0x2, file:line:column`.
            .or_else(|| message.rsplit_once(", ").and_then(|(rest, place)| Some((Some(located(place)?), rest))))
            .unwrap_or((None, message)),
        None => return None,
    };
    let Some((file, number, column)) = place else {
        let message = message.to_owned();
        return Some(Diagnostic { file: String::new(), line: 0, column: 0, severity, message, shown: None });
    };
    if file == END
        && let Some(program) = files.first()
    {
        // What is open at the end of the program is missed behind it only.
        let unclosed = unclosed(program.source);
        let (line, column) = position(program.source, unclosed.unwrap_or(program.source.trim_end().len()));
        let message = if unclosed.is_some() { "this bracket is never closed" } else { message };
        let (file, message) = (program.name.to_owned(), message.to_owned());
        return Some(Diagnostic { file, line, column, severity, message, shown: Some(line) });
    }
    let found =
        files.iter().enumerate().find_map(|(index, known)| Some((index, known, known.marks.find(file, number)?)));
    let (shown, column) = match found {
        Some((index, known, line)) => {
            let within = known.source.lines().count() >= line;
            ((index == 0 && within).then_some(line), known.edits.column(known.source, line, column))
        }
        None => (None, column),
    };
    let file = files.iter().find(|known| known.compiled_as == file).map_or(file, |known| known.name).to_owned();
    Some(Diagnostic { file, line: number, column, severity, message: message.to_owned(), shown })
}

/// Find the last bracket that nothing closes.
fn unclosed(source: &str) -> Option<usize> {
    let (mut open, mut directive) = (Vec::new(), false);
    for token in lexer::tokens(source).ok()? {
        match token.kind {
            Kind::Directive => directive = true,
            Kind::EndOfDirective => directive = false,
            Kind::Punctuation(b'(' | b'[' | b'{') if !directive => open.push(token.start as usize),
            Kind::Punctuation(b')' | b']' | b'}') if !directive => {
                open.pop();
            }
            _ => {}
        }
    }
    open.pop()
}

/// Take `file:line:column` apart.
fn located(place: &str) -> Option<(&str, usize, usize)> {
    let mut parts = place.rsplitn(3, ':');
    let (column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
    Some((file, line.parse().ok()?, column.parse().ok()?))
}

/// Return the line of the source that a message is about, and a caret under its column.
pub(crate) fn excerpt(source: &str, line: usize, column: usize) -> Option<String> {
    const WIDTH: usize = 160;
    let text = source.lines().nth(line.checked_sub(1)?)?;
    let before = column.saturating_sub(1).min(text.len());
    // Long lines are shown around the column.
    let start = (before.saturating_sub(WIDTH / 2)..=before).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let end = ((start + WIDTH).min(text.len())..=text.len()).find(|at| text.is_char_boundary(*at))?;
    let shown = &text[start..end];
    let margin = format!("{line:>5} | ");
    // Tabs stay tabs, so that the caret lines up wherever it is shown.
    let blank: String =
        text.get(start..before).unwrap_or_default().chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    Some(format!("{margin}{shown}\n{:>5} | {blank}^", ""))
}

#[cfg(test)]
mod tests {
    use super::{Named, excerpt, parse, position};
    use crate::bcc::{edits::Edits, line_marks::LineMarks};

    #[test]
    fn messages_have_the_places_of_the_users_own_text() {
        let source = "int x;\nint f() { g(); }\n";
        let mut edits = Edits::default();
        edits.insert(7, "static ");
        let marks = LineMarks::read(source, &[], "a.c");
        let files = [Named { compiled_as: "a.c", name: "a.c", source, edits: &edits, marks: &marks }];
        let log = "a.c:2:18: error: no: such thing\nclang: error: unknown argument: '-q'\n\
                   error: a.c:2:18: in function f: too many args\n1 error generated.\n\
                   fatal error: error in backend: Cannot select: 0x1: i64 = sdiv 0x2, 0x3, a.c:2:18\n";
        let found = parse(log, &files);
        let of = |index: usize| (found[index].line, found[index].column, found[index].message.as_str());
        assert_eq!(of(0), (2, 11, "no: such thing"));
        assert_eq!(of(1), (0, 0, "unknown argument: '-q'"));
        assert_eq!(of(2), (2, 11, "in function f: too many args"));
        assert_eq!(of(3), (2, 11, "error in backend: Cannot select: 0x1: i64 = sdiv 0x2, 0x3"));
        assert_eq!(found.len(), 4);
        assert_eq!(found[0].file, "a.c");
    }

    #[test]
    fn excerpts_point_at_the_column() {
        assert_eq!(excerpt("a\n\tbc d\n", 2, 3).unwrap(), "    2 | \tbc d\n      | \t ^");
        assert_eq!(excerpt("a", 3, 1), None);
        assert!(excerpt(&"\u{e9}".repeat(500), 1, 601).unwrap().ends_with('^'));
        assert_eq!(position("a\nbc", 3), (2, 2));
    }
}
