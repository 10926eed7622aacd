//! The grammar: Go's for parameters, results and types (the language's specification, "Function
//! types"), as far as it takes to know where values are.

use super::token::{Kind, Token, tokens};
use super::written::WrittenTypes;
use super::{NESTED, Problem, known};
use crate::binary::{GoKind, Parameter, Signature, TypeRef};

/// A problem and the byte of the text where it is.
type Fault = (usize, Problem);

/// Reads parameters and results from byte `open` of `text` on, in a function of `package`.
///
/// # Errors
/// The first problem.
pub(super) fn parse(
    text: &str,
    open: usize,
    package: &str,
) -> Result<(Signature, WrittenTypes), Fault> {
    let mut parser = Parser {
        text,
        tokens: tokens(text, open)?,
        next: 0,
        package,
        types: WrittenTypes::default(),
    };
    let parameters = parser.list(0)?;
    let results = match parser.peek() {
        None => Vec::new(),
        Some(Kind::Sign('(')) => parser.list(0)?,
        Some(_) => {
            let ty = parser.ty(0)?;
            vec![parameter(None, ty)]
        }
    };
    if parser.peek().is_some() {
        return Err(parser.expected("the end"));
    }
    for value in parameters.iter().chain(&results) {
        parser.types.extent(value.ty)?;
    }
    let signature = Signature {
        parameters,
        results,
    };
    Ok((signature, parser.types))
}

fn parameter(name: Option<String>, ty: TypeRef) -> Parameter {
    Parameter {
        name,
        ty,
        seen: Vec::new(),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    package: &'a str,
    types: WrittenTypes,
}

/// An entry of a list: `int`, `n int`, or `n`, which the next one tells the type of.
struct Entry {
    /// A plain name alone or in front of a type, and its place.
    name: Option<(String, usize)>,
    ty: Option<TypeRef>,
}

impl Parser<'_> {
    fn ahead(&self, by: usize) -> Option<&Kind> {
        self.tokens.get(self.next + by).map(|token| &token.kind)
    }

    fn peek(&self) -> Option<&Kind> {
        self.ahead(0)
    }

    /// The byte where the next token begins.
    fn at(&self) -> usize {
        self.tokens
            .get(self.next)
            .map_or(self.text.len(), |token| token.at)
    }

    fn is(&self, sign: char) -> bool {
        self.peek() == Some(&Kind::Sign(sign))
    }

    fn keyword(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Kind::Name(name)) if name == word)
    }

    fn take(&mut self, sign: char) -> bool {
        let is = self.is(sign);
        self.next += usize::from(is);
        is
    }

    fn demand(&mut self, sign: char, expected: &'static str) -> Result<(), Fault> {
        match self.take(sign) {
            true => Ok(()),
            false => Err(self.expected(expected)),
        }
    }

    fn expected(&self, expected: &'static str) -> Fault {
        let token = self.tokens.get(self.next);
        let found = token.and_then(|token| self.text.get(token.at..token.end));
        let found = found.map_or("the end".to_owned(), |found| format!("{found:?}"));
        (self.at(), Problem::Expected { expected, found })
    }

    /// Parameters or results, in their brackets.
    fn list(&mut self, level: u32) -> Result<Vec<Parameter>, Fault> {
        let begin = self.at();
        self.demand('(', "a (")?;
        let mut entries = Vec::new();
        while !self.is(')') {
            entries.push(self.entry(level)?);
            if !self.take(',') {
                break;
            }
        }
        self.take(';');
        self.demand(')', "a , or )")?;
        let named = entries
            .iter()
            .any(|entry| entry.name.is_some() && entry.ty.is_some());
        let mut list = Vec::new();
        // From the last one on: a name alone has the type of the one behind it.
        let mut behind = None;
        for entry in entries.into_iter().rev() {
            let (name, ty) = match (entry.name, entry.ty) {
                // Go would take the type for a name; who writes it means the type.
                (Some((name, at)), None) if named && known::is_predeclared(&name) => {
                    return Err((at, Problem::Mixed));
                }
                (Some((name, _)), ty) if named => {
                    behind = ty.or(behind);
                    (Some(name), behind.ok_or((begin, Problem::Mixed))?)
                }
                (None, Some(ty)) if !named => (None, ty),
                (Some((name, at)), None) => (None, self.named(&name, at, level)?),
                _ => return Err((begin, Problem::Mixed)),
            };
            list.push(parameter(name, ty));
        }
        list.reverse();
        Ok(list)
    }

    fn entry(&mut self, level: u32) -> Result<Entry, Fault> {
        let at = self.at();
        let name = match self.peek() {
            Some(Kind::Name(name)) if is_plain(name) => Some((name.clone(), at)),
            _ => None,
        };
        if let Some(name) = name {
            let alone = matches!(self.ahead(1), None | Some(Kind::Sign(',' | ')')));
            if alone {
                self.next += 1;
                let name = Some(name);
                return Ok(Entry { name, ty: None });
            }
            if !self.has_arguments() {
                self.next += 1;
                let ty = Some(self.last(level)?);
                let name = Some(name);
                return Ok(Entry { name, ty });
            }
        }
        let ty = Some(self.last(level)?);
        Ok(Entry { name: None, ty })
    }

    /// A type, or `...` and one: a slice.
    fn last(&mut self, level: u32) -> Result<TypeRef, Fault> {
        let variadic = self.peek() == Some(&Kind::Dots);
        self.next += usize::from(variadic);
        let ty = self.ty(level)?;
        Ok(match variadic {
            true => self.types.slice(ty),
            false => ty,
        })
    }

    /// Whether type arguments follow the name at hand, without a space, as gofmt writes them.
    fn has_arguments(&self) -> bool {
        let name = self.tokens.get(self.next);
        let next = self.tokens.get(self.next + 1);
        name.zip(next)
            .is_some_and(|(name, next)| next.kind == Kind::Sign('[') && next.at == name.end)
    }

    fn ty(&mut self, level: u32) -> Result<TypeRef, Fault> {
        let at = self.at();
        if level >= NESTED {
            return Err((at, Problem::Deep));
        }
        let level = level + 1;
        match self.peek() {
            Some(Kind::Sign('*')) => {
                self.next += 1;
                let to = self.ty(level)?;
                Ok(self.types.pointer(to))
            }
            Some(Kind::Sign('(')) => {
                self.next += 1;
                let inner = self.ty(level)?;
                self.demand(')', "a )")?;
                Ok(inner)
            }
            Some(Kind::Sign('[')) => {
                self.next += 1;
                if self.take(']') {
                    let of = self.ty(level)?;
                    return Ok(self.types.slice(of));
                }
                let Some(Kind::Number(length)) = self.peek().cloned() else {
                    return Err(self.expected("a ] or an array's length"));
                };
                self.next += 1;
                self.demand(']', "a ]")?;
                let of = self.ty(level)?;
                self.types.array(of, length, at)
            }
            Some(Kind::Arrow) => {
                self.next += 1;
                if !self.keyword("chan") {
                    return Err(self.expected("chan"));
                }
                let ty = self.ty(level)?;
                let name = self.written(at);
                Ok(self.types.renamed(ty, &name))
            }
            Some(Kind::Name(name)) => {
                let name = name.clone();
                self.word(&name, at, level)
            }
            _ => Err(self.expected("a type")),
        }
    }

    /// What begins with a keyword or a name.
    fn word(&mut self, name: &str, at: usize, level: u32) -> Result<TypeRef, Fault> {
        if self.has_arguments() && name != "map" {
            self.next += 1;
            self.balanced('[', ']')?;
            let whole = self.written(at);
            let whole = self.qualified(&whole);
            return Ok(self.types.unknown(&whole, at));
        }
        self.next += 1;
        match name {
            "map" => {
                self.demand('[', "a [")?;
                let key = self.ty(level)?;
                self.demand(']', "a ]")?;
                let value = self.ty(level)?;
                let name = format!("map[{}]{}", self.types.name(key), self.types.name(value));
                Ok(self.types.add(&name, 8, GoKind::Map))
            }
            "chan" => {
                self.next += usize::from(self.peek() == Some(&Kind::Arrow));
                self.ty(level)?;
                let name = self.written(at);
                Ok(self.types.add(&name, 8, GoKind::Chan))
            }
            "func" => {
                self.list(level)?;
                match self.peek() {
                    Some(Kind::Sign('(')) => drop(self.list(level)?),
                    Some(Kind::Sign('*' | '[') | Kind::Arrow | Kind::Name(_)) => {
                        self.ty(level)?;
                    }
                    _ => {}
                }
                let name = self.written(at);
                Ok(self.types.add(&name, 8, GoKind::Func))
            }
            "interface" => {
                let methods = self.balanced('{', '}')?;
                let (name, empty) = match methods {
                    0 => ("interface {}".to_owned(), true),
                    _ => (self.written(at), false),
                };
                Ok(self.types.add(&name, 16, GoKind::Interface { empty }))
            }
            "struct" => self.structure(at, level),
            _ => self.named(name, at, level),
        }
    }

    fn structure(&mut self, at: usize, level: u32) -> Result<TypeRef, Fault> {
        self.demand('{', "a {")?;
        let mut fields = Vec::new();
        while !self.take('}') {
            let begin = self.at();
            let mut names = Vec::new();
            let embedded = match self.peek() {
                Some(Kind::Name(name)) => {
                    let ends = matches!(self.ahead(1), Some(Kind::Sign(';' | '}') | Kind::Tag));
                    !is_plain(name) || ends || self.has_arguments()
                }
                _ => true,
            };
            if !embedded {
                while let Some(Kind::Name(name)) = self.peek().cloned() {
                    self.next += 1;
                    names.push(name);
                    if !self.take(',') {
                        break;
                    }
                }
            }
            let ty = self.ty(level)?;
            if embedded {
                let written = self.written(begin);
                let name = written.trim_start_matches('*');
                let name = name.split('[').next().unwrap_or(name);
                names.push(name.rsplit('.').next().unwrap_or(name).to_owned());
            }
            fields.extend(names.into_iter().map(|name| (name, ty)));
            self.next += usize::from(self.peek() == Some(&Kind::Tag));
            if !self.take(';') && !self.is('}') {
                return Err(self.expected("a ; or }"));
            }
        }
        self.types.structure(fields, at)
    }

    /// Goes over brackets and what is in them: so many tokens.
    fn balanced(&mut self, open: char, close: char) -> Result<usize, Fault> {
        let at = self.at();
        self.demand(open, if open == '[' { "a [" } else { "a {" })?;
        let begin = self.next;
        let mut inside = 1;
        while let Some(kind) = self.peek() {
            inside += match kind {
                Kind::Sign(sign) if *sign == open => 1,
                Kind::Sign(sign) if *sign == close => -1,
                _ => 0,
            };
            self.next += 1;
            if inside == 0 {
                return Ok(self.next - 1 - begin);
            }
        }
        Err((at, Problem::Unclosed(open)))
    }

    /// The text from a byte on up to the last token that was taken, its white space made one space.
    fn written(&self, from: usize) -> String {
        let last = self.next.checked_sub(1).and_then(|at| self.tokens.get(at));
        let text = last.and_then(|last| self.text.get(from..last.end));
        let words: Vec<&str> = text.unwrap_or_default().split_whitespace().collect();
        words.join(" ")
    }

    /// With the function's package, where it has none.
    fn qualified(&self, name: &str) -> String {
        let own = name.split('[').next().unwrap_or(name);
        match own.contains('.') || self.package.is_empty() {
            true => name.to_owned(),
            false => format!("{}.{name}", self.package),
        }
    }

    /// A type that is known by its name, or not known.
    fn named(&mut self, name: &str, at: usize, level: u32) -> Result<TypeRef, Fault> {
        if matches!(name, "map" | "chan" | "func" | "interface" | "struct") {
            return Err((at, Problem::UnknownType(name.to_owned())));
        }
        if let Some(ty) = known::predeclared(&mut self.types, name) {
            return Ok(ty);
        }
        let whole = self.qualified(name);
        if let Some(name) = known::interface(&whole) {
            let kind = GoKind::Interface { empty: false };
            return Ok(self.types.add(name, 16, kind));
        }
        if let Some((name, definition)) = known::library(&whole) {
            let mut parser = Parser {
                text: definition,
                tokens: tokens(definition, 0)?,
                next: 0,
                package: "",
                types: std::mem::take(&mut self.types),
            };
            let ty = parser.ty(level);
            self.types = parser.types;
            return Ok(self.types.renamed(ty.map_err(|(_, why)| (at, why))?, name));
        }
        Ok(self.types.unknown(&whole, at))
    }
}

/// Whether it can be a parameter's or field's name.
fn is_plain(name: &str) -> bool {
    let keyword = matches!(name, "map" | "chan" | "func" | "interface" | "struct");
    !keyword && !name.contains(['.', '/', '-', '~', '%'])
}
