//! `#[derive(Structure)]`.

use crate::{attr::TypeWords, fault::Faults};
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Data, DeriveInput, Field, Fields, Generics, Ident, Index, ext::IdentExt, parse_quote, spanned::Spanned};

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
    let tables: TokenStream = fields.iter().enumerate().map(|(index, field)| table(index, field, &generics)).collect();
    let (_, type_generics, _) = generics.split_for_impl();
    let turbofish = type_generics.as_turbofish();
    let parts: Vec<TokenStream> = (0..fields.len())
        .map(|index| {
            let name = table_name(index);
            quote!(#name #turbofish ())
        })
        .collect();
    let Bodies { to_tree, from_tree, visit, replace } = match fields {
        Fields::Named(_) => by_name(fields, &parts),
        Fields::Unnamed(_) | Fields::Unit => by_order(&parts),
    };
    let ident = &input.ident;
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    quote! {
        const _: () = {
            use #krate::__private as __m;
            #tables
            #[automatically_derived]
            #[allow(clippy::all)]
            impl #impl_generics __m::Structure for #ident #type_generics #where_clause {
                fn to_tree(&self) -> __m::Tree {
                    #to_tree
                }

                fn from_tree(__modulor_tree: __m::Tree) -> __m::Result<Self> {
                    #from_tree
                }

                fn visit(&self, __modulor_visit: &mut dyn __m::FnMut(__m::StructureItem)) {
                    #visit
                }

                fn replace(
                    &self,
                    __modulor_replace: &mut dyn __m::FnMut(&__m::Tensor) -> __m::Result<__m::Tensor>,
                ) -> __m::Result<Self> {
                    #replace
                }
            }
        };
    }
}

/// The one place that asks for a field to be a structure, so that one that is not gives one message.
fn table(index: usize, field: &Field, generics: &Generics) -> TokenStream {
    let name = table_name(index);
    let ty = &field.ty;
    let table = quote_spanned!(ty.span()=> __m::structure_part::<#ty>());
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    quote! {
        const fn #name #impl_generics () -> __m::StructurePart<#ty> #where_clause {
            #table
        }
    }
}

fn table_name(index: usize) -> Ident {
    format_ident!("__modulor_part_{}", index)
}

fn bounded(generics: &Generics, krate: &TokenStream) -> Generics {
    let mut generics = generics.clone();
    let parameters: Vec<_> = generics.type_params().map(|parameter| parameter.ident.clone()).collect();
    for parameter in parameters {
        generics.make_where_clause().predicates.push(parse_quote!(#parameter: #krate::__private::Structure));
    }
    generics
}

/// The bodies of the methods.
struct Bodies {
    to_tree: TokenStream,
    from_tree: TokenStream,
    visit: TokenStream,
    replace: TokenStream,
}

fn by_name(fields: &Fields, parts: &[TokenStream]) -> Bodies {
    let named = || fields.iter().filter_map(|field| field.ident.as_ref()).zip(parts);
    // A map is gone through in the order of its keys.
    let mut sorted: Vec<_> = named().map(|(name, part)| (name.unraw().to_string(), name, part)).collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let count = sorted.len();
    let shown = sorted.iter().map(|(key, name, part)| {
        quote! {
            __modulor_visit(__m::StructureItem::Name(#key));
            (#part.visit)(&self.#name, __modulor_visit);
        }
    });
    let visit = quote! { __modulor_visit(__m::StructureItem::Map(#count)); #(#shown)* };
    let local = |index: usize| format_ident!("__modulor_new_{}", index);
    let replaced = sorted.iter().enumerate().map(|(index, (_, name, part))| {
        let local = local(index);
        quote!(let #local = (#part.replace)(&self.#name, __modulor_replace)?;)
    });
    let built = sorted.iter().enumerate().map(|(index, (_, name, _))| {
        let local = local(index);
        quote!(#name: #local)
    });
    let replace = quote! { #(#replaced)* __m::Ok(Self { #(#built),* }) };
    let to = named().map(|(name, part)| {
        let key = name.unraw().to_string();
        quote!((#key.into(), (#part.to_tree)(&self.#name)))
    });
    let from = named().map(|(name, part)| {
        let key = name.unraw().to_string();
        quote!(#name: __m::named_part(&mut __modulor_parts, #key, #part.from_tree)?)
    });
    let from = quote! {
        let mut __modulor_parts = __modulor_tree.into_map()?;
        let __modulor_structure = Self { #(#from),* };
        __m::no_more_parts(__modulor_parts)?;
        __m::Ok(__modulor_structure)
    };
    Bodies { to_tree: quote!(__m::Tree::Map(__m::BTreeMap::from([#(#to),*]))), from_tree: from, visit, replace }
}

fn by_order(parts: &[TokenStream]) -> Bodies {
    let count = parts.len();
    let indexed = || parts.iter().enumerate().map(|(index, part)| (Index::from(index), part));
    let to = indexed().map(|(index, part)| quote!((#part.to_tree)(&self.#index)));
    let from = indexed().map(|(index, part)| quote!(#index: (#part.from_tree)(__m::next_part(&mut __modulor_parts)?)?));
    let from = quote! {
        let mut __modulor_parts = __m::IntoIterator::into_iter(__modulor_tree.into_list(#count)?);
        __m::Ok(Self { #(#from),* })
    };
    let shown = indexed().map(|(index, part)| quote!((#part.visit)(&self.#index, __modulor_visit);));
    let replaced = indexed().map(|(index, part)| quote!(#index: (#part.replace)(&self.#index, __modulor_replace)?));
    Bodies {
        visit: quote! { __modulor_visit(__m::StructureItem::List(#count)); #(#shown)* },
        replace: quote!(__m::Ok(Self { #(#replaced),* })),
        to_tree: quote!(__m::Tree::List(__m::Vec::from([#(#to),*]))),
        from_tree: from,
    }
}
