//! Mistakes that only show when the words of a type are seen together.

use crate::{
    ast::{Arm, Field, Input},
    attr::{Role, literal},
    fault::Faults,
};
use quote::ToTokens;
use std::collections::HashMap;
use syn::{Lit, LitStr, PathArguments, Type};

/// Checks everything that spans more than one word.
pub fn check(input: &Input, faults: &mut Faults) {
    check_type(input, faults);
    check_generics(input, faults);
    for arm in &input.arms {
        check_arm(arm, input, faults);
        for field in &arm.fields {
            check_field(field, input, faults);
        }
    }
    check_variants(input, faults);
    if input.words.transparent.is_some() {
        check_transparent(input, faults);
    }
}

/// Whether stub implementations can stand in for the real ones; where they could not compile, they would only add to
/// the messages.
pub fn stubs_compile(input: &Input) -> bool {
    let lifetimes = input.generics.lifetimes().next().is_some();
    let sound = |field: &Field| pointer(&field.ty).is_none() && unshareable(&field.ty).is_none();
    !lifetimes && input.fields().all(sound) && input.fields().all(|field| !is_itself(field, input))
}

fn check_type(input: &Input, faults: &mut Faults) {
    let words = &input.words;
    if let Some(name) = &words.name
        && syn::parse_str::<syn::Ident>(&name.value()).is_err()
    {
        let message =
            format!("`{}` is no name for a module: such names are identifiers, as in `my_layer`", name.value());
        faults.push_at(name, message);
    }
    if let Some(package) = &words.package
        && (package.value().is_empty() || package.value().contains('>'))
    {
        faults.push_at(package, "a package is the part of `package>Type` before the `>`, and not empty");
    }
    match (&words.version, &words.migrate) {
        (Some((version, span)), None) if *version > 1 => {
            faults.push(
                *span,
                "a version above 1 needs `migrate = path`, a `fn(Config, u32) -> Result<Config>` for older configs",
            );
        }
        (None | Some((1, _)), Some(migrate)) => {
            faults.push_at(migrate, "there is nothing to migrate from before version 2; add `version = 2`");
        }
        _ => {}
    }
    if let Some(no_config) = words.no_config
        && (words.version.is_some() || words.migrate.is_some())
    {
        let message = "a type without config has no version of it; remove `no_config`, or `version` and `migrate`";
        faults.push(no_config, message);
    }
}

fn check_generics(input: &Input, faults: &mut Faults) {
    for lifetime in input.generics.lifetimes() {
        faults.push_at(lifetime, "a module owns its parts: it has no lifetime parameters; hold values, Box or Arc");
    }
    for parameter in input.generics.type_params() {
        let fields_of = |wanted: fn(&Role) -> bool| {
            input
                .fields()
                .find(move |field| wanted(&field.role) && parameter.ident == field.ty.to_token_stream().to_string())
        };
        let part = fields_of(|role| matches!(role, Role::Part));
        let skipped = fields_of(|role| matches!(role, Role::Skip { .. }));
        if let (Some(part), Some(skipped)) = (part, skipped) {
            let message = format!(
                "`{}` is a module in field `{}` and skipped in field `{}`; give them two type parameters",
                parameter.ident, part.name, skipped.name
            );
            faults.push_at(&skipped.original.ty, message);
        }
    }
}

fn check_arm(arm: &Arm, input: &Input, faults: &mut Faults) {
    let mut paths: HashMap<String, &Field> = HashMap::new();
    let tracked: Vec<&Field> =
        arm.fields.iter().filter(|field| field.is_tracked() && field.place.flatten.is_none()).collect();
    for field in &tracked {
        if let Some(other) = paths.insert(field.key(), field) {
            // Marked at the one that was renamed: the other has its name by birth.
            let (marked, other) = if field.place.rename.is_some() { (field, other) } else { (&other, *field) };
            let token = marked.place.rename.as_ref().map_or(marked.span(), LitStr::span);
            faults.push(token, format!("the name `{}` is already used by field `{}`", field.key(), other.name));
            faults.push(other.span(), format!("the name `{}` is also given to field `{}`", field.key(), marked.name));
        }
    }
    for field in &tracked {
        if let (Some(alias), Some(literal)) = (field.alias(), &field.place.alias)
            && let Some(other) = paths.get(&alias)
        {
            faults.push_at(literal, format!("the name `{alias}` is already used by field `{}`", other.name));
        }
    }
    let settings = arm.fields.iter().filter(|field| matches!(field.role, Role::Setting { .. }));
    let settings: HashMap<String, &Field> = settings.map(|field| (field.key(), field)).collect();
    for field in arm.fields.iter().filter(|field| matches!(field.role, Role::Part)) {
        if let (Some(setting), Some(rename)) = (settings.get(&field.key()), &field.place.rename) {
            faults.push_at(rename, format!("the name `{}` is already used by field `{}`", field.key(), setting.name));
        }
    }
    let mut flattened: HashMap<String, &Field> = HashMap::new();
    for field in arm.fields.iter().filter(|field| field.place.flatten.is_some()) {
        if let Some(other) = flattened.insert(field.ty.to_token_stream().to_string(), field) {
            faults.push_at(
                &field.original.ty,
                format!(
                    "`flatten` puts the fields of a module beside those of its holder, and those of `{}` have the same \
                     names; leave one of the two unflattened",
                    other.name
                ),
            );
        }
    }
    for reserved in arm.fields.iter().filter(|field| matches!(field.role, Role::Setting { .. } | Role::Part)) {
        let is_reserved = match reserved.key().as_str() {
            "schema_version" => true,
            "variant" => input.is_enum,
            _ => false,
        };
        if is_reserved {
            faults.push(
                reserved.span(),
                format!("configs use the key `{}` themselves; take another name", reserved.key()),
            );
        }
    }
}

fn check_field(field: &Field, input: &Input, faults: &mut Faults) {
    check_type_of(field, input, faults);
    for name in field.place.rename.iter().chain(&field.place.alias) {
        if let Some(reason) = refused_part(&name.value()) {
            faults.push_at(name, reason);
        }
    }
    let place = &field.place;
    match &field.role {
        Role::Skip { .. } => {
            if let Some(span) = place.span {
                faults.push(
                    span,
                    "a skipped field has no name in checkpoints and no flags; remove `#[module(..)]` or `#[skip]`",
                );
            }
        }
        Role::Setting { .. } => {
            if let Some(span) = place.span {
                faults.push(
                    span,
                    "a setting has no place in paths; remove `#[module(..)]`, and name the field as its key",
                );
            }
        }
        Role::Variable(words) => {
            if let Some(flatten) = place.flatten {
                faults.push(flatten, "`flatten` leaves out the name of a module, so that its fields are in its place; a variable has no fields");
            }
            if let Some((_, span)) = place.trainable {
                faults.push(span, "whether a variable is trained is said in `#[variable(trainable = ..)]`");
            }
            if let Some((_, span)) = &place.default {
                faults.push(*span, "`new` asks for no variable; its first value is said in `#[variable(init = ..)]`");
            }
            if words.is_state()
                && let Some((_, span)) = &words.regularizer
            {
                faults.push(*span, "a variable that is not trained takes no regularizer; remove one of the two");
            }
            if let Some((false, span)) = words.weight
                && !words.is_state()
                && !words.is_partial
            {
                faults.push(
                    span,
                    "a variable that is trained is a weight; add `trainable = false` or remove `weight = false`",
                );
            }
            if let Some(Lit::Str(name)) = words.init.as_ref().and_then(literal)
                && words.shape.is_none()
                && !words.is_partial
                && input.words.manual_build.is_none()
            {
                let message =
                    format!("a variable that begins as \"{}\" needs a shape; add `shape = [..]`", name.value());
                faults.push_at(name, message);
            }
            let says_nothing = words.init.is_none() && words.shape.is_none() && !words.is_partial;
            if says_nothing && input.words.manual_build.is_none() {
                faults.push(
                    field.span(),
                    "a variable needs `shape = [..]`, or `init = ..` with a value that has a shape, a number or a Tensor",
                );
            }
        }
        Role::Part => {
            if let (Some(flatten), Some(_)) = (place.flatten, &place.rename) {
                faults.push(flatten, "a flattened field has no name; remove `flatten` or `rename`");
            }
        }
    }
}

/// Why a string cannot be one part of a path.
fn refused_part(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("a part of a path is not empty".to_owned());
    }
    if name.contains('/') {
        return Some(format!(
            "`{name}` is two parts of a path; a field is one: put the rest into a submodule, or use `_`"
        ));
    }
    if name.contains('.') {
        return Some(format!("`{name}` cannot be a part of a path: checkpoints keep `.` for their own keys; use `_`"));
    }
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(format!(
            "`{name}` cannot be the name of a field: numbers are the entries of a list; begin with a letter"
        ));
    }
    None
}

fn check_type_of(field: &Field, input: &Input, faults: &mut Faults) {
    let ty = &field.original.ty;
    if let Some(what) = pointer(ty) {
        let remedy = match what {
            "a function pointer" => "for a function keep an `AnyActivation` as `#[config]`, or write a module",
            _ => "use the value itself, Box or Arc",
        };
        faults.push_at(ty, format!("{what} cannot be in a module: a module owns its parts; {remedy}"));
    } else if let Some((name, instead)) = unshareable(ty) {
        faults.push_at(ty, format!("`{name}` cannot be in a module: models are shared between threads; use {instead}"));
    } else if is_itself(field, input) {
        faults.push_at(ty, "a module cannot hold itself without end; put it in a Box, as in `Option<Box<..>>`");
    }
}

/// What a type without an owner is called. How a type is spelled decides only how good the message is: none of these
/// would compile.
fn pointer(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Reference(_) => Some("a reference"),
        Type::Ptr(_) => Some("a pointer"),
        Type::FnPtr(_) => Some("a function pointer"),
        Type::Group(group) => pointer(&group.elem),
        Type::Paren(paren) => pointer(&paren.elem),
        _ => None,
    }
}

/// A type that cannot be sent between threads, by the name that nobody gives to anything else, with what to use
/// instead. Any other such type is refused by the compiler, at more length.
fn unshareable(ty: &Type) -> Option<(&'static str, &'static str)> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    if arguments.args.len() != 1 {
        return None;
    }
    match last.ident.to_string().as_str() {
        "Rc" => Some(("Rc", "Arc")),
        "RefCell" => Some(("RefCell", "Mutex")),
        _ => None,
    }
}

fn is_itself(field: &Field, input: &Input) -> bool {
    match &field.original.ty {
        Type::Path(path) => {
            path.path.is_ident("Self") || path.path.segments.len() == 1 && path.path.segments[0].ident == *input.ident
        }
        _ => false,
    }
}

fn check_variants(input: &Input, faults: &mut Faults) {
    let mut default = None;
    let mut names: HashMap<String, String> = HashMap::new();
    for variant in input.arms.iter().filter_map(|arm| arm.variant.as_ref()) {
        if let Some(span) = variant.words.default {
            match &default {
                None => default = Some(variant.ident),
                Some(first) => {
                    faults.push(span, format!("`default` is on variant `{first}` already; there can be one"))
                }
            }
        }
        if let Some(rename) = &variant.words.rename {
            if variant.words.tagged.is_none() {
                faults.push_at(
                    rename,
                    "a variant's name is in paths only where it is `tagged`; add `tagged` or remove `rename`",
                );
            }
            if let Some(reason) = refused_part(&rename.value()) {
                faults.push_at(rename, reason);
            }
        }
        if let Some(other) = names.insert(variant.name(), variant.ident.to_string()) {
            let marked = variant.words.rename.as_ref().map_or(variant.ident.span(), LitStr::span);
            faults.push(marked, format!("the name `{}` is already used by variant `{other}`", variant.name()));
        }
    }
}

fn check_transparent(input: &Input, faults: &mut Faults) {
    let Some(span) = input.words.transparent else { return };
    if input.is_enum {
        faults.push(
            span,
            "`transparent` is for a struct with one tracked field; on an enum write `flatten` on the fields",
        );
        return;
    }
    if let Some(variable) = input.fields().find(|field| matches!(field.role, Role::Variable(_))) {
        let message =
            format!("`transparent` takes the name of a module out of paths; `{}` is a variable", variable.name);
        faults.push(span, message);
        return;
    }
    let tracked: Vec<String> =
        input.fields().filter(|field| field.is_tracked()).map(|field| format!("`{}`", field.name)).collect();
    if tracked.len() != 1 {
        let found =
            if tracked.is_empty() { "none".to_owned() } else { format!("{}: {}", tracked.len(), tracked.join(", ")) };
        faults.push(span, format!("`transparent` needs exactly one tracked field, found {found}"));
    }
}
