//! `#[derive(Structure)]`.

use crate::{attr::TypeWords, fault::Faults};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{Data, DeriveInput, Fields, Generics, Index, Type, ext::IdentExt, parse_quote, spanned::Spanned};

pub fn expand(input: &DeriveInput) -> TokenStream {
    let mut faults = Faults::default();
    let words = TypeWords::parse(&input.attrs, &mut faults);
    let fields = match &input.data {
        Data::Struct(data) => Some(&data.fields),
        Data::Enum(data) => {
            faults.push(
                data.enum_token.span,
                "`Structure` is derived for structs: an input has one form; use Option for a part that may be missing",
            );
            None
        }
        Data::Union(data) => {
            faults.push(data.union_token.span, "`Structure` cannot be derived for a union; use a struct");
            None
        }
    };
    for lifetime in input.generics.lifetimes() {
        faults.push_at(lifetime, "a structure owns its tensors, which are handles: it has no lifetime parameters");
    }
    let fields = match fields {
        Some(fields) if faults.is_empty() => fields,
        _ => return faults.into_compile_errors(),
    };
    let krate = words.krate.as_ref().map_or_else(|| quote!(::modulor), ToTokens::to_token_stream);
    let generics = bounded(&input.generics, &krate);
    let (to_tree, from_tree) = match fields {
        Fields::Named(_) => by_name(fields),
        Fields::Unnamed(_) | Fields::Unit => by_order(fields),
    };
    let ident = &input.ident;
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    quote! {
        const _: () = {
            use #krate::__private as __m;
            #[automatically_derived]
            #[allow(clippy::all)]
            impl #impl_generics __m::Structure for #ident #type_generics #where_clause {
                fn to_tree(&self) -> __m::Tree {
                    #to_tree
                }

                fn from_tree(__modulor_tree: __m::Tree) -> __m::Result<Self> {
                    #from_tree
                }
            }
        };
    }
}

fn bounded(generics: &Generics, krate: &TokenStream) -> Generics {
    let mut generics = generics.clone();
    let parameters: Vec<_> = generics.type_params().map(|parameter| parameter.ident.clone()).collect();
    for parameter in parameters {
        generics.make_where_clause().predicates.push(parse_quote!(#parameter: #krate::__private::Structure));
    }
    generics
}

fn by_name(fields: &Fields) -> (TokenStream, TokenStream) {
    let fields = || fields.iter().filter_map(|field| Some((field.ident.as_ref()?, &field.ty)));
    let to = fields().map(|(name, ty)| {
        let key = name.unraw().to_string();
        let part = to_tree(ty);
        quote!((#key.into(), #part(&self.#name)))
    });
    let from = fields().map(|(name, ty)| {
        let key = name.unraw().to_string();
        let part = from_tree(ty);
        quote!(#name: __m::named_part(&mut __modulor_parts, #key, #part)?)
    });
    let from = quote! {
        let mut __modulor_parts = __modulor_tree.into_map()?;
        let __modulor_structure = Self { #(#from),* };
        __m::no_more_parts(__modulor_parts)?;
        __m::Ok(__modulor_structure)
    };
    (quote!(__m::Tree::Map(__m::BTreeMap::from([#(#to),*]))), from)
}

fn by_order(fields: &Fields) -> (TokenStream, TokenStream) {
    let count = fields.len();
    let to = fields.iter().enumerate().map(|(index, field)| {
        let part = to_tree(&field.ty);
        let index = Index::from(index);
        quote!(#part(&self.#index))
    });
    let from = fields.iter().enumerate().map(|(index, field)| {
        let part = from_tree(&field.ty);
        let index = Index::from(index);
        quote!(#index: #part(__m::next_part(&mut __modulor_parts)?)?)
    });
    let from = quote! {
        let mut __modulor_parts = __m::IntoIterator::into_iter(__modulor_tree.into_list(#count)?);
        __m::Ok(Self { #(#from),* })
    };
    (quote!(__m::Tree::List(__m::Vec::from([#(#to),*]))), from)
}

fn to_tree(ty: &Type) -> TokenStream {
    quote_spanned!(ty.span()=> <#ty as __m::Structure>::to_tree)
}

fn from_tree(ty: &Type) -> TokenStream {
    quote_spanned!(ty.span()=> <#ty as __m::Structure>::from_tree)
}
