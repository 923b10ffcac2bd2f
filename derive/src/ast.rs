//! The type a derive is on, read once: everything later asks this and not syn.

use crate::{
    attr::{self, PlaceWords, Role, TypeWords, VariantWords},
    fault::Faults,
};
use proc_macro2::Span;
use quote::format_ident;
use syn::{
    Data, DeriveInput, Fields, GenericArgument, GenericParam, Generics, Ident, Index, Member, Path, PathArguments,
    QSelf, Type, TypePath, Visibility,
    ext::IdentExt,
    parse_quote,
    spanned::Spanned,
    visit_mut::{self, VisitMut},
};

/// A struct or enum.
pub struct Input<'a> {
    pub ident: &'a Ident,
    pub vis: &'a Visibility,
    pub generics: &'a Generics,
    pub words: TypeWords,
    /// The one shape of a struct, or the variants of an enum.
    pub arms: Vec<Arm<'a>>,
    pub is_enum: bool,
}

/// The fields of a struct or of one variant.
pub struct Arm<'a> {
    pub variant: Option<Variant<'a>>,
    pub fields: Vec<Field<'a>>,
}

/// A variant of an enum.
pub struct Variant<'a> {
    pub ident: &'a Ident,
    pub words: VariantWords,
}

impl Variant<'_> {
    /// Its name in configs, and in paths where it is tagged.
    pub fn name(&self) -> String {
        self.words.rename.as_ref().map_or_else(|| self.ident.unraw().to_string(), |name| name.value())
    }
}

/// A field.
pub struct Field<'a> {
    pub original: &'a syn::Field,
    /// Its type, with `Self` written out so that it means the same outside of an `impl`.
    pub ty: Type,
    pub member: Member,
    /// The local that patterns bind it to: its own name, so that attributes can use it.
    pub local: Ident,
    /// Its name as a Rust programmer says it.
    pub name: String,
    pub role: Role,
    pub place: PlaceWords,
}

impl Field<'_> {
    /// Its name in paths and configs.
    pub fn key(&self) -> String {
        self.place.rename.as_ref().map_or_else(|| self.name.clone(), |name| name.value())
    }

    pub fn alias(&self) -> Option<String> {
        self.place.alias.as_ref().map(|alias| alias.value())
    }

    /// Whether walks see it.
    pub fn is_tracked(&self) -> bool {
        matches!(self.role, Role::Part | Role::Variable(_))
    }

    /// Where a mistake about the whole field is marked.
    pub fn span(&self) -> Span {
        self.original.ident.as_ref().map_or_else(|| self.original.ty.span(), Ident::span)
    }
}

/// What a type is by its spelling. That decides nothing, as an alias has another: it only words a message better.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `Tensor`, or a container of it.
    Tensor,
    /// A number, a `bool`, a `char`, a `String`, or a container of them.
    PlainValue,
    Other,
}

impl Spelling {
    pub fn of(ty: &Type) -> Spelling {
        const PLAIN: &[&str] = &[
            "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64",
            "u128", "usize", "String",
        ];
        let path = match ty {
            Type::Path(path) => &path.path,
            Type::Array(array) => return Spelling::of(&array.elem),
            Type::Paren(paren) => return Spelling::of(&paren.elem),
            Type::Group(group) => return Spelling::of(&group.elem),
            _ => return Spelling::Other,
        };
        let Some(last) = path.segments.last() else { return Spelling::Other };
        match (last.ident.to_string().as_str(), &last.arguments) {
            ("Tensor", PathArguments::None) => Spelling::Tensor,
            (name, PathArguments::None) if PLAIN.contains(&name) => Spelling::PlainValue,
            ("Option" | "Vec" | "Box" | "Arc" | "Mutex", PathArguments::AngleBracketed(inner)) => {
                match inner.args.first() {
                    Some(GenericArgument::Type(inner)) => Spelling::of(inner),
                    _ => Spelling::Other,
                }
            }
            _ => Spelling::Other,
        }
    }
}

impl<'a> Input<'a> {
    /// Reads a type; a union is a fault and has no arms.
    pub fn parse(input: &'a DeriveInput, faults: &mut Faults) -> Input<'a> {
        let words = TypeWords::parse(&input.attrs, faults);
        let itself = itself(input);
        let arms = match &input.data {
            Data::Struct(data) => vec![arm(None, &data.fields, &itself, faults)],
            Data::Enum(data) => {
                let arm = |variant: &'a syn::Variant| {
                    let words = VariantWords::parse(&variant.attrs, faults);
                    arm(Some(Variant { ident: &variant.ident, words }), &variant.fields, &itself, faults)
                };
                data.variants.iter().map(arm).collect()
            }
            Data::Union(data) => {
                faults.push(data.union_token.span, "`Module` cannot be derived for a union; use an enum");
                Vec::new()
            }
        };
        let is_enum = matches!(input.data, Data::Enum(_));
        Input { ident: &input.ident, vis: &input.vis, generics: &input.generics, words, arms, is_enum }
    }

    pub fn fields(&self) -> impl Iterator<Item = &Field<'a>> {
        self.arms.iter().flat_map(|arm| &arm.fields)
    }

    /// The name of the class in configs.
    pub fn class(&self) -> String {
        self.ident.unraw().to_string()
    }
}

fn arm<'a>(variant: Option<Variant<'a>>, fields: &'a Fields, itself: &TypePath, faults: &mut Faults) -> Arm<'a> {
    let field = |(index, original): (usize, &'a syn::Field)| {
        let (role, place) = attr::field(&original.attrs, faults);
        let mut ty = original.ty.clone();
        SelfWrittenOut(itself).visit_type_mut(&mut ty);
        let (member, local, name) = match &original.ident {
            Some(ident) => (Member::Named(ident.clone()), ident.clone(), ident.unraw().to_string()),
            None => {
                let member = Member::Unnamed(Index { index: index as u32, span: original.ty.span() });
                (member, format_ident!("__modulor_{}", index), index.to_string())
            }
        };
        Field { original, ty, member, local, name, role, place }
    };
    Arm { variant, fields: fields.iter().enumerate().map(field).collect() }
}

/// The type under derivation, as `Name<T, N>`.
fn itself(input: &DeriveInput) -> TypePath {
    let ident = &input.ident;
    let arguments = input.generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some(&parameter.ident),
        GenericParam::Const(parameter) => Some(&parameter.ident),
        GenericParam::Lifetime(_) => None,
    });
    parse_quote!(#ident<#(#arguments),*>)
}

/// Replaces `Self` in a type, which generated functions outside of an `impl` could not name.
struct SelfWrittenOut<'a>(&'a TypePath);

impl VisitMut for SelfWrittenOut<'_> {
    fn visit_type_path_mut(&mut self, ty: &mut TypePath) {
        visit_mut::visit_type_path_mut(self, ty);
        let starts_with_self =
            ty.qself.is_none() && ty.path.segments.first().is_some_and(|first| first.ident == "Self");
        if !starts_with_self {
            return;
        }
        if ty.path.segments.len() == 1 {
            *ty = self.0.clone();
            return;
        }
        let rest = ty.path.segments.iter().skip(1).cloned().collect();
        ty.qself = Some(QSelf {
            lt_token: Default::default(),
            ty: Box::new(Type::Path(self.0.clone())),
            position: 0,
            as_token: None,
            gt_token: Default::default(),
        });
        ty.path = Path { leading_colon: Some(Default::default()), segments: rest };
    }
}
