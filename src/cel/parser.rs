//! From tokens to a tree.

use super::CompileError;
use super::ast::{Access, CelNode, CelOperator, Expr, LONGEST, MAX_HEIGHT};
use super::functions;
use super::lexer::{CelToken, Spanned, tokens};
use super::macros::{folding, macro_named};
use super::pattern;

/// How deep parentheses, lists and signs may be nested.
const MAX_NESTING: usize = 40;

const RESERVED: [&str; 19] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "package",
    "namespace",
    "null",
    "return",
    "var",
    "void",
    "while",
];

/// Operators by how strongly they bind, the weakest first.
const BINARY: [&[(&str, CelOperator)]; 3] = [
    &[
        ("==", CelOperator::Equal),
        ("!=", CelOperator::NotEqual),
        ("<", CelOperator::Less),
        ("<=", CelOperator::LessOrEqual),
        (">", CelOperator::Greater),
        (">=", CelOperator::GreaterOrEqual),
    ],
    &[("+", CelOperator::Add), ("-", CelOperator::Subtract)],
    &[("*", CelOperator::Multiply), ("/", CelOperator::Divide), ("%", CelOperator::Remainder)],
];

type Parsed = Result<CelNode, CompileError>;

pub(super) fn parse(text: &str) -> Parsed {
    if text.len() > LONGEST {
        let message = format!("an expression may be {LONGEST} bytes long; this one has {}", text.len());
        return Err(CompileError { offset: 0, message });
    }
    let mut parser = CelParser { tokens: tokens(text)?, at: 0, nesting: 0 };
    let root = parser.expression()?;
    match parser.token() {
        CelToken::End => Ok(root),
        token => {
            let found = token.shown();
            parser.wrong(format!("expected an operator or the end, found {found}"))
        }
    }
}

struct CelParser {
    tokens: Vec<Spanned>,
    at: usize,
    nesting: usize,
}

impl CelParser {
    fn token(&self) -> &CelToken {
        self.tokens.get(self.at).map_or(&CelToken::End, |spanned| &spanned.token)
    }

    fn start(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |spanned| spanned.start)
    }

    fn wrong<T>(&self, message: impl Into<String>) -> Result<T, CompileError> {
        Err(CompileError { offset: self.start(), message: message.into() })
    }

    fn node(&self, start: usize, expr: Expr) -> Parsed {
        let node = CelNode::new(start, expr);
        if node.height > MAX_HEIGHT {
            return self.wrong(format!("the expression is more than {MAX_HEIGHT} operations deep"));
        }
        Ok(node)
    }

    /// Takes a symbol if it is the next token.
    fn accept(&mut self, symbol: &str) -> bool {
        let is_next = matches!(self.token(), CelToken::Symbol(next) if *next == symbol);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, symbol: &str) -> Result<(), CompileError> {
        if self.accept(symbol) {
            return Ok(());
        }
        let found = self.token().shown();
        self.wrong(format!("expected `{symbol}`, found {found}"))
    }

    /// Parses what is nested one level deeper.
    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        if self.nesting == MAX_NESTING {
            return self.wrong(format!("nested more than {MAX_NESTING} levels deep"));
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    fn expression(&mut self) -> Parsed {
        self.nested(|parser| {
            let start = parser.start();
            let condition = parser.either()?;
            if !parser.accept("?") {
                return Ok(condition);
            }
            let yes = parser.either()?;
            parser.expect(":")?;
            let no = parser.expression()?;
            parser.node(start, Expr::Conditional(Box::new([condition, yes, no])))
        })
    }

    fn either(&mut self) -> Parsed {
        self.chain("||", Self::both, Expr::Or)
    }

    fn both(&mut self) -> Parsed {
        self.chain("&&", |parser| parser.binary(0), Expr::And)
    }

    fn chain(
        &mut self,
        symbol: &str,
        parse: impl Fn(&mut Self) -> Parsed,
        join: impl Fn(Vec<CelNode>) -> Expr,
    ) -> Parsed {
        let start = self.start();
        let first = parse(self)?;
        let mut nodes = vec![first];
        while self.accept(symbol) {
            nodes.push(parse(self)?);
        }
        match nodes.pop() {
            Some(only) if nodes.is_empty() => Ok(only),
            Some(last) => {
                nodes.push(last);
                self.node(start, join(nodes))
            }
            None => self.wrong("expected a value"),
        }
    }

    fn binary(&mut self, strength: usize) -> Parsed {
        let Some(operators) = BINARY.get(strength) else { return self.unary() };
        let start = self.start();
        let mut left = self.binary(strength + 1)?;
        while let Some(operator) = self.operator(operators, strength == 0) {
            let right = self.binary(strength + 1)?;
            left = self.node(start, Expr::Binary(operator, Box::new([left, right])))?;
        }
        Ok(left)
    }

    fn operator(&mut self, operators: &[(&str, CelOperator)], is_relation: bool) -> Option<CelOperator> {
        let found = match self.token() {
            CelToken::Symbol(symbol) => {
                operators.iter().find(|(known, _)| known == symbol).map(|(_, operator)| *operator)
            }
            CelToken::Name(name) if is_relation && &**name == "in" => Some(CelOperator::In),
            _ => None,
        };
        self.at += usize::from(found.is_some());
        found
    }

    fn unary(&mut self) -> Parsed {
        let start = self.start();
        if self.accept("!") {
            let of = self.nested(Self::unary)?;
            return self.node(start, Expr::Not(Box::new(of)));
        }
        if self.accept("-") {
            if *self.token() == CelToken::IntTooLarge {
                self.at += 1;
                return self.node(start, Expr::Int(i64::MIN));
            }
            let of = self.nested(Self::unary)?;
            return self.node(start, Expr::Negate(Box::new(of)));
        }
        self.member()
    }

    fn member(&mut self) -> Parsed {
        let mut node = self.primary()?;
        loop {
            if self.accept(".") {
                node = self.after_dot(node)?;
            } else if self.accept("[") {
                let mode = if self.accept("?") { Access::Optional } else { Access::Plain };
                let key = self.expression()?;
                self.expect("]")?;
                let (of, key) = (Box::new(node), Box::new(key));
                node = self.node(of.start, Expr::Index { of, key, mode })?;
            } else {
                return Ok(node);
            }
        }
    }

    fn after_dot(&mut self, of: CelNode) -> Parsed {
        let mode = if self.accept("?") { Access::Optional } else { Access::Plain };
        let (at, field) = (self.start(), self.field()?);
        if mode == Access::Plain && self.accept("(") {
            return self.method(of, field, at);
        }
        if let Some(kind) = dotted(&of).and_then(|of| functions::kind(&format!("{of}.{field}"))) {
            return self.node(of.start, Expr::Name(kind.into()));
        }
        match of.expr {
            Expr::Name(name) if &*name == "variables" => self.node(of.start, Expr::Derived(field)),
            _ => self.node(of.start, Expr::Select { of: Box::new(of), field, mode }),
        }
    }

    fn field(&mut self) -> Result<Box<str>, CompileError> {
        match self.token().clone() {
            CelToken::Name(name) | CelToken::Quoted(name) => {
                self.at += 1;
                Ok(name)
            }
            token => self.wrong(format!("expected the name of a field, found {}", token.shown())),
        }
    }

    fn primary(&mut self) -> Parsed {
        let start = self.start();
        let expr = match self.token().clone() {
            CelToken::Int(number) => Expr::Int(number),
            CelToken::Double(number) => Expr::Double(number),
            CelToken::Text(text) => Expr::Text(text),
            CelToken::IntTooLarge => return self.wrong("not a whole number of 64 bits"),
            CelToken::Name(name) => return self.named(start, name),
            // From the outermost names.
            CelToken::Symbol(".") => {
                self.at += 1;
                let name = self.field()?;
                return self.node(start, Expr::Name(name));
            }
            CelToken::Symbol("(") => {
                self.at += 1;
                let node = self.expression()?;
                self.expect(")")?;
                return Ok(node);
            }
            CelToken::Symbol("[") => {
                self.at += 1;
                let items = self.list("]")?;
                return self.node(start, Expr::List(items));
            }
            CelToken::Symbol("{") => {
                self.at += 1;
                return self.map(start);
            }
            token => return self.wrong(format!("expected a value, found {}", token.shown())),
        };
        self.at += 1;
        self.node(start, expr)
    }

    fn named(&mut self, start: usize, name: Box<str>) -> Parsed {
        let expr = match &*name {
            "true" => Expr::Bool(true),
            "false" => Expr::Bool(false),
            "null" => Expr::Null,
            reserved if RESERVED.contains(&reserved) => {
                return self.wrong(format!("`{reserved}` is a reserved word"));
            }
            _ => {
                self.at += 1;
                if self.accept("(") {
                    return self.call(start, name);
                }
                return self.node(start, Expr::Name(name));
            }
        };
        self.at += 1;
        self.node(start, expr)
    }

    /// Items up to a closing bracket, with or without a comma after the last.
    fn list(&mut self, end: &str) -> Result<Vec<CelNode>, CompileError> {
        let mut items = Vec::new();
        while !self.accept(end) {
            items.push(if end == "]" { self.entry()? } else { self.expression()? });
            if !self.accept(",") {
                self.expect(end)?;
                break;
            }
        }
        Ok(items)
    }

    /// An item of a list, which is optional after a `?`.
    fn entry(&mut self) -> Parsed {
        let (start, is_optional) = (self.start(), self.accept("?"));
        let value = self.expression()?;
        if is_optional { self.node(start, Expr::IfPresent(Box::new(value))) } else { Ok(value) }
    }

    fn map(&mut self, start: usize) -> Parsed {
        let mut entries = Vec::new();
        while !self.accept("}") {
            let (at, is_optional) = (self.start(), self.accept("?"));
            let key = self.expression()?;
            self.expect(":")?;
            let value = self.expression()?;
            let value = if is_optional { self.node(at, Expr::IfPresent(Box::new(value)))? } else { value };
            entries.push((key, value));
            if !self.accept(",") {
                self.expect("}")?;
                break;
            }
        }
        self.node(start, Expr::Map(entries))
    }

    fn call(&mut self, start: usize, function: Box<str>) -> Parsed {
        let mut args = self.list(")")?;
        if &*function != "has" {
            return self.function(start, function, false, args);
        }
        let tested = if args.len() == 1 { args.pop() } else { None };
        match tested.map(|node| node.expr) {
            Some(Expr::Select { of, field, mode: Access::Plain }) => {
                self.node(start, Expr::Select { of, field, mode: Access::Test })
            }
            _ => Err(CompileError {
                offset: start,
                message: "has() takes a field, as in has(object.spec)".into(),
            }),
        }
    }

    fn method(&mut self, of: CelNode, name: Box<str>, at: usize) -> Parsed {
        let mut args = self.list(")")?;
        if let Expr::Name(prefix) = &of.expr {
            let qualified = format!("{prefix}.{name}");
            if functions::is_known(&qualified) {
                return self.function(of.start, qualified.into(), false, args);
            }
        }
        if let Some((kind, names)) = macro_named(&name, args.len()) {
            let start = of.start;
            return self.node(start, Expr::Fold(Box::new(folding(kind, names, of, args)?)));
        }
        args.insert(0, of);
        self.function(at, name, true, args)
    }

    fn function(&mut self, start: usize, function: Box<str>, is_method: bool, args: Vec<CelNode>) -> Parsed {
        let regex = match (&*function, args.get(1)) {
            ("matches" | "find" | "findAll", Some(CelNode { expr: Expr::Text(text), start, .. })) => {
                let regex = pattern::compile(text)
                    .map_err(|why| CompileError { offset: *start, message: format!("not a pattern: {why}") });
                Some(Box::new(regex?))
            }
            _ => None,
        };
        self.node(start, Expr::Call { function, is_method, args, regex })
    }
}

/// `google.protobuf` as one name.
fn dotted(node: &CelNode) -> Option<String> {
    match &node.expr {
        Expr::Name(name) => Some(name.to_string()),
        Expr::Select { of, field, mode: Access::Plain } => Some(format!("{}.{field}", dotted(of)?)),
        _ => None,
    }
}
