//! Conditions and templates over a request's facts: the one evaluation environment that checks, decisions and `explain` share.
//!
//! Not a programming language: a condition is one expression without loops or `range`, with a short list of filters and tests,
//! and a budget of work. Rule: what a condition gives is a boolean, never merely something that counts as true; what is absent
//! is an error as soon as it is worked with or compared; `is defined`, `default` and `header(name, default)` guard it.

mod facts;
mod words;

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::OnceLock;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Expression, State, UndefinedBehavior, Value, filters, tests};

pub use facts::{ENDPOINTS, Endpoint, FACTS, Fact, Facts, KEY_CARRIERS, KeyFacts};

/// Work that one condition may do, in minijinja's fuel (about one instruction, or 64 bytes of text).
const CONDITION_FUEL: u64 = 2_000;
/// Work that one template may do.
const TEMPLATE_FUEL: u64 = 50_000;
/// Largest rendered template.
const OUTPUT_LIMIT_BYTES: usize = 64 * 1024;
/// Longest source of a condition; enough for any rule a person reads.
const CONDITION_LIMIT_BYTES: usize = 8 * 1024;

/// Why a condition or a template was refused or failed. The text never holds values of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExprError {
    /// Bytes of the source that are to blame, where known.
    pub range: Option<Range<usize>>,
    /// What is wrong.
    pub message: String,
    /// What would be right, where it is known.
    pub help: Option<String>,
    /// What kind of fault it is.
    pub kind: ExprErrorKind,
}

/// What kind of fault an [`ExprError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExprErrorKind {
    /// It does not compile.
    Syntax,
    /// It names a fact that does not exist.
    UnknownFact,
    /// It fails on this request.
    Failed,
    /// The condition gave something other than true or false.
    NotBoolean,
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ExprError {}

impl ExprError {
    fn new(kind: ExprErrorKind, range: Option<Range<usize>>, message: impl Into<String>) -> Self {
        Self { range, message: message.into(), help: None, kind }
    }

    fn from_engine(kind: ExprErrorKind, error: &Error) -> Self {
        let range = error.range().filter(|range| !range.is_empty());
        // Details of faults at run time may hold what a client sent; those of the compiler hold the source alone.
        let message = match (kind, error.kind()) {
            (ExprErrorKind::Syntax, _) => error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
            (_, ErrorKind::OutOfFuel) => "it does too much work".to_owned(),
            (_, ErrorKind::UndefinedError) => "it works with a fact that is absent".to_owned(),
            (_, ErrorKind::WriteFailure) => format!("its output is larger than {} KiB", OUTPUT_LIMIT_BYTES / 1024),
            (_, kind) => kind.to_string(),
        };
        Self::new(kind, range, message)
    }
}

/// A compiled condition; cheap to share, evaluated in about a microsecond.
pub struct Condition {
    compiled: Expression<'static, 'static>,
    source: String,
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.source).finish()
    }
}

impl Condition {
    /// Compiles an expression and refuses filters, tests and facts that do not exist.
    ///
    /// # Errors
    /// [`ExprErrorKind::Syntax`] or [`ExprErrorKind::UnknownFact`], with the place in `source`.
    pub fn compile(source: &str) -> Result<Self, ExprError> {
        static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
        if source.len() > CONDITION_LIMIT_BYTES {
            let message = format!("a condition is at most {} KiB long", CONDITION_LIMIT_BYTES / 1024);
            return Err(ExprError::new(ExprErrorKind::Syntax, None, message));
        }
        let environment = ENVIRONMENT.get_or_init(|| environment(CONDITION_FUEL));
        let compiled = environment
            .compile_expression_owned(source.to_owned())
            .map_err(|error| ExprError::from_engine(ExprErrorKind::Syntax, &error))?;
        words::check(&words::expression(source))?;
        check_facts(source, compiled.undeclared_variables(true))?;
        Ok(Self { compiled, source: source.to_owned() })
    }

    /// Returns the source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the facts that it looks at, such as `key.team`, sorted.
    pub fn facts(&self) -> Vec<String> {
        sorted(self.compiled.undeclared_variables(true))
    }

    /// Evaluates the condition over `facts` (usually [`Facts::into_value`]).
    ///
    /// # Errors
    /// [`ExprErrorKind::Failed`] or [`ExprErrorKind::NotBoolean`].
    pub fn eval(&self, facts: Value) -> Result<bool, ExprError> {
        let result = self.compiled.eval(facts).map_err(|error| ExprError::from_engine(ExprErrorKind::Failed, &error))?;
        match result.kind() {
            ValueKind::Bool => Ok(result.is_true()),
            kind => {
                let kind = if kind == ValueKind::Undefined { "absent".to_owned() } else { format!("a {kind}") };
                Err(ExprError::new(ExprErrorKind::NotBoolean, None, format!("it is {kind}, not true or false")))
            }
        }
    }
}

/// A compiled template of a header or a prompt.
pub struct Template {
    environment: Environment<'static>,
}

const TEMPLATE_NAME: &str = "template";

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template")
    }
}

impl Template {
    /// Compiles a template and refuses filters, tests and facts that do not exist.
    ///
    /// # Errors
    /// [`ExprErrorKind::Syntax`] or [`ExprErrorKind::UnknownFact`], with the place in `source`.
    pub fn compile(source: &str) -> Result<Self, ExprError> {
        let mut environment = environment(TEMPLATE_FUEL);
        let syntax = |error: Error| ExprError::from_engine(ExprErrorKind::Syntax, &error);
        environment.add_template_owned(TEMPLATE_NAME, source.to_owned()).map_err(syntax)?;
        words::check(&words::template(source))?;
        check_facts(source, environment.get_template(TEMPLATE_NAME).map_err(syntax)?.undeclared_variables(true))?;
        Ok(Self { environment })
    }

    /// Returns the facts that it looks at, such as `key.team`, sorted.
    pub fn facts(&self) -> Vec<String> {
        self.environment.get_template(TEMPLATE_NAME).map(|template| sorted(template.undeclared_variables(true))).unwrap_or_default()
    }

    /// Returns whether `text` holds template syntax at all; plain text needs no rendering.
    pub fn is_plain(text: &str) -> bool {
        !["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
    }

    /// Renders the template over `facts`. Nothing is escaped. One trailing newline of the source is dropped.
    ///
    /// # Errors
    /// [`ExprErrorKind::Failed`]; also when the output is over 64 KiB.
    pub fn render(&self, facts: Value) -> Result<String, ExprError> {
        let failed = |error: Error| ExprError::from_engine(ExprErrorKind::Failed, &error);
        let template = self.environment.get_template(TEMPLATE_NAME).map_err(failed)?;
        let mut out = Capped(Vec::new());
        template.render_captured_to(facts, &mut out).map_err(failed)?;
        String::from_utf8(out.0).map_err(|_| ExprError::new(ExprErrorKind::Failed, None, "its output is not text"))
    }
}

/// Refuses output over the cap, so that one prompt cannot fill the memory.
struct Capped(Vec<u8>);

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_LIMIT_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "output cap"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes the environment: nothing but what [`words::FILTERS`], [`words::TESTS`] and [`words::FUNCTIONS`] name.
fn environment(fuel: u64) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.add_filter("lower", filters::lower);
    environment.add_filter("upper", filters::upper);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("length", filters::length);
    environment.add_filter("default", filters::default);
    environment.add_filter("replace", filters::replace);
    environment.add_test("defined", tests::is_defined);
    environment.add_test("undefined", tests::is_undefined);
    environment.add_test("startingwith", tests::is_startingwith);
    environment.add_test("endingwith", tests::is_endingwith);
    environment.add_test("in", tests::is_in);
    environment.add_function("header", header);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(fuel));
    environment.set_recursion_limit(50);
    // For the places of errors; costs nothing where there is no error.
    environment.set_debug(true);
    environment
}

/// `header("x-tier", "")`: a header of the request in any case of its name, or the default.
fn header(state: &State, name: &str, default: Option<Value>) -> Value {
    let headers = state.lookup("headers").unwrap_or_default();
    let found = headers.get_attr(&name.to_ascii_lowercase()).unwrap_or_default();
    if found.is_undefined() { default.unwrap_or_default() } else { found }
}

/// Refuses facts that nothing provides.
fn check_facts(source: &str, used: impl IntoIterator<Item = String>) -> Result<(), ExprError> {
    for path in sorted(used) {
        if let Err(help) = facts::resolve(&path) {
            let range = words::find_path(source, &path);
            let mut error = ExprError::new(ExprErrorKind::UnknownFact, range, format!("there is no fact `{path}`"));
            error.help = Some(help);
            return Err(error);
        }
    }
    Ok(())
}

fn sorted(set: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut list: Vec<String> = set.into_iter().collect();
    list.sort();
    list
}
