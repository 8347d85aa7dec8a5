//! The filter of a list: a strict part of AIP-160.
//!
//! ```text
//! filter     = [ expression ]
//! expression = unit { AND unit } | unit { OR unit }
//! unit       = NOT unit | ( expression ) | field operator value
//! operator   = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"
//! value      = word | "quoted"
//! ```
//! Must hold: bounded in length, depth and terms before anything is evaluated; what is not exactly this is refused with the
//! place where it stops making sense. AND and OR mix in parentheses only: AIP-160 binds OR closer, most languages AND.
//! Left out of AIP-160: bare words, functions, wildcards other than `:*`, traversal, `-` for NOT, AND by a blank.

use super::{Field, Kind, Value, field};
use crate::limit::{FILTER_DEPTH_MAX, FILTER_MAX, FILTER_TERMS_MAX};
use sekisho_proto::field::{FieldError, FieldResult};

/// What a term asks of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Less,
    AtMost,
    More,
    AtLeast,
    /// A text that begins so, or a repeated field with this value.
    Has,
    /// `:*`: not empty.
    HasAny,
}

#[derive(Debug, Clone)]
enum Term<R> {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Says { of: fn(&R) -> Value, operator: Operator, value: Value },
}

impl<R> Term<R> {
    fn matches(&self, row: &R) -> bool {
        match self {
            Self::All(terms) => terms.iter().all(|term| term.matches(row)),
            Self::Any(terms) => terms.iter().any(|term| term.matches(row)),
            Self::Not(term) => !term.matches(row),
            Self::Says { of, operator, value } => says(*operator, &of(row), value),
        }
    }
}

fn says(operator: Operator, found: &Value, asked: &Value) -> bool {
    match operator {
        Operator::Is => found == asked,
        Operator::IsNot => found != asked,
        Operator::Less => found < asked,
        Operator::AtMost => found <= asked,
        Operator::More => found > asked,
        Operator::AtLeast => found >= asked,
        Operator::Has => match (found, asked) {
            (Value::Texts(all), Value::Text(one)) => all.contains(one),
            (Value::Text(text), Value::Text(begin)) => text.starts_with(begin.as_str()),
            (Value::Flag(_) | Value::Number(_) | Value::Text(_) | Value::Texts(_), _) => false,
        },
        Operator::HasAny => match found {
            Value::Text(text) => !text.is_empty(),
            Value::Texts(all) => !all.is_empty(),
            Value::Flag(_) | Value::Number(_) => false,
        },
    }
}

/// Which rows are asked for; all of them without a term.
#[derive(Debug, Clone)]
pub(super) struct Filter<R>(Option<Term<R>>);

impl<R> Filter<R> {
    /// Reads a filter; empty = every row.
    pub(super) fn parse(text: &str, fields: &[Field<R>]) -> FieldResult<Self> {
        let refused = |why: String| FieldError::new("filter", why);
        if text.len() > FILTER_MAX {
            return Err(refused(format!("must be at most {FILTER_MAX} bytes")));
        }
        let tokens = tokens(text).map_err(refused)?;
        if tokens.is_empty() {
            return Ok(Self(None));
        }
        let mut parser = Parser { tokens: &tokens, at: 0, terms: 0, fields };
        let term = parser.expression(0).map_err(refused)?;
        match parser.next() {
            None => Ok(Self(Some(term))),
            Some(token) => Err(refused(token.unexpected("AND, OR or the end"))),
        }
    }

    pub(super) fn matches(&self, row: &R) -> bool {
        self.0.as_ref().is_none_or(|term| term.matches(row))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Sign {
    Open,
    Close,
    Operator(Operator),
    Word(String),
    Quoted(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    sign: Sign,
    /// The character that it begins with, from 1.
    at: usize,
}

impl Token {
    fn unexpected(&self, wanted: &str) -> String {
        format!("must have {wanted} at character {}", self.at)
    }

    fn is(&self, keyword: &str) -> bool {
        matches!(&self.sign, Sign::Word(word) if word == keyword)
    }
}

/// What may stand without quotes.
fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/')
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text.chars().zip(1usize..).peekable();
    while let Some((c, at)) = rest.next() {
        let mut followed = |wanted: char| rest.next_if(|(c, _)| *c == wanted).is_some();
        let sign = match c {
            ' ' => continue,
            '(' => Sign::Open,
            ')' => Sign::Close,
            '=' => Sign::Operator(Operator::Is),
            '!' if followed('=') => Sign::Operator(Operator::IsNot),
            '<' if followed('=') => Sign::Operator(Operator::AtMost),
            '<' => Sign::Operator(Operator::Less),
            '>' if followed('=') => Sign::Operator(Operator::AtLeast),
            '>' => Sign::Operator(Operator::More),
            ':' if followed('*') => Sign::Operator(Operator::HasAny),
            ':' => Sign::Operator(Operator::Has),
            '"' => Sign::Quoted(quoted(&mut rest, at)?),
            c if is_bare(c) => {
                let mut word = c.to_string();
                while let Some((c, _)) = rest.next_if(|(c, _)| is_bare(*c)) {
                    word.push(c);
                }
                Sign::Word(word)
            }
            c => return Err(format!("must have no `{c}` outside of quotes, at character {at}")),
        };
        found.push(Token { sign, at });
    }
    Ok(found)
}

/// What stands up to the closing quote; `\"` and `\\` stand for themselves.
fn quoted(rest: &mut impl Iterator<Item = (char, usize)>, at: usize) -> Result<String, String> {
    let mut text = String::new();
    while let Some((c, _)) = rest.next() {
        match c {
            '"' => return Ok(text),
            '\\' => match rest.next() {
                Some((c @ ('"' | '\\'), _)) => text.push(c),
                Some((_, at)) => {
                    return Err(format!("must have a quote or backslash at character {at}"));
                }
                None => break,
            },
            c => text.push(c),
        }
    }
    Err(format!("must close the quote of character {at}"))
}

struct Parser<'p, R> {
    tokens: &'p [Token],
    at: usize,
    terms: usize,
    fields: &'p [Field<R>],
}

impl<'p, R> Parser<'p, R> {
    fn peek(&self) -> Option<&'p Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<&'p Token> {
        let token = self.peek()?;
        self.at = self.at.saturating_add(1);
        Some(token)
    }

    fn wanted(&mut self, what: &str) -> Result<&'p Token, String> {
        self.next().ok_or_else(|| format!("must have {what} at its end"))
    }

    fn expression(&mut self, depth: usize) -> Result<Term<R>, String> {
        let first = self.unit(depth)?;
        for (keyword, other) in [("AND", "OR"), ("OR", "AND")] {
            if !self.peek().is_some_and(|token| token.is(keyword)) {
                continue;
            }
            let mut terms = vec![first];
            while self.peek().is_some_and(|token| token.is(keyword)) {
                self.next();
                terms.push(self.unit(depth)?);
            }
            if let Some(mixed) = self.peek().filter(|token| token.is(other)) {
                return Err(mixed.unexpected("parentheses where AND and OR mix,"));
            }
            return Ok(if keyword == "AND" { Term::All(terms) } else { Term::Any(terms) });
        }
        Ok(first)
    }

    fn unit(&mut self, depth: usize) -> Result<Term<R>, String> {
        if depth > FILTER_DEPTH_MAX {
            return Err(format!("must nest at most {FILTER_DEPTH_MAX} deep"));
        }
        let token = self.wanted("a field")?;
        if token.is("NOT") {
            return Ok(Term::Not(Box::new(self.unit(depth.saturating_add(1))?)));
        }
        match &token.sign {
            Sign::Open => {
                let inner = self.expression(depth.saturating_add(1))?;
                let close = self.wanted("a closing parenthesis")?;
                if close.sign == Sign::Close {
                    Ok(inner)
                } else {
                    Err(close.unexpected("AND, OR or a closing parenthesis"))
                }
            }
            Sign::Word(name) if !token.is("AND") && !token.is("OR") => self.term(name),
            Sign::Word(_) | Sign::Close | Sign::Operator(_) | Sign::Quoted(_) => {
                Err(token.unexpected("a field"))
            }
        }
    }

    fn term(&mut self, name: &str) -> Result<Term<R>, String> {
        self.terms = self.terms.saturating_add(1);
        if self.terms > FILTER_TERMS_MAX {
            return Err(format!("must have at most {FILTER_TERMS_MAX} terms"));
        }
        let field = field(self.fields, name).map_err(|why| format!("must name fields: {why}"))?;
        let token = self.wanted("an operator")?;
        let Sign::Operator(operator) = token.sign else {
            return Err(token.unexpected("one of = != < <= > >= :"));
        };
        if !takes(field.kind, operator) {
            return Err(token.unexpected(&format!("another operator for `{name}`")));
        }
        if operator == Operator::HasAny {
            let value = Value::Flag(true);
            return Ok(Term::Says { of: field.of, operator, value });
        }
        let token = self.wanted("a value")?;
        let (text, is_quoted) = match &token.sign {
            Sign::Word(word) => (word, false),
            Sign::Quoted(text) => (text, true),
            Sign::Open | Sign::Close | Sign::Operator(_) => {
                return Err(token.unexpected("a value, in quotes unless it is a plain word"));
            }
        };
        let value = value(field.kind, text, is_quoted);
        let value = value.map_err(|wanted| token.unexpected(&wanted))?;
        Ok(Term::Says { of: field.of, operator, value })
    }
}

/// Whether a field of this kind can be asked so.
fn takes(kind: Kind, operator: Operator) -> bool {
    match operator {
        Operator::Is | Operator::IsNot => kind != Kind::Texts,
        Operator::Less | Operator::AtMost | Operator::More | Operator::AtLeast => {
            matches!(kind, Kind::Number | Kind::Text)
        }
        Operator::Has | Operator::HasAny => matches!(kind, Kind::Text | Kind::Texts),
    }
}

fn value(kind: Kind, text: &str, is_quoted: bool) -> Result<Value, String> {
    match kind {
        Kind::Text | Kind::Texts => Ok(Value::Text(text.to_owned())),
        Kind::Word(words) if words.contains(&text) => Ok(Value::Text(text.to_owned())),
        Kind::Word(words) => Err(format!("one of {}", words.join(", "))),
        Kind::Flag => match (text, is_quoted) {
            ("true", false) => Ok(Value::Flag(true)),
            ("false", false) => Ok(Value::Flag(false)),
            _ => Err("true or false".to_owned()),
        },
        Kind::Number => {
            let digits = !is_quoted && text.bytes().all(|b| b.is_ascii_digit());
            let number = digits.then(|| text.parse().ok()).flatten();
            number.map(Value::Number).ok_or_else(|| "a number".to_owned())
        }
    }
}
