//! `new` and the builder methods.

use super::Expansion;
use crate::{
    ast::{Arm, Field},
    attr::Role,
};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

impl Expansion<'_> {
    /// `new`, with an argument for each setting without default and each submodule, and a builder method for each
    /// setting with one.
    ///
    /// There is none of it for an enum, and for a struct of submodules alone, of which a literal says as much.
    pub(super) fn constructors(&self) -> TokenStream {
        let [arm] = &self.input.arms[..] else {
            return TokenStream::new();
        };
        let has_words = arm.fields.iter().any(|field| matches!(field.role, Role::Setting { .. } | Role::Variable(_)));
        if self.input.is_enum || self.input.words.no_new.is_some() || !has_words {
            return TokenStream::new();
        }
        let ident = self.input.ident;
        let (impl_generics, type_generics, where_clause) = self.generics.split_for_impl();
        let new = self.constructor(arm);
        let builders = arm.fields.iter().map(|field| self.builder(field));
        quote! {
            #[automatically_derived]
            #[allow(clippy::all)]
            impl #impl_generics #ident #type_generics #where_clause {
                #new
                #(#builders)*
            }
        }
    }

    fn constructor(&self, arm: &Arm) -> TokenStream {
        let vis = self.input.vis;
        let arguments = arm.fields.iter().filter(|field| self.default(arm, field).is_none()).map(|field| {
            let (local, ty) = (&field.local, taken(field));
            quote!(#local: #ty)
        });
        let fields = arm.fields.iter().map(|field| {
            let member = &field.member;
            let value = self.default(arm, field).unwrap_or_else(|| given(field));
            quote!(#member: #value)
        });
        let doc = format!(
            " A new `{}`. Variables whose shapes depend on the input are built by the first call.",
            self.input.class()
        );
        quote! {
            #[doc = #doc]
            #vis fn new(#(#arguments),*) -> Self {
                __m::ModuleExt::declared(Self { #(#fields),* })
            }
        }
    }

    fn builder(&self, field: &Field) -> TokenStream {
        let (Role::Setting { default: Some(_), .. }, Some(name)) = (&field.role, &field.original.ident) else {
            return TokenStream::new();
        };
        let (ty, value) = (taken(field), given(field));
        let vis = self.input.vis;
        let docs: Vec<_> = field.original.attrs.iter().filter(|attribute| attribute.path().is_ident("doc")).collect();
        let doc = format!(" Sets `{}`.", field.name);
        let docs = if docs.is_empty() { quote!(#[doc = #doc]) } else { quote!(#(#docs)*) };
        quote! {
            #docs
            #[must_use]
            #vis fn #name(mut self, #name: #ty) -> Self {
                self.#name = #value;
                __m::ModuleExt::declared(self)
            }
        }
    }
}

fn is_into(field: &Field) -> bool {
    matches!(field.role, Role::Setting { into: true, .. })
}

/// The type of the argument for a field.
fn taken(field: &Field) -> TokenStream {
    let ty = &field.ty;
    if is_into(field) { quote!(impl ::core::convert::Into<#ty>) } else { ty.to_token_stream() }
}

/// The field's value from that argument.
fn given(field: &Field) -> TokenStream {
    let local = &field.local;
    if is_into(field) { quote!(::core::convert::Into::into(#local)) } else { local.to_token_stream() }
}
