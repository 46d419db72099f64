//! An IDL file as it is written. (Apache Thrift, Interface Description Language)

use super::lexer::{self, Mistake, Token, Word};
use crate::limits;

/// What stands in a file.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub includes: Vec<Include>,
    pub definitions: Vec<Definition>,
}

#[derive(Debug)]
pub(super) struct Include {
    pub at: usize,
    pub path: String,
}

#[derive(Debug)]
pub(super) struct Definition {
    pub at: usize,
    pub name: String,
    pub what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Const(Constant),
    Typedef(TypeName),
    Enum(Vec<(String, i32)>),
    Struct(Form, Vec<Field>),
    Service(Service),
}

/// What differs between structs, unions and exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Struct,
    Union,
    Exception,
}

#[derive(Debug)]
pub(super) struct Service {
    pub extends: Option<Reference>,
    pub functions: Vec<Function>,
}

/// The name of something that is defined elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub at: usize,
    pub name: String,
}

#[derive(Debug)]
pub(super) struct Function {
    pub at: usize,
    pub name: String,
    /// `None` for void.
    pub returns: Option<TypeName>,
    pub arguments: Vec<Field>,
    pub throws: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub at: usize,
    pub id: i16,
    pub name: String,
    pub kind: TypeName,
    pub presence: Presence,
    pub default: Option<Constant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Required,
    Optional,
    Unmarked,
}

/// A type as it is written.
#[derive(Debug)]
pub(super) enum TypeName {
    Base(Base),
    List(Box<TypeName>),
    Set(Box<TypeName>),
    Map(Box<TypeName>, Box<TypeName>),
    Named(Reference),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Bool,
    I8,
    I16,
    I32,
    I64,
    Double,
    String,
    Binary,
}

const BASES: [(&str, Base); 9] = [
    ("bool", Base::Bool),
    ("byte", Base::I8),
    ("i8", Base::I8),
    ("i16", Base::I16),
    ("i32", Base::I32),
    ("i64", Base::I64),
    ("double", Base::Double),
    ("string", Base::String),
    ("binary", Base::Binary),
];

#[derive(Debug)]
pub(super) enum Constant {
    Integer(i64),
    Double(f64),
    Text(String),
    List(Vec<Constant>),
    Map(Vec<(Constant, Constant)>),
    Named(Reference),
}

/// Reads a file.
pub(super) fn parse(text: &str) -> Result<Document, Mistake> {
    let mut parser = Parser {
        tokens: lexer::tokens(text)?,
        next: 0,
        depth: 0,
    };
    parser.document()
}

struct Parser {
    tokens: Vec<Token>,
    /// The last token is the end, and is never passed.
    next: usize,
    /// How deep in types or constants.
    depth: usize,
}

type Parsed<T> = Result<T, Mistake>;

impl Parser {
    fn document(&mut self) -> Parsed<Document> {
        let mut document = Document::default();
        loop {
            let at = self.at();
            let Word::Name(keyword) = self.word().clone() else {
                match self.word() {
                    Word::End => return Ok(document),
                    _ => return self.expected(DEFINITION),
                }
            };
            self.next += 1;
            match keyword.as_str() {
                "include" => {
                    // thriftrw lets a name stand before the path.
                    self.maybe_name();
                    let path = self.text("the path of a file in quotes")?;
                    document.includes.push(Include { at, path });
                }
                "cpp_include" => {
                    self.text("a path in quotes")?;
                }
                "namespace" => self.namespace()?,
                keyword => {
                    let definition = self.definition(keyword, at)?;
                    document.definitions.push(definition);
                }
            }
            self.separator();
        }
    }

    /// What is said to generators of code.
    fn namespace(&mut self) -> Parsed<()> {
        if !self.sign('*') {
            self.name("a language or *")?;
        }
        match self.word() {
            Word::Text(_) => self.next += 1,
            _ => drop(self.name("a namespace")?),
        }
        self.annotations()
    }

    fn definition(&mut self, keyword: &str, at: usize) -> Parsed<Definition> {
        let typed = match keyword {
            "const" | "typedef" => Some(self.kind()?),
            "enum" | "struct" | "union" | "exception" | "service" => None,
            _ => {
                let what = format!("expected {DEFINITION}, found '{keyword}'");
                return Err(Mistake::new(at, what));
            }
        };
        let at = self.at();
        let name = self.name("a name")?;
        let what = match (keyword, typed) {
            ("const", _) => {
                self.expect('=')?;
                What::Const(self.constant()?)
            }
            (_, Some(kind)) => What::Typedef(kind),
            ("enum", _) => What::Enum(self.members()?),
            ("service", _) => What::Service(self.service()?),
            ("union", _) => What::Struct(Form::Union, self.body()?),
            ("exception", _) => What::Struct(Form::Exception, self.body()?),
            _ => What::Struct(Form::Struct, self.body()?),
        };
        self.annotations()?;
        Ok(Definition { at, name, what })
    }

    fn members(&mut self) -> Parsed<Vec<(String, i32)>> {
        self.expect('{')?;
        let mut members: Vec<(String, i32)> = Vec::new();
        let mut next = Some(0);
        while !self.sign('}') {
            let at = self.at();
            let name = self.name("the name of a member or '}'")?;
            if members.iter().any(|(other, _)| *other == name) {
                return Err(Mistake::new(at, format!("a second member {name}")));
            }
            if self.sign('=') {
                next = Some(self.integer("the member's number")?);
            }
            let number = next.ok_or_else(|| Mistake::new(at, "the member's number is too big"))?;
            next = number.checked_add(1);
            members.push((name, number));
            self.annotations()?;
            self.separator();
        }
        Ok(members)
    }

    /// The fields of a struct.
    fn body(&mut self) -> Parsed<Vec<Field>> {
        if self.word() == &Word::Name("xsd_all".into()) {
            self.next += 1;
        }
        self.expect('{')?;
        self.fields('}')
    }

    fn fields(&mut self, end: char) -> Parsed<Vec<Field>> {
        let mut fields: Vec<Field> = Vec::new();
        while !self.sign(end) {
            let field = self.field(end)?;
            let same = |other: &&Field| other.id == field.id || other.name == field.name;
            if let Some(other) = fields.iter().find(same) {
                let what = format!(
                    "{}: {} has the same number or name as {}: {}",
                    field.id, field.name, other.id, other.name
                );
                return Err(Mistake::new(field.at, what));
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn field(&mut self, end: char) -> Parsed<Field> {
        let at = self.at();
        let Word::Integer(id) = *self.word() else {
            return self.expected(&format!("the number of a field, as in 1:, or '{end}'"));
        };
        let id = i16::try_from(id).ok().filter(|id| *id > 0);
        let id = id.ok_or_else(|| Mistake::new(at, "a field's number is from 1 to 32767"))?;
        self.next += 1;
        self.expect(':')?;
        let presence = match self.word() {
            Word::Name(name) if name == "required" => Presence::Required,
            Word::Name(name) if name == "optional" => Presence::Optional,
            _ => Presence::Unmarked,
        };
        if presence != Presence::Unmarked {
            self.next += 1;
        }
        let kind = self.kind()?;
        self.sign('&');
        let name = self.name("the name of a field")?;
        let default = match self.sign('=') {
            true => Some(self.constant()?),
            false => None,
        };
        self.annotations()?;
        self.separator();
        Ok(Field {
            at,
            id,
            name,
            kind,
            presence,
            default,
        })
    }

    fn service(&mut self) -> Parsed<Service> {
        let mut extends = None;
        if self.word() == &Word::Name("extends".into()) {
            self.next += 1;
            let at = self.at();
            let name = self.name("the name of a service")?;
            extends = Some(Reference { at, name });
        }
        self.expect('{')?;
        let mut functions: Vec<Function> = Vec::new();
        while !self.sign('}') {
            let function = self.function()?;
            if functions.iter().any(|other| other.name == function.name) {
                let what = format!("a second function {}", function.name);
                return Err(Mistake::new(function.at, what));
            }
            functions.push(function);
        }
        Ok(Service { extends, functions })
    }

    fn function(&mut self) -> Parsed<Function> {
        if self.word() == &Word::Name("oneway".into()) {
            self.next += 1;
        }
        let returns = match self.word() {
            Word::Name(name) if name == "void" => {
                self.next += 1;
                None
            }
            Word::Name(_) => Some(self.kind()?),
            _ => return self.expected("a function, as in 'void ping()', or '}'"),
        };
        let at = self.at();
        let name = self.name("the name of a function")?;
        self.expect('(')?;
        let arguments = self.fields(')')?;
        let mut throws = Vec::new();
        if self.word() == &Word::Name("throws".into()) {
            self.next += 1;
            self.expect('(')?;
            throws = self.fields(')')?;
        }
        self.annotations()?;
        self.separator();
        Ok(Function {
            at,
            name,
            returns,
            arguments,
            throws,
        })
    }

    fn kind(&mut self) -> Parsed<TypeName> {
        self.deeper(|parser| {
            let at = parser.at();
            let name = parser.name("a type")?;
            let base = BASES.iter().find(|(base, _)| *base == name);
            let kind = match (name.as_str(), base) {
                (_, Some((_, base))) => TypeName::Base(*base),
                ("list", _) => TypeName::List(parser.inner_kind()?),
                ("set", _) => {
                    parser.cpp_type()?;
                    TypeName::Set(parser.inner_kind()?)
                }
                ("map", _) => {
                    parser.cpp_type()?;
                    parser.expect('<')?;
                    let key = Box::new(parser.kind()?);
                    parser.expect(',')?;
                    let value = Box::new(parser.kind()?);
                    parser.expect('>')?;
                    TypeName::Map(key, value)
                }
                _ => TypeName::Named(Reference { at, name }),
            };
            parser.annotations()?;
            parser.cpp_type()?;
            Ok(kind)
        })
    }

    fn inner_kind(&mut self) -> Parsed<Box<TypeName>> {
        self.expect('<')?;
        let kind = self.kind()?;
        self.expect('>')?;
        Ok(Box::new(kind))
    }

    /// What is said to C++ about containers.
    fn cpp_type(&mut self) -> Parsed<()> {
        if self.word() == &Word::Name("cpp_type".into()) {
            self.next += 1;
            self.text("a type of C++ in quotes")?;
        }
        Ok(())
    }

    fn constant(&mut self) -> Parsed<Constant> {
        self.deeper(|parser| {
            let at = parser.at();
            let constant = match parser.word().clone() {
                Word::Integer(number) => Constant::Integer(number),
                Word::Double(number) => Constant::Double(number),
                Word::Text(text) => Constant::Text(text),
                Word::Name(name) => Constant::Named(Reference { at, name }),
                Word::Sign('[') => return parser.constants(),
                Word::Sign('{') => return parser.constant_pairs(),
                _ => return parser.expected("a value"),
            };
            parser.next += 1;
            Ok(constant)
        })
    }

    fn constants(&mut self) -> Parsed<Constant> {
        self.expect('[')?;
        let mut values = Vec::new();
        while !self.sign(']') {
            values.push(self.constant()?);
            self.separator();
        }
        Ok(Constant::List(values))
    }

    fn constant_pairs(&mut self) -> Parsed<Constant> {
        self.expect('{')?;
        let mut pairs = Vec::new();
        while !self.sign('}') {
            let key = self.constant()?;
            self.expect(':')?;
            pairs.push((key, self.constant()?));
            self.separator();
        }
        Ok(Constant::Map(pairs))
    }

    /// What is said to generators of code, in parentheses.
    fn annotations(&mut self) -> Parsed<()> {
        if !self.sign('(') {
            return Ok(());
        }
        while !self.sign(')') {
            self.name("an annotation or ')'")?;
            if self.sign('=') {
                self.text("the annotation's value in quotes")?;
            }
            self.separator();
        }
        Ok(())
    }

    fn separator(&mut self) {
        let _ = self.sign(',') || self.sign(';');
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= limits::IDL_DEPTH {
            let what = format!("nested deeper than {}", limits::IDL_DEPTH);
            return Err(Mistake::new(self.at(), what));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn word(&self) -> &Word {
        &self.tokens[self.next].word
    }

    fn at(&self) -> usize {
        self.tokens[self.next].at
    }

    /// Takes a sign if it comes next.
    fn sign(&mut self, sign: char) -> bool {
        let comes = *self.word() == Word::Sign(sign);
        self.next += usize::from(comes);
        comes
    }

    fn expect(&mut self, sign: char) -> Parsed<()> {
        match self.sign(sign) {
            true => Ok(()),
            false => self.expected(&format!("'{sign}'")),
        }
    }

    fn expected<T>(&self, expected: &str) -> Parsed<T> {
        let found = self.word().described();
        Err(Mistake::new(
            self.at(),
            format!("expected {expected}, found {found}"),
        ))
    }

    fn maybe_name(&mut self) {
        self.next += usize::from(matches!(self.word(), Word::Name(_)));
    }

    fn name(&mut self, expected: &str) -> Parsed<String> {
        let Word::Name(name) = self.word().clone() else {
            return self.expected(expected);
        };
        self.next += 1;
        Ok(name)
    }

    fn text(&mut self, expected: &str) -> Parsed<String> {
        let Word::Text(text) = self.word().clone() else {
            return self.expected(expected);
        };
        self.next += 1;
        Ok(text)
    }

    fn integer(&mut self, expected: &str) -> Parsed<i32> {
        let Word::Integer(number) = *self.word() else {
            return self.expected(expected);
        };
        let fits = i32::try_from(number);
        let number = fits.map_err(|_| {
            let what = format!("{number} does not fit 32 bits: expected {expected}");
            Mistake::new(self.at(), what)
        })?;
        self.next += 1;
        Ok(number)
    }
}

const DEFINITION: &str =
    "include, namespace, const, typedef, enum, struct, union, exception or service";
