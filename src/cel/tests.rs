//! Expressions, from the text to the value.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::*;

struct Object(Json);

impl Object {
    fn typed() -> Type {
        let text = || Type::list(Type::Text);
        let fields = |name: &str, fields: Vec<(&str, Type)>| {
            let fields: BTreeMap<Box<str>, Type> =
                fields.into_iter().map(|(name, found)| (name.into(), found)).collect();
            Type::Object(std::sync::Arc::new(ObjectFields { name: name.into(), fields }))
        };
        let spec = fields(
            "a Spec",
            vec![
                ("replicas", Type::Int),
                ("serviceName", Type::Text),
                ("args", text()),
                ("limit", Type::Dyn),
            ],
        );
        fields("a StatefulSet", vec![("spec", spec), ("labels", Type::map(Type::Text))])
    }
}

impl VariableTypes for Object {
    fn variable(&self, name: &str) -> Option<Type> {
        match name {
            "object" => Some(Self::typed()),
            "any" => Some(Type::Dyn),
            "services" => Some(Type::list(Type::Dyn)),
            _ => None,
        }
    }

    fn derived(&self, name: &str) -> Option<Type> {
        (name == "three").then_some(Type::Int)
    }

    fn all(&self) -> Vec<String> {
        ["object", "any", "services"].map(str::to_owned).to_vec()
    }
}

impl<'v> VariableValues<'v> for &'v Object {
    fn variable(&self, name: &str, _: &mut Meter) -> Result<CelValue<'v>, Failure> {
        if name == "services" { Err(Failure::Unknown("services")) } else { Ok((&self.0).into()) }
    }

    fn derived(&self, _: &str, _: &mut Meter) -> Result<CelValue<'v>, Failure> {
        Ok(CelValue::Int(3))
    }
}

fn object() -> Object {
    Object(json!({
        "spec": {"replicas": 3, "serviceName": "zk", "args": ["--a", "--b=1"], "limit": "50%", "none": null},
        "labels": {"app.kubernetes.io/name": "zk", "tier": "gold"},
    }))
}

fn evaluated(text: &str, steps: u64) -> Result<String, Failure> {
    let object = object();
    let program =
        Program::compile(text, &object, &Type::Dyn).unwrap_or_else(|error| panic!("{text}: {error}"));
    let value = program.evaluate(&&object, &mut Meter::new(steps));
    value.map(|value| match value {
        CelValue::Text(text) => text.as_str().to_owned(),
        CelValue::Int(number) => number.to_string(),
        CelValue::Double(number) => format!("{number:?}"),
        CelValue::Bool(value) => value.to_string(),
        CelValue::List(list) => format!("{} items", list.len()),
        other => format!("{other:?}"),
    })
}

#[test]
fn values() {
    for (text, value) in [
        ("1 + 2 * 3 - 4 / 2", "5"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("7 % 4 == 3 && !(1 > 2)", "true"),
        ("0x1F + -1", "30"),
        ("1.5e3 + .5", "1500.5"),
        ("1 == 1.0 && 1 < 1.5 && 2 > 1.5", "true"),
        ("'a' + \"b\" + r'\\d' + '''c\n''' + '\\u00e9\\x41\\101'", "ab\\dc\néAA"),
        ("object.spec.replicas", "3"),
        ("object.spec['replicas'] == variables.three", "true"),
        ("object.labels['app.kubernetes.io/name'] == object.labels.`app.kubernetes.io/name`", "true"),
        ("has(object.spec.serviceName) && !has(object.labels.none)", "true"),
        ("has(any.spec.none)", "false"),
        ("any.spec.?none.orValue(7)", "7"),
        ("object.labels.?x.orValue('none') + object.labels[?'tier'].orValue('')", "nonegold"),
        ("any.?a.b.c.hasValue()", "false"),
        ("object.spec.args.all(a, a.startsWith('--'))", "true"),
        ("object.spec.args.exists(a, a.matches('^--b=[0-9]$'))", "true"),
        ("object.spec.args.exists_one(a, a.contains('='))", "true"),
        ("object.spec.args.map(a, a.contains('='), a.split('=')[1])[0]", "1"),
        ("object.spec.args.filter(a, a in ['--a']).size()", "1"),
        ("object.labels.all(key, size(object.labels[key]) > 0)", "true"),
        ("'tier' in object.labels && !('x' in object.labels)", "true"),
        ("object.spec.replicas > 2 ? 'many' : 'few'", "many"),
        ("{'a': 1, 'b': 2}.b + [1, 2, 3][2]", "5"),
        ("type(any.spec.limit) == string && type(1) == int", "true"),
        ("quantity('1.5Gi').isGreaterThan(quantity('1500Mi'))", "true"),
        (
            "quantity('1e3').compareTo(quantity('1k')) == 0 && quantity('500m').add(quantity('0.5')).asInteger() == 1",
            "true",
        ),
        ("isQuantity('10Gi') && !isQuantity('10 GB') && !isQuantity('')", "true"),
        ("int('42') + int(1.9) + size('zk') + size(object.labels)", "47"),
        ("string(1) + string(true) + string(1.5)", "1true1.5"),
        ("'%s has %d of %s, 100%%'.format(['zk', 3, [1, 2]])", "zk has 3 of [1, 2], 100%"),
        (
            "['a', 'b'].join(', ') + 'Abc'.lowerAscii() + 'abc'.substring(1, 2) + 'abc'.replace('b', 'x')",
            "a, babcbaxc",
        ),
        ("'a,b,c'.split(',').size() + 'abc'.indexOf('c') + 'abab'.lastIndexOf('b')", "8"),
        ("'abc'.split('').size() + 'abc'.split('', 2).size()", "5"),
        ("'zk-1 zk-22'.findAll('[0-9]+').join('+') + 'x1'.find('[0-9]')", "1+221"),
        ("[3, 1, 2].max() + [3, 1, 2].min() + [1, 2].sum()", "7"),
        ("sets.contains([1, 2], [2]) && sets.intersects([1], [1, 2]) && !sets.equivalent([1], [2])", "true"),
        ("optional.of(1).orValue(2) + optional.none().orValue(3)", "4"),
        ("true || services.exists(s, s.x)", "true"),
        ("1 / 0 == 1 || true", "true"),
        ("[0, 1].exists(x, 1 / x == 1)", "true"),
        ("// what it says\n object.spec.replicas // is 3\n == 3", "true"),
    ] {
        assert_eq!(evaluated(text, 10_000).as_deref(), Ok(value), "{text}");
    }
}

#[test]
fn what_has_no_value() {
    for (text, failure) in [
        ("any.spec.none", "no field `none`"),
        ("any.spec.replicas.x", "int has no field `x`"),
        ("[1][1]", "no item 1 in a list of 1"),
        ("1 / 0", "a division by zero"),
        ("9223372036854775807 + 1", "a whole number of 64 bits overflows"),
        ("any.spec.replicas && true", "expected true or false, found int"),
        ("int('x')", "the text is not a whole number"),
        ("false || services.exists(s, s.x)", "services is not known"),
        ("1 / 0 == 1 || size(services) == 0", "services is not known"),
        ("'a'.matches(any.spec.serviceName + '(')", "the text is not a pattern, or too large a one"),
    ] {
        assert_eq!(evaluated(text, 50_000).unwrap_err().to_string(), failure, "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, offset, message) in [
        ("object.spec.", 12, "expected the name of a field, found the end of the expression"),
        ("object.spec.replicas ==", 23, "expected a value, found the end of the expression"),
        ("object.spec.replicas = 3", 21, "`=` is no operator; to compare write `==`"),
        ("a b", 2, "expected an operator or the end, found `b`"),
        ("'abc", 0, "the text is not closed"),
        (
            "'a\\d'",
            2,
            "`\\d` is not an escape; write `\\\\` for a backslash, or r\"…\" for a text without escapes",
        ),
        ("object.spec.replica == 3", 0, "a Spec has no field `replica`; did you mean \"replicas\"?"),
        ("true && object.spec.args.all(a, a.x == 1)", 32, "a text has no fields, so there is no `x`"),
        (
            "objekt.spec",
            0,
            "there is no variable `objekt`; did you mean \"object\"?; there are object, any, services",
        ),
        ("variables.four", 0, "the policy defines no variable `four` in `variables` before this"),
        ("object.spec.replicas == '3'", 0, "`==` does not work on a whole number and a text"),
        ("object.spec.replicas + '3'", 0, "`+` does not work on a whole number and a text"),
        ("size(1)", 0, "size() does not take a whole number"),
        ("'a'.startWith('a')", 4, "there is no function startWith(); did you mean \"startsWith\"?"),
        ("contains('a', 'b')", 0, "contains() is a method: write value.contains(…)"),
        ("quantity('1').quantity('2')", 14, "quantity() is no method: write quantity(…)"),
        ("'a'.matches('(')", 12, "not a pattern: error: unclosed group"),
        ("has(object)", 0, "has() takes a field, as in has(object.spec)"),
        ("[1].all(1, true)", 8, "the first argument is a name for the items, as in list.all(item, …)"),
        ("namespace == 1", 0, "`namespace` is a reserved word"),
        ("99999999999999999999", 0, "not a whole number of 64 bits"),
        ("1u", 1, "there are no unsigned numbers here; leave the `u` out"),
    ] {
        let error = Program::compile(text, &object(), &Type::Dyn).unwrap_err();
        assert_eq!((error.offset, &*error.message), (offset, message), "{text}");
    }
    let error = Program::compile("object.spec.replicas", &object(), &Type::Bool).unwrap_err();
    assert_eq!(error.message, "the expression is to give true or false, and gives a whole number");
}

#[test]
fn reads_are_known() {
    let text = "services.all(any, any.x == object.spec.replicas) && variables.three > 1";
    let program = Program::compile(text, &object(), &Type::Bool).unwrap();
    assert_eq!(program.reads().into_iter().collect::<Vec<_>>(), ["object", "services", "variables.three"]);
}

#[test]
fn nothing_that_is_nested_overflows_the_stack() {
    for n in [41, 500, 2000] {
        for text in [
            "(".repeat(n) + "1" + &")".repeat(n),
            "[".repeat(n),
            "{'a':".repeat(n),
            "true ? 1 : ".repeat(n) + "2",
            "!".repeat(n) + "true",
            "-".repeat(n) + "1",
            "1".to_owned() + &" + 1".repeat(n.max(100)),
            "any".to_owned() + &".a".repeat(n.max(100)),
            "any".to_owned() + &"[0]".repeat(n.max(100)),
            "any".to_owned() + &".size()".repeat(n.max(100)),
            "any.map(x, ".repeat(n) + "x" + &")".repeat(n),
        ] {
            let text = &text[..text.len().min(ast::LONGEST)];
            assert!(Program::compile(text, &object(), &Type::Dyn).is_err(), "{text}");
        }
    }
    assert!(Program::compile(&" ".repeat(ast::LONGEST + 1), &object(), &Type::Dyn).is_err());
    let long = ["any.spec.replicas == 3"; 300].join(" || ");
    assert_eq!(evaluated(&long, 10_000).as_deref(), Ok("true"), "alternatives are side by side");
}

#[test]
fn what_costs_too_much_is_refused_or_ends() {
    let nested = "any.all(a, any.all(b, any.all(c, any.all(d, a == b && c == d))))";
    assert!(Program::compile(nested, &object(), &Type::Dyn).unwrap_err().message.starts_with("too costly"));
    let ten = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]";
    let list = format!("{ten}.map(a, {ten}.map(b, {ten}.map(c, {ten}.map(d, {ten}))))");
    let growing = "any.spec.serviceName".to_owned() + &".replace('', 'zkzkzkzk')".repeat(40);
    let doubling = format!("[{}].size()", ["any.spec.args.map(a, any.spec.args)"; 60].join(","));
    for text in [list, growing, "'(a{50}){50}'.matches(any.spec.serviceName + 'a{900}')".to_owned(), doubling]
    {
        let object = object();
        if let Ok(program) = Program::compile(&text, &object, &Type::Dyn) {
            let mut meter = Meter::new(20_000);
            let failed = program.evaluate(&&object, &mut meter).is_err();
            assert!(failed || meter.left() > 0, "{text}");
        }
    }
    assert_eq!(evaluated("any.spec.args.all(a, a != 'x')", 5), Err(Failure::TooCostly));
    assert_eq!(evaluated("any.spec.args.all(a, a != 'x') || true", 5), Err(Failure::TooCostly));
}
