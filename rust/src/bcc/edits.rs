//! Insertions and replacements in a text, and the way back from places in the result to places in the original.
//!
//! Edits never add or remove a line break, so lines keep their numbers and only columns move.

/// What is to change, in any order; edits do not overlap.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    edits: Vec<Edit>,
}

#[derive(Debug)]
struct Edit {
    start: usize,
    end: usize,
    text: String,
}

impl Edits {
    pub(crate) fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at, at, text);
    }

    /// Replace the bytes from `start` to `end`, which are on one line or hold nothing that matters but line breaks.
    pub(crate) fn replace(&mut self, start: usize, end: usize, text: impl Into<String>) {
        self.edits.push(Edit { start, end, text: text.into() });
    }

    /// Return the text with all edits made. At the same place, what is put in comes before what is replaced, else in
    /// the order it was asked for.
    pub(crate) fn apply(&mut self, source: &str) -> String {
        self.edits.sort_by_key(|edit| (edit.start, edit.end));
        let added: usize = self.edits.iter().map(|edit| edit.text.len()).sum();
        let mut result = String::with_capacity(source.len() + added);
        let mut at = 0;
        for edit in &self.edits {
            result.push_str(source.get(at..edit.start).unwrap_or_default());
            result.push_str(&edit.text);
            let replaced = source.get(edit.start..edit.end).unwrap_or_default();
            result.extend(replaced.chars().filter(|character| *character == '\n'));
            at = at.max(edit.end);
        }
        result.push_str(source.get(at..).unwrap_or_default());
        result
    }

    /// Return the column of the original text that became `column` of line `line`, both from 1.
    pub(crate) fn column(&self, source: &str, line: usize, column: usize) -> usize {
        let Some(line_start) = start_of_line(source, line) else { return column };
        let line_end = source[line_start..].find('\n').map_or(source.len(), |length| line_start + length);
        // How far the result is ahead of the original.
        let mut shift = 0_isize;
        let offset = column.saturating_sub(1).cast_signed();
        let mut on_line: Vec<_> =
            self.edits.iter().filter(|edit| (line_start..=line_end).contains(&edit.start)).collect();
        on_line.sort_by_key(|edit| (edit.start, edit.end));
        for edit in on_line {
            let begins = (edit.start - line_start).cast_signed() + shift;
            if offset < begins {
                break;
            }
            if offset < begins + edit.text.len().cast_signed() {
                // Within what was put in: its place is where it was put.
                return edit.start - line_start + 1;
            }
            shift += edit.text.len().cast_signed() - (edit.end.min(line_end) - edit.start).cast_signed();
        }
        usize::try_from(offset - shift).unwrap_or(0).min(line_end - line_start) + 1
    }
}

fn start_of_line(source: &str, line: usize) -> Option<usize> {
    let mut start = 0;
    for _ in 1..line {
        start += source.get(start..)?.find('\n')? + 1;
    }
    Some(start)
}

#[cfg(test)]
mod tests {
    use super::Edits;

    #[test]
    fn columns_find_their_way_back() {
        let source = "ab cd ef\nxy zw\n";
        let mut edits = Edits::default();
        edits.insert(3, "12345");
        edits.replace(6, 8, "e");
        edits.insert(9, "__");
        let result = edits.apply(source);
        assert_eq!(result, "ab 12345cd e\n__xy zw\n");
        let columns: Vec<_> = (1..=12).map(|column| edits.column(source, 1, column)).collect();
        assert_eq!(columns, [1, 2, 3, 4, 4, 4, 4, 4, 4, 5, 6, 7]);
        assert_eq!((1..=4).map(|column| edits.column(source, 2, column)).collect::<Vec<_>>(), [1, 1, 1, 2]);
        assert_eq!(edits.column(source, 99, 4), 4);
    }

    #[test]
    fn replaced_line_breaks_stay() {
        let mut edits = Edits::default();
        edits.replace(1, 4, "x");
        assert_eq!(edits.apply("a\nb\nc"), "ax\n\nc");
    }
}
