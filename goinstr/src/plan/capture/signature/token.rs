//! A signature's text → its tokens, each with its place.

use super::Problem;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name with its package, or a keyword: `int`, `net/http.Request`, `struct`.
    Name(String),
    /// A whole number.
    Number(u64),
    /// `<-`
    Arrow,
    /// `...`
    Dots,
    /// Any other sign: brackets, `*`, `,`, `;` (a line's end too where Go takes it for one).
    Sign(char),
    /// A field's tag.
    Tag,
}

/// A token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    /// Its first byte in the text.
    pub at: usize,
    /// The first byte behind it.
    pub end: usize,
}

/// The tokens of `text` from byte `from` on.
///
/// # Errors
/// What is none, and where.
pub(super) fn tokens(text: &str, from: usize) -> Result<Vec<Token>, (usize, Problem)> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = from;
    while let Some(rest) = text.get(at..)
        && let Some(first) = rest.chars().next()
    {
        let (kind, length) = match first {
            '\n' if ends_line(tokens.last()) => (Kind::Sign(';'), 1),
            _ if first.is_whitespace() => {
                at += first.len_utf8();
                continue;
            }
            '<' if rest.starts_with("<-") => (Kind::Arrow, 2),
            '.' if rest.starts_with("...") => (Kind::Dots, 3),
            '0'..='9' => {
                let length = rest
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(rest.len());
                let number = rest.get(..length).and_then(|digits| digits.parse().ok());
                (Kind::Number(number.ok_or((at, Problem::Large))?), length)
            }
            '"' | '`' => {
                let body = rest.get(1..).unwrap_or_default();
                let length = body.find(first).ok_or((at, Problem::Unclosed(first)))?;
                (Kind::Tag, length + 2)
            }
            '(' | ')' | '[' | ']' | '{' | '}' | '*' | ',' | ';' | '|' | '~' => {
                (Kind::Sign(first), 1)
            }
            _ if first.is_alphabetic() || first == '_' => {
                let length = name_length(rest);
                let name = rest.get(..length).unwrap_or_default();
                (Kind::Name(name.to_owned()), length)
            }
            _ => return Err((at, Problem::Strange(first))),
        };
        tokens.push(Token {
            kind,
            at,
            end: at + length,
        });
        at += length;
    }
    Ok(tokens)
}

/// Bytes of the name at the beginning of `text`: a package's path holds slashes, dots and hyphens.
fn name_length(text: &str) -> usize {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | '~' | '%');
    let length = text.find(|c| !part(c)).unwrap_or(text.len());
    // `a...int`
    text.get(..length)
        .and_then(|name| name.find(".."))
        .unwrap_or(length)
}

/// Whether a line's end after it is a `;`, as in Go.
fn ends_line(last: Option<&Token>) -> bool {
    match last.map(|token| &token.kind) {
        Some(Kind::Name(_) | Kind::Number(_) | Kind::Tag) => true,
        Some(Kind::Sign(sign)) => matches!(sign, ')' | ']' | '}'),
        _ => false,
    }
}
