//! From a model to the policy of its entity.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Field, GenericArgument, Ident, Meta, PathArguments, PathSegment,
    Type,
};

use crate::options::{Options, camel};

/// # Errors
///
/// At the word that is wrong.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Struct(model) = &input.data else {
        let message = "`CachedEntity` is derived on the struct `Model` of a SeaORM entity";
        return Err(syn::Error::new(input.ident.span(), message));
    };
    if has_other_half(&input.attrs) {
        return Ok(TokenStream::new());
    }
    let options = Options::parse(&input.attrs)?;
    let ttl =
        options.ttl_ms.iter().map(|ms| quote!(.ttl(::core::time::Duration::from_millis(#ms))));
    let family_ttls = options.family_ttls_ms.iter().map(|(family, ms)| {
        quote! {
            .family_ttl(
                ::sea_orm_cache::Family::#family,
                ::core::time::Duration::from_millis(#ms),
            )
        }
    });
    let no_cache = options.no_cache.then(|| quote!(.no_cache()));
    let tags = &options.tags;
    let keys = options.keys.iter().map(camel);
    let case_insensitive = options.case_insensitive.iter().map(camel);
    let related = options.related.iter().map(|name| related(name, model.fields.iter()));
    Ok(quote! {
        #[automatically_derived]
        impl ::sea_orm_cache::CachedEntity for Entity {
            fn policy() -> ::sea_orm_cache::EntityPolicy {
                ::sea_orm_cache::EntityPolicy::new()
                    #(#ttl)*
                    #(#family_ttls)*
                    #no_cache
                    #(.tag(#tags))*
                    #(.key(Column::#keys))*
                    #(.case_insensitive(Column::#case_insensitive))*
                    #(#related)*
            }
        }

        ::sea_orm_cache::__register_entity!(Entity);
    })
}

/// `#[sea_orm::model]` makes two structs of one, each with its attributes: `Model`, which it marks,
/// and `ModelEx`, which alone has the fields of relations.
fn has_other_half(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("sea_orm")).any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return false };
        let mut tokens = list.tokens.clone().into_iter();
        tokens.any(|token| matches!(token, TokenTree::Ident(word) if word == "model_ex"))
    })
}

/// Notes a relation: the entity of the field of this name, or the target of `Relation`'s variant.
fn related<'f>(name: &Ident, mut fields: impl Iterator<Item = &'f Field>) -> TokenStream {
    let field = fields.find(|field| field.ident.as_ref() == Some(name));
    match field.and_then(|field| entity_of(&field.ty)) {
        Some(entity) => quote!(.related::<#entity>()),
        None => {
            let variant = camel(name);
            quote!(.relation(Relation::#variant))
        }
    }
}

/// The entity in `HasOne<Entity>`, `HasMany<Entity>`, `BelongsTo<Entity>` and
/// `BelongsTo<Option<Entity>>`.
fn entity_of(field: &Type) -> Option<&Type> {
    let (name, inner) = generic(field)?;
    if !["HasOne", "HasMany", "BelongsTo"].iter().any(|kind| name.ident == kind) {
        return None;
    }
    match generic(inner) {
        Some((name, entity)) if name.ident == "Option" => Some(entity),
        _ => Some(inner),
    }
}

fn generic(of: &Type) -> Option<(&PathSegment, &Type)> {
    let Type::Path(path) = of else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some((last, inner)),
        _ => None,
    }
}
