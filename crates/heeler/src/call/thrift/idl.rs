//! IDL files that include each other, and what their names mean.

use std::collections::HashMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde_json::Value as Json;

use super::lexer::{Mistake, line_and_column};
use super::syntax::{
    self, Base, Constant, Definition, Document, Field, Form, Function, Presence, Reference,
    Service, TypeName, What,
};
use crate::limits;

/// What is wrong with an IDL, and where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadIdl {
    /// A file cannot be read.
    #[error("{file}: {why}")]
    File {
        /// Its path.
        file: String,
        /// For people.
        why: String,
    },
    /// A place in a file.
    #[error("{file}:{line}:{column}: {what}")]
    Place {
        /// Its path.
        file: String,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// For people.
        what: String,
    },
}

/// A file, and those that it includes.
#[derive(Debug)]
pub struct Idl {
    /// The first is the one that was asked for.
    files: Vec<File>,
    strict: bool,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    text: String,
    document: Document,
    /// By the name under which the file knows them: that of the file without `.thrift`.
    includes: HashMap<String, usize>,
    definitions: HashMap<String, usize>,
}

/// A name that stands in a file.
#[derive(Clone, Copy)]
pub(super) struct Scope(usize);

/// What a type is, once names are looked up.
pub(super) enum Kind<'a> {
    Base(Base),
    Enum(&'a str, &'a [(String, i32)]),
    Struct(StructKind<'a>),
    List(Scope, &'a TypeName),
    Set(Scope, &'a TypeName),
    Map(Scope, &'a TypeName, &'a TypeName),
}

/// A struct, and where its fields' types are known.
#[derive(Clone, Copy)]
pub(super) struct StructKind<'a> {
    pub scope: Scope,
    pub name: &'a str,
    pub form: Form,
    pub fields: &'a [Field],
}

/// A function of a service.
pub(super) struct Method<'a> {
    /// Where its types are known: a service may have it from another file.
    pub scope: Scope,
    pub function: &'a Function,
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file {}", self.0)
    }
}

impl Idl {
    /// Reads a file and those that it includes. `strict` asks that each field of a struct or
    /// exception is required, optional, or has a default.
    ///
    /// # Errors
    ///
    /// A file that cannot be read; what is no IDL; names that mean nothing; more or longer files
    /// than [`limits`] allow.
    pub fn load(path: &Path, strict: bool) -> Result<Self, BadIdl> {
        let mut idl = Idl {
            files: Vec::new(),
            strict,
        };
        idl.file(&tidied(path))?;
        let mut next = 0;
        while next < idl.files.len() {
            idl.includes_of(next)?;
            next += 1;
        }
        // Those that are included first: what is wrong with them is told where it is.
        for file in (0..idl.files.len()).rev() {
            idl.check(Scope(file))
                .map_err(|mistake| idl.bad(Scope(file), mistake))?;
        }
        Ok(idl)
    }

    /// The functions that can be called, as `Service::function`.
    pub fn endpoints(&self) -> Vec<String> {
        let mut endpoints = Vec::new();
        for definition in &self.files[0].document.definitions {
            let What::Service(service) = &definition.what else {
                continue;
            };
            let methods = self.methods(Scope(0), service).unwrap_or_default();
            let name = |method: &Method| format!("{}::{}", definition.name, method.function.name);
            endpoints.extend(methods.iter().map(name));
        }
        endpoints
    }

    pub(super) fn method(&self, endpoint: &str) -> Option<Method<'_>> {
        let (service, function) = endpoint.split_once("::")?;
        let What::Service(service) = &self.definition(Scope(0), service)?.what else {
            return None;
        };
        let methods = self.methods(Scope(0), service).ok()?;
        methods
            .into_iter()
            .find(|method| method.function.name == function)
    }

    /// What a type means in a file.
    pub(super) fn kind<'a>(
        &'a self,
        scope: Scope,
        name: &'a TypeName,
    ) -> Result<Kind<'a>, Mistake> {
        self.kind_behind(scope, name).map_err(|mistake| match name {
            // The place may be in another file.
            TypeName::Named(reference) => Mistake::new(reference.at, mistake.what),
            _ => mistake,
        })
    }

    fn kind_behind<'a>(&'a self, scope: Scope, name: &'a TypeName) -> Result<Kind<'a>, Mistake> {
        let (mut scope, mut name) = (scope, name);
        // As many typedefs as may follow on each other.
        for _ in 0..limits::IDL_DEPTH {
            let reference = match name {
                TypeName::Base(base) => return Ok(Kind::Base(*base)),
                TypeName::List(of) => return Ok(Kind::List(scope, of)),
                TypeName::Set(of) => return Ok(Kind::Set(scope, of)),
                TypeName::Map(key, value) => return Ok(Kind::Map(scope, key, value)),
                TypeName::Named(reference) => reference,
            };
            let (found, definition) = self.lookup(scope, reference, "type")?;
            scope = found;
            match &definition.what {
                What::Typedef(of) => name = of,
                What::Enum(members) => return Ok(Kind::Enum(&definition.name, members)),
                What::Struct(form, fields) => {
                    return Ok(Kind::Struct(StructKind {
                        scope,
                        name: &definition.name,
                        form: *form,
                        fields,
                    }));
                }
                What::Const(_) => return Err(mismatch(reference, "a type", "a constant")),
                What::Service(_) => return Err(mismatch(reference, "a type", "a service")),
            }
        }
        let TypeName::Named(reference) = name else {
            return Err(Mistake::new(0, "too many typedefs"));
        };
        let what = format!("the typedef {} never comes to a type", reference.name);
        Err(Mistake::new(reference.at, what))
    }

    /// A constant as JSON.
    pub(super) fn value(&self, scope: Scope, constant: &Constant) -> Result<Json, Mistake> {
        let mut constants = Constants {
            idl: self,
            depth: 0,
            values: 0,
        };
        constants.value(scope, constant)
    }

    fn definition(&self, scope: Scope, name: &str) -> Option<&Definition> {
        let file = &self.files[scope.0];
        let index = file.definitions.get(name)?;
        file.document.definitions.get(*index)
    }

    /// What a name means in a file: its own, or `included.Name`.
    fn lookup(
        &self,
        scope: Scope,
        reference: &Reference,
        wanted: &str,
    ) -> Result<(Scope, &Definition), Mistake> {
        let name = &reference.name;
        let own = self.definition(scope, name).map(|found| (scope, found));
        let included = || {
            let (file, name) = name.split_once('.')?;
            let scope = Scope(*self.files[scope.0].includes.get(file)?);
            Some((scope, self.definition(scope, name)?))
        };
        own.or_else(included).ok_or_else(|| {
            let what = format!("there is no {wanted} {name} in this file or in those it includes");
            Mistake::new(reference.at, what)
        })
    }

    /// The functions of a service, and those of the services that it extends.
    fn methods<'a>(
        &'a self,
        scope: Scope,
        service: &'a Service,
    ) -> Result<Vec<Method<'a>>, Mistake> {
        let (mut scope, mut service) = (scope, service);
        let mut methods = Vec::new();
        for _ in 0..limits::IDL_DEPTH {
            let function = |function| Method { scope, function };
            methods.extend(service.functions.iter().map(function));
            let Some(reference) = &service.extends else {
                return Ok(methods);
            };
            let (found, definition) = self.lookup(scope, reference, "service")?;
            let What::Service(base) = &definition.what else {
                return Err(mismatch(reference, "a service", "something else"));
            };
            (scope, service) = (found, base);
        }
        let at = service.extends.as_ref().map_or(0, |reference| reference.at);
        Err(Mistake::new(
            at,
            "the services extend each other without an end",
        ))
    }

    fn check(&self, scope: Scope) -> Result<(), Mistake> {
        for definition in &self.files[scope.0].document.definitions {
            match &definition.what {
                What::Const(constant) => drop(self.value(scope, constant)?),
                What::Typedef(kind) => self.check_kind(scope, kind)?,
                What::Enum(_) => {}
                What::Struct(form, fields) => {
                    let strict = self.strict && *form != Form::Union;
                    self.check_fields(scope, fields, strict.then_some(&definition.name))?;
                }
                What::Service(service) => {
                    let methods = self.methods(scope, service);
                    methods.map_err(|mistake| match &service.extends {
                        Some(reference) => Mistake::new(reference.at, mistake.what),
                        None => mistake,
                    })?;
                    for function in &service.functions {
                        self.check_fields(scope, &function.arguments, None)?;
                        self.check_fields(scope, &function.throws, None)?;
                        if let Some(kind) = &function.returns {
                            self.check_kind(scope, kind)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn check_fields(
        &self,
        scope: Scope,
        fields: &[Field],
        strict: Option<&String>,
    ) -> Result<(), Mistake> {
        for field in fields {
            self.check_kind(scope, &field.kind)?;
            if let Some(default) = &field.default {
                self.value(scope, default)?;
            }
            let vague = field.presence == Presence::Unmarked && field.default.is_none();
            if let (true, Some(of)) = (vague, strict) {
                let what = format!(
                    "{} of {of} is neither required nor optional and has no default; --no-strict \
                     lets that pass",
                    field.name
                );
                return Err(Mistake::new(field.at, what));
            }
        }
        Ok(())
    }

    fn check_kind(&self, scope: Scope, kind: &TypeName) -> Result<(), Mistake> {
        match kind {
            TypeName::Base(_) => Ok(()),
            TypeName::List(of) | TypeName::Set(of) => self.check_kind(scope, of),
            TypeName::Map(key, value) => {
                self.check_kind(scope, key)?;
                self.check_kind(scope, value)
            }
            TypeName::Named(_) => self.kind(scope, kind).map(drop),
        }
    }

    /// Reads a file, unless it is there already.
    fn file(&mut self, path: &Path) -> Result<usize, BadIdl> {
        if let Some(known) = self.files.iter().position(|file| file.path == path) {
            return Ok(known);
        }
        let text = read(path)?;
        if self.files.len() >= limits::IDL_FILES {
            let why = format!("more than {} files", limits::IDL_FILES);
            return Err(unreadable(path, &why));
        }
        let (document, mistake) = match syntax::parse(&text) {
            Ok(document) => (document, None),
            Err(mistake) => (Document::default(), Some(mistake)),
        };
        self.files.push(File {
            path: path.into(),
            text,
            document,
            includes: HashMap::new(),
            definitions: HashMap::new(),
        });
        let scope = Scope(self.files.len() - 1);
        if let Some(mistake) = mistake {
            return Err(self.bad(scope, mistake));
        }
        self.index(scope)
            .map_err(|mistake| self.bad(scope, mistake))?;
        Ok(scope.0)
    }

    fn index(&mut self, scope: Scope) -> Result<(), Mistake> {
        let File {
            document,
            definitions,
            ..
        } = &mut self.files[scope.0];
        for (index, definition) in document.definitions.iter().enumerate() {
            let other = definitions.insert(definition.name.clone(), index);
            if other.is_some() {
                let what = format!("a second definition of {}", definition.name);
                return Err(Mistake::new(definition.at, what));
            }
        }
        Ok(())
    }

    fn includes_of(&mut self, file: usize) -> Result<(), BadIdl> {
        let beside = self.files[file].path.clone();
        let beside = beside.parent().unwrap_or(Path::new(""));
        let includes = std::mem::take(&mut self.files[file].document.includes);
        for include in includes {
            let path = Path::new(&include.path);
            let bad =
                |idl: &Self, what: String| idl.bad(Scope(file), Mistake::new(include.at, what));
            if path.is_absolute() {
                let what =
                    "an included path starts from the file: expected one without a / in front";
                return Err(bad(self, what.into()));
            }
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else {
                return Err(bad(self, "expected the path of a file".into()));
            };
            let included = match self.file(&tidied(&beside.join(path))) {
                Err(BadIdl::File { file, why }) => {
                    return Err(bad(self, format!("cannot include {file}: {why}")));
                }
                included => included?,
            };
            self.files[file].includes.insert(name.into(), included);
        }
        Ok(())
    }

    fn bad(&self, scope: Scope, mistake: Mistake) -> BadIdl {
        let file = &self.files[scope.0];
        let (line, column) = line_and_column(&file.text, mistake.at);
        BadIdl::Place {
            file: file.path.display().to_string(),
            line,
            column,
            what: mistake.what,
        }
    }
}

/// Constants that stand for constants, without going round, and without growing beyond bounds.
struct Constants<'a> {
    idl: &'a Idl,
    depth: usize,
    values: usize,
}

impl Constants<'_> {
    fn value(&mut self, scope: Scope, constant: &Constant) -> Result<Json, Mistake> {
        self.values += 1;
        Ok(match constant {
            Constant::Integer(number) => (*number).into(),
            Constant::Double(number) => (*number).into(),
            Constant::Text(text) => text.as_str().into(),
            Constant::List(values) => {
                let values = values.iter().map(|value| self.value(scope, value));
                Json::Array(values.collect::<Result<_, _>>()?)
            }
            Constant::Map(pairs) => {
                let mut map = serde_json::Map::new();
                for (key, value) in pairs {
                    let key = match self.value(scope, key)? {
                        Json::String(key) => key,
                        key => key.to_string(),
                    };
                    map.insert(key, self.value(scope, value)?);
                }
                Json::Object(map)
            }
            Constant::Named(reference) => match reference.name.as_str() {
                "true" => true.into(),
                "false" => false.into(),
                _ => self.named(scope, reference)?,
            },
        })
    }

    /// A constant, or a member of an enum, by its name.
    fn named(&mut self, scope: Scope, reference: &Reference) -> Result<Json, Mistake> {
        let bad = |what: &str| Mistake::new(reference.at, format!("{} {what}", reference.name));
        if let Some((of, member)) = reference.name.rsplit_once('.') {
            let of = Reference {
                at: reference.at,
                name: of.into(),
            };
            if let Ok((_, definition)) = self.idl.lookup(scope, &of, "enum")
                && let What::Enum(members) = &definition.what
                && members.iter().any(|(name, _)| name == member)
            {
                return Ok(member.into());
            }
        }
        if self.depth >= limits::IDL_DEPTH {
            return Err(bad("never comes to a value"));
        }
        if self.values >= limits::IDL_WORDS {
            return Err(bad("stands for too many values"));
        }
        let (scope, definition) = self.idl.lookup(scope, reference, "constant")?;
        let What::Const(constant) = &definition.what else {
            return Err(mismatch(reference, "a constant", "something else"));
        };
        self.depth += 1;
        let value = self.value(scope, constant);
        self.depth -= 1;
        // A place in the other's file would be looked up in this one.
        value.map_err(|mistake| Mistake::new(reference.at, mistake.what))
    }
}

fn mismatch(reference: &Reference, expected: &str, found: &str) -> Mistake {
    let what = format!("expected {expected}: {} is {found}", reference.name);
    Mistake::new(reference.at, what)
}

fn unreadable(path: &Path, why: &str) -> BadIdl {
    BadIdl::File {
        file: path.display().to_string(),
        why: why.into(),
    }
}

fn read(path: &Path) -> Result<String, BadIdl> {
    let error = |error: std::io::Error| unreadable(path, &error.to_string());
    let length = std::fs::metadata(path).map_err(error)?.len();
    if length > limits::IDL_BYTES {
        let why = format!("longer than {} bytes", limits::IDL_BYTES);
        return Err(unreadable(path, &why));
    }
    std::fs::read_to_string(path).map_err(error)
}

/// Without `.` and `a/..`, so that a file that is included in two ways is read once.
fn tidied(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(tidy.components().next_back(), Some(Component::Normal(_))) =>
            {
                tidy.pop();
            }
            component => tidy.push(component),
        }
    }
    tidy
}
