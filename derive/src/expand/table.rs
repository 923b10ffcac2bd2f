//! One table for each field: the only place that asks something of the field's type.

use super::{Expansion, mentions};
use crate::{
    ast::{Arm, Field, Spelling},
    attr::{Role, SettingDefault},
};
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Ident, spanned::Spanned};

impl Expansion<'_> {
    /// The tables and defaults of all fields, as functions.
    pub(super) fn tables(&self) -> TokenStream {
        let arms = &self.input.arms;
        arms.iter().flat_map(|arm| arm.fields.iter().map(|field| self.table_of(arm, field))).collect()
    }

    /// The call of the function that gives a field's table.
    pub(super) fn table(&self, arm: &Arm, field: &Field) -> TokenStream {
        let name = function("__modulor_field", arm, field);
        let turbofish = self.turbofish();
        match &field.role {
            Role::Variable(_) => quote!(#name #turbofish ().field),
            Role::Skip { default: None } => quote!(#name #turbofish ().0),
            _ => quote!(#name #turbofish ()),
        }
    }

    /// The variable that a field marked `#[variable]` is.
    pub(super) fn cell(&self, arm: &Arm, field: &Field) -> TokenStream {
        let name = function("__modulor_field", arm, field);
        let turbofish = self.turbofish();
        let local = &field.local;
        quote!((#name #turbofish ().cell)(#local))
    }

    /// The value of a field that nobody is asked for; `None` for one that somebody is.
    pub(super) fn default(&self, arm: &Arm, field: &Field) -> Option<TokenStream> {
        let name = function("__modulor_default", arm, field);
        let turbofish = self.turbofish();
        has_default(field).then(|| quote!(#name #turbofish ()))
    }

    fn turbofish(&self) -> TokenStream {
        let (_, type_generics, _) = self.generics.split_for_impl();
        type_generics.as_turbofish().into_token_stream()
    }

    fn table_of(&self, arm: &Arm, field: &Field) -> TokenStream {
        let name = function("__modulor_field", arm, field);
        let ty = &field.ty;
        let span = field.original.ty.span();
        let (impl_generics, _, where_clause) = self.generics.split_for_impl();
        let flattened = field.place.flatten.is_some() || self.input.words.transparent.is_some();
        let (kind, table) = match &field.role {
            Role::Part if flattened => (quote!(__m::Field<#ty>), quote_spanned!(span=> __m::flattened::<#ty>())),
            Role::Part => {
                let part = match Spelling::of(&field.original.ty) {
                    Spelling::Tensor => quote_spanned!(span=> __m::part_spelled_tensor::<#ty>()),
                    Spelling::PlainValue => quote_spanned!(span=> __m::part_spelled_value::<#ty>()),
                    Spelling::Other => quote_spanned!(span=> __m::part::<#ty>()),
                };
                (quote!(__m::Field<#ty>), part)
            }
            Role::Variable(_) => (quote!(__m::VariableField<#ty>), quote_spanned!(span=> __m::variable::<#ty>())),
            Role::Setting { with: None, .. } => (quote!(__m::Field<#ty>), quote_spanned!(span=> __m::setting::<#ty>())),
            Role::Setting { with: Some(path), .. } => {
                let maker = quote_spanned!(span=> __m::setting_with::<#ty>);
                let functions = quote_spanned! {path.span()=>
                    |setting, key, config| __m::write_with(key, #path::serialize(setting, __m::Serializer), config),
                    |value| __m::read_with(value, |value| #path::deserialize(value)),
                };
                (quote!(__m::Field<#ty>), quote!(#maker(#functions)))
            }
            Role::Skip { default: None } => {
                (quote!((__m::Field<#ty>, fn() -> #ty)), quote_spanned!(span=> __m::skipped::<#ty>()))
            }
            Role::Skip { default: Some(_) } => (quote!(__m::Field<#ty>), quote_spanned!(span=> __m::kept::<#ty>())),
        };
        let default = self.default_of(arm, field);
        let refusal = self.refusal_of_skipped_variable(field);
        quote! {
            const fn #name #impl_generics () -> #kind #where_clause {
                #table
            }
            #default
            #refusal
        }
    }

    fn default_of(&self, arm: &Arm, field: &Field) -> TokenStream {
        let table = function("__modulor_field", arm, field);
        let turbofish = self.turbofish();
        let value = match &field.role {
            Role::Setting { default: Some(default), .. } => default_value(default, field),
            Role::Part => match &field.place.default {
                Some((default, _)) => default_value(default, field),
                None => return TokenStream::new(),
            },
            Role::Skip { default: Some(value) } => value.to_token_stream(),
            Role::Skip { default: None } => quote!((#table #turbofish ().1)()),
            Role::Variable(_) => quote!((#table #turbofish ().fresh)()),
            _ => return TokenStream::new(),
        };
        let name = function("__modulor_default", arm, field);
        let ty = &field.ty;
        let (impl_generics, _, where_clause) = self.generics.split_for_impl();
        quote! {
            #[allow(clippy::all)]
            fn #name #impl_generics () -> #ty #where_clause {
                #value
            }
        }
    }

    /// A `Variable` could be skipped as far as traits go, and would silently be neither trained nor saved.
    fn refusal_of_skipped_variable(&self, field: &Field) -> TokenStream {
        let ty = &field.ty;
        let tokens = ty.to_token_stream();
        let is_generic = self.generics.type_params().any(|parameter| mentions(&tokens, &parameter.ident))
            || self.generics.const_params().any(|parameter| mentions(&tokens, &parameter.ident));
        if !matches!(field.role, Role::Skip { .. }) || is_generic {
            return TokenStream::new();
        }
        let span = field.original.ty.span();
        quote_spanned! {span=>
            const _: () = {
                #[allow(unused_imports)]
                use __m::OtherType as _;
                if __m::Probe::<#ty>::IS_VARIABLE {
                    ::core::panic!(
                        "a skipped variable is neither trained nor saved; for state that is not saved write `#[variable(persistent = false)]`"
                    );
                }
            };
        }
    }
}

/// Whether `new` and configs may leave a field out.
pub(super) fn has_default(field: &Field) -> bool {
    match &field.role {
        Role::Setting { default, .. } => default.is_some(),
        Role::Skip { .. } | Role::Variable(_) => true,
        Role::Part => field.place.default.is_some(),
    }
}

fn function(prefix: &str, arm: &Arm, field: &Field) -> Ident {
    match &arm.variant {
        Some(variant) => format_ident!("{}_{}_{}", prefix, variant.ident, field.name),
        None => format_ident!("{}_{}", prefix, field.name),
    }
}

/// The value that `default` or `default = ..` says.
fn default_value(default: &SettingDefault, field: &Field) -> TokenStream {
    let (ty, span) = (&field.ty, field.original.ty.span());
    match default {
        SettingDefault::Expr(value) => value.to_token_stream(),
        SettingDefault::Trait => quote_spanned!(span=> <#ty as __m::Default>::default()),
    }
}
