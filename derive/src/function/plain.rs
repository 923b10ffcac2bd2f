//! What is plain Rust for sure, as it is written.

use proc_macro2::Ident;
use syn::{BinOp, Expr, Lit, UnOp};

/// Methods of the standard library that give a `bool`; those of tensors can fail, and are followed by `?`.
const BOOL_METHODS: &[&str] = &[
    "all",
    "any",
    "contains",
    "contains_key",
    "ends_with",
    "is_empty",
    "is_err",
    "is_finite",
    "is_multiple_of",
    "is_nan",
    "is_none",
    "is_ok",
    "is_power_of_two",
    "is_some",
    "starts_with",
];

/// Methods of the standard library that give an iterator.
const ITERATOR_METHODS: &[&str] = &[
    "chain",
    "chars",
    "chunks",
    "cloned",
    "copied",
    "drain",
    "enumerate",
    "filter",
    "into_iter",
    "iter",
    "iter_mut",
    "keys",
    "map",
    "rev",
    "skip",
    "step_by",
    "take",
    "values",
    "windows",
    "zip",
];

/// Whether a condition is a `bool`: a comparison, a pattern, a literal, a variable that was declared as one.
pub fn is_bool(condition: &Expr, is_variable: &dyn Fn(&Ident) -> bool) -> bool {
    match condition {
        Expr::Paren(paren) => is_bool(&paren.expr, is_variable),
        Expr::Group(group) => is_bool(&group.expr, is_variable),
        Expr::Let(_) => true,
        Expr::Lit(lit) => matches!(lit.lit, Lit::Bool(_)),
        Expr::Unary(unary) => matches!(unary.op, UnOp::Not(_)) && is_bool(&unary.expr, is_variable),
        Expr::Binary(binary) => {
            use BinOp::*;
            matches!(binary.op, Lt(_) | Le(_) | Gt(_) | Ge(_) | Eq(_) | Ne(_) | And(_) | Or(_))
        }
        Expr::Path(path) => path.path.get_ident().is_some_and(is_variable),
        Expr::Macro(call) => call.mac.path.segments.last().is_some_and(|name| name.ident == "matches"),
        Expr::MethodCall(call) => BOOL_METHODS.contains(&&*call.method.to_string()),
        _ => false,
    }
}

/// Whether what a `for` goes through is no tensor.
pub fn is_iterator(of: &Expr) -> bool {
    match of {
        Expr::Paren(paren) => is_iterator(&paren.expr),
        Expr::Range(_) | Expr::Array(_) => true,
        Expr::Reference(reference) => is_iterator(&reference.expr),
        Expr::MethodCall(call) => ITERATOR_METHODS.contains(&&*call.method.to_string()),
        _ => false,
    }
}
