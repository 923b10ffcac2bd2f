//! `config` and `from_config`.

use super::{Expansion, head, variable::settings_in, walk::no_config};
use crate::{
    ast::{Arm, Field},
    attr::Role,
};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

impl Expansion<'_> {
    /// The body of `Module::config`.
    pub(super) fn config_body(&self) -> TokenStream {
        let class = self.input.class();
        if self.input.words.no_config.is_some() {
            return no_config(&class);
        }
        let version = self.version();
        let fields = self.match_self(|arm| {
            let variant = arm.variant.as_ref().map(|variant| {
                let name = variant.name();
                quote!(__modulor_config.insert("variant".into(), #name.into());)
            });
            let fields = written(arm).map(|field| {
                let (local, ty) = (&field.local, &field.original.ty);
                let key = field.key();
                let table = self.table(arm, field);
                let Role::Setting { written: Some(said), .. } = &field.role else {
                    return quote!((#table.config)(#local, #key, __modulor_config)?;);
                };
                let settings = settings_in(arm, said.to_token_stream());
                let said =
                    quote_spanned! {said.span()=> { #settings let __modulor_said: #ty = #said; __modulor_said } };
                quote!((#table.config)(&#said, #key, __modulor_config)?;)
            });
            quote!(#variant #(#fields)*)
        });
        quote!(__m::write(self, #version, &mut |__modulor_config| { #fields __m::Ok(()) }))
    }

    pub(super) fn make_from_config(&self) -> TokenStream {
        if self.input.words.no_config.is_some() {
            return TokenStream::new();
        }
        let class = self.input.class();
        let version = self.version();
        let migrate = self.input.words.migrate.as_ref().map_or_else(
            || quote!(__m::None),
            // Said where the path stands, so that a function of another type is an error about the path.
            |path| {
                quote_spanned! {path.span()=> {
                    let __modulor_migrate: fn(__m::Config, u32) -> __m::Result<__m::Config> = #path;
                    __m::Some(__modulor_migrate)
                }}
            },
        );
        let body = if self.input.is_enum {
            self.read_variant()
        } else {
            self.input.arms.iter().map(|arm| self.read_arm(arm)).collect()
        };
        self.implement(
            quote!(FromConfig),
            quote! {
                fn from_config(__modulor_config: &__m::Config) -> __m::Result<Self> {
                    const __MODULOR_SCHEMA: __m::Schema = __m::Schema { class: #class, version: #version, migrate: #migrate };
                    let __modulor_config = &*__MODULOR_SCHEMA.open(__modulor_config)?;
                    __m::reading(|| { #body })
                }
            },
        )
    }

    fn version(&self) -> u32 {
        self.input.words.version.map_or(1, |(version, _)| version)
    }

    fn read_variant(&self) -> TokenStream {
        let names: Vec<String> = self.input.arms.iter().filter_map(|arm| Some(arm.variant.as_ref()?.name())).collect();
        let arms = self.input.arms.iter().map(|arm| {
            let variant = arm.variant.as_ref();
            let name = variant.map(|variant| variant.name());
            let is_default = variant.is_some_and(|variant| variant.words.default.is_some());
            let pattern = if is_default { quote!(__m::Some(#name) | __m::None) } else { quote!(__m::Some(#name)) };
            let body = self.read_arm(arm);
            quote!(#pattern => { #body })
        });
        quote! {
            match __MODULOR_SCHEMA.variant(__modulor_config)? {
                #(#arms)*
                __modulor_other => __m::Err(__MODULOR_SCHEMA.unknown_variant(__modulor_other, &[#(#names),*])),
            }
        }
    }

    /// Reads every field, and only then reports what was wrong with any of them.
    ///
    /// A `?` for each field would make the compiler write the clean-up of all fields before it: with hundreds of fields
    /// that takes seconds.
    fn read_arm(&self, arm: &Arm) -> TokenStream {
        let head = head(arm);
        let keys: Vec<String> = written(arm).flat_map(|field| [field.key()].into_iter().chain(field.alias())).collect();
        let variant_key = arm.variant.as_ref().map(|_| quote!("variant",));
        let keys = quote!(&[#variant_key #(#keys),*]);
        let read: Vec<(Ident, &Field)> = arm
            .fields
            .iter()
            .enumerate()
            .map(|(index, field)| (format_ident!("__modulor_read_{}", index), field))
            .collect();
        let reads = read.iter().filter(|(_, field)| is_written(field)).map(|(local, field)| {
            let value = self.read_field(arm, field);
            quote!(let #local = #value;)
        });
        let some = read.iter().filter(|(_, field)| is_written(field)).map(|(local, _)| local);
        let some: Vec<_> = some.collect();
        let fields = read.iter().map(|(local, field)| {
            let member = &field.member;
            match self.default(arm, field).filter(|_| !is_written(field)) {
                Some(default) => quote!(#member: #default),
                None => quote!(#member: #local),
            }
        });
        let fields: Vec<_> = fields.collect();
        quote! {
            let mut __modulor_faults = __MODULOR_SCHEMA.faults(__modulor_config, #keys);
            #(#reads)*
            let (#(__m::Some(#some),)*) = (#(#some,)*) else {
                return __m::Err(__modulor_faults.into_error());
            };
            __modulor_faults.into_result()?;
            __MODULOR_SCHEMA.close(#head { #(#fields),* }, __modulor_config, #keys)
        }
    }

    fn read_field(&self, arm: &Arm, field: &Field) -> TokenStream {
        let key = field.key();
        let table = self.table(arm, field);
        if let Some(default) = self.default(arm, field) {
            return quote!(#table.read_or(__modulor_config, #key, &mut __modulor_faults, || #default));
        }
        match field.alias() {
            Some(alias) => quote!(#table.read_aliased(__modulor_config, #key, #alias, &mut __modulor_faults)),
            None => quote!(#table.read(__modulor_config, #key, &mut __modulor_faults)),
        }
    }
}

/// The fields that are in a config.
fn written<'a>(arm: &'a Arm<'a>) -> impl Iterator<Item = &'a Field<'a>> {
    arm.fields.iter().filter(|field| is_written(field))
}

fn is_written(field: &Field) -> bool {
    matches!(field.role, Role::Setting { .. } | Role::Part)
}
