//! The code that is written for a type without mistakes.
//!
//! Everything is in one `const _`, behind absolute paths, so that no name of the user's can be in the way.

mod config;
mod construct;
mod table;
mod variable;
mod walk;

use crate::{
    ast::{Arm, Field, Input},
    attr::{Role, SettingDefault},
};
use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Generics, parse_quote};

/// A type with what all parts of its expansion need.
pub struct Expansion<'a> {
    input: &'a Input<'a>,
    /// The type's parameters with the bounds that its fields need.
    generics: Generics,
}

/// All of it.
pub fn module(input: &Input) -> TokenStream {
    let expansion = Expansion { input, generics: bounded(input) };
    let krate = krate(input);
    let tables = expansion.tables();
    let constructors = expansion.constructors();
    let track = expansion.track_impl();
    let module = expansion.module_impl();
    let from_config = expansion.make_from_config();
    let registration = expansion.registration();
    quote! {
        #[allow(non_snake_case, unused_qualifications, deprecated)]
        const _: () = {
            use #krate::__private as __m;
            #tables
            #constructors
            #track
            #module
            #from_config
            #registration
        };
    }
}

/// Where modulor is.
pub fn krate(input: &Input) -> TokenStream {
    input.words.krate.as_ref().map_or_else(|| quote!(::modulor), ToTokens::to_token_stream)
}

/// The name that automatic names start from: the type's in TensorFlow's snake case, unless one is given.
pub fn default_name(input: &Input) -> String {
    input.words.name.as_ref().map_or_else(|| snake_case(&input.class()), |name| name.value())
}

/// Keras's rule: an underscore before an upper-case letter that a lower-case letter follows, and between a lower-case
/// letter or digit and an upper-case one. `Conv2D` is `conv2d`, `ReLU` is `re_lu`.
fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().collect();
    let mut name = String::new();
    for (i, letter) in letters.iter().enumerate() {
        let before = i.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(i + 1);
        let word_begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                before != '_' && (before.is_lowercase() || after.is_some_and(|after| after.is_lowercase()))
            });
        if word_begins {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// Whether an identifier occurs in tokens, at any depth.
pub fn mentions(tokens: &TokenStream, name: &Ident) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mentions(&group.stream(), name),
        _ => false,
    })
}

/// The type's parameters with the bounds that make its fields what their words say.
fn bounded(input: &Input) -> Generics {
    let krate = krate(input);
    let mut generics = input.generics.clone();
    let parameters: Vec<Ident> = generics.type_params().map(|parameter| parameter.ident.clone()).collect();
    if parameters.is_empty() && input.words.bound.is_none() {
        return generics;
    }
    let predicates = &mut generics.make_where_clause().predicates;
    if let Some(bound) = &input.words.bound {
        predicates.extend(bound.iter().cloned());
        return generics;
    }
    let mut unbounded = parameters.clone();
    for field in input.fields() {
        let ty = &field.ty;
        let tokens = ty.to_token_stream();
        // A type that holds itself would need itself; its other fields say enough.
        let recursive = mentions(&tokens, input.ident);
        if recursive || !parameters.iter().any(|parameter| mentions(&tokens, parameter)) {
            continue;
        }
        // Every bound below says Send, Sync and 'static of the field, and so of what is in it.
        unbounded.retain(|parameter| !mentions(&tokens, parameter));
        let bound = match &field.role {
            Role::Part if field.place.flatten.is_some() || input.words.transparent.is_some() => quote!(Flatten),
            Role::Part => quote!(Track),
            Role::Variable(_) => quote!(VariableCell),
            Role::Setting { with: Some(_), .. } => quote!(ForeignSetting),
            Role::Setting { .. } => quote!(Setting),
            Role::Skip { default: None } => quote!(Skipped),
            Role::Skip { default: Some(_) } => quote!(Kept),
        };
        predicates.push(parse_quote!(#ty: #krate::__private::#bound));
        if let Role::Setting { default: Some(SettingDefault::Trait), .. } = &field.role {
            predicates.push(parse_quote!(#ty: ::core::default::Default));
        }
    }
    for parameter in unbounded {
        predicates.push(parse_quote!(#parameter: ::core::marker::Send + ::core::marker::Sync + 'static));
    }
    generics
}

impl Expansion<'_> {
    /// `impl<..> Trait for Type<..> where ..`, marked as generated.
    fn implement(&self, what: TokenStream, body: TokenStream) -> TokenStream {
        let ident = self.input.ident;
        let (impl_generics, type_generics, where_clause) = self.generics.split_for_impl();
        // Keeps this type out of the lists of "other types" that errors of other types would show. Where there are
        // parameters, it is these bounds that an error is about.
        let unlisted = self.generics.params.is_empty().then(|| quote!(#[diagnostic::do_not_recommend]));
        quote! {
            #[automatically_derived]
            #unlisted
            #[allow(unused_variables, unreachable_code, non_shorthand_field_patterns, clippy::all)]
            impl #impl_generics __m::#what for #ident #type_generics #where_clause {
                #body
            }
        }
    }

    /// `match self { .. }` with every field bound to a local of its own name.
    fn match_self(&self, mut body: impl FnMut(&Arm) -> TokenStream) -> TokenStream {
        if self.input.arms.is_empty() {
            return quote!(match *self {});
        }
        let arms = self.input.arms.iter().map(|arm| {
            let head = head(arm);
            let bindings = arm.fields.iter().map(|field| {
                let Field { member, local, .. } = field;
                quote!(#member: #local)
            });
            let body = body(arm);
            quote!(#head { #(#bindings),* } => { #body })
        });
        quote!(match self { #(#arms)* })
    }

    fn registration(&self) -> TokenStream {
        let is_generic = !self.input.generics.params.is_empty();
        if is_generic || self.input.words.no_config.is_some() {
            return TokenStream::new();
        }
        let ident = self.input.ident;
        let class = self.input.class();
        let package = self.package();
        quote! {
            __m::inventory::submit! {
                __m::Entry {
                    package: #package,
                    class: #class,
                    source: ::core::concat!(::core::module_path!(), "::", #class),
                    type_id: __m::TypeId::of::<#ident>,
                    module: __m::LayerProbe::<#ident>::module,
                    layer: || {
                        #[allow(unused_imports)]
                        use __m::{NotALayer as _, ProbedLayer as _};
                        (&&__m::LayerProbe::<#ident>::new()).layer()
                    },
                }
            }
        }
    }

    fn package(&self) -> TokenStream {
        self.input.words.package.as_ref().map_or_else(
            || quote!(::core::env!("CARGO_PKG_NAME")),
            |package| {
                let package = package.value();
                quote!(#package)
            },
        )
    }
}

/// `Self` or `Self::Variant`, for patterns and for values.
fn head(arm: &Arm) -> TokenStream {
    match &arm.variant {
        Some(variant) => {
            let ident = variant.ident;
            quote!(Self::#ident)
        }
        None => quote!(Self),
    }
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn names_are_keras_names() {
        let names = [
            ("Dense", "dense"),
            ("Conv2D", "conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("MaxPooling2D", "max_pooling2d"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("GRU", "gru"),
            ("RMSNormalization", "rms_normalization"),
            ("ReLU", "re_lu"),
            ("LeakyReLU", "leaky_re_lu"),
            ("PReLU", "p_re_lu"),
            ("ELU", "elu"),
        ];
        for (class, name) in names {
            assert_eq!(snake_case(class), name);
        }
    }
}
