//! What is written for a type with mistakes: implementations that do nothing, so that the rest of the program is not
//! reported for lacking them.

use crate::{ast::Input, expand::krate};
use proc_macro2::TokenStream;
use quote::quote;
use syn::parse_quote;

pub fn module(input: &Input) -> TokenStream {
    let ident = input.ident;
    let krate = krate(input);
    let mut generics = input.generics.clone();
    let parameters: Vec<_> = generics.type_params().map(|parameter| parameter.ident.clone()).collect();
    for parameter in parameters {
        let predicate = parse_quote!(#parameter: ::core::marker::Send + ::core::marker::Sync + 'static);
        generics.make_where_clause().predicates.push(predicate);
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    // Nothing runs: the program does not compile.
    let never = quote!(loop {});
    quote! {
        const _: () = {
            use #krate::__private as __m;
            #[automatically_derived]
            #[allow(clippy::all)]
            impl #impl_generics __m::Track for #ident #type_generics #where_clause {
                fn track(&self, _: &str, _: &mut dyn __m::Visitor) {}
                fn share(&self) -> Self { #never }
                fn field_config(&self) -> __m::Result<__m::Option<__m::Value>> { #never }
                fn from_field(_: __m::Option<&__m::Value>) -> __m::Result<Self> { #never }
            }
            #[automatically_derived]
            #[allow(clippy::all)]
            impl #impl_generics __m::Module for #ident #type_generics #where_clause {
                fn as_module(&self) -> &dyn __m::Module { self }
                fn class_name(&self) -> &str { "" }
                fn default_name(&self) -> &str { "" }
                fn package(&self) -> &str { "" }
                fn fields(&self, _: &mut dyn __m::Visitor) {}
                fn build(&self, _: &__m::InputShapes) -> __m::Result<()> { #never }
                fn config(&self) -> __m::Result<__m::Config> { #never }
            }
            #[automatically_derived]
            #[allow(clippy::all)]
            impl #impl_generics __m::FromConfig for #ident #type_generics #where_clause {
                fn from_config(_: &__m::Config) -> __m::Result<Self> { #never }
            }
        };
    }
}
