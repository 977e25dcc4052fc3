//! `impl ActiveModelBehavior` with hooks that report to a cache.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{FnArg, ImplItem, ImplItemFn, ItemImpl, LitStr, parse_quote};

/// # Errors
///
/// At the word that is wrong.
pub(crate) fn expand(cache: &LitStr, mut behavior: ItemImpl) -> syn::Result<TokenStream> {
    let of = behavior.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
    if of.is_none_or(|name| name.ident != "ActiveModelBehavior") {
        let message = "`reports_to` belongs on `impl ActiveModelBehavior for ActiveModel`";
        return Err(syn::Error::new_spanned(&behavior.self_ty, message));
    }
    if cache.value().is_empty() {
        return Err(syn::Error::new(cache.span(), "the name of a cache, as in `receive_reports`"));
    }
    let report = quote! {
        ::sea_orm_cache::__report::<<Self as ::sea_orm::ActiveModelTrait>::Entity, _>
    };
    let saved = quote! {
        #report(
            #cache, db,
            ::core::option::Option::Some(::sea_orm::ModelTrait::get_primary_key_value(&model)),
        )
        .await;
    };
    let deleted = quote! {
        #report(#cache, db, ::sea_orm::ActiveModelTrait::get_primary_key_value(&self)).await;
    };
    let saves = parse_quote! {
        async fn after_save<C>(
            model: <Self::Entity as ::sea_orm::EntityTrait>::Model,
            db: &C,
            insert: bool,
        ) -> ::core::result::Result<
            <Self::Entity as ::sea_orm::EntityTrait>::Model,
            ::sea_orm::DbErr,
        >
        where
            C: ::sea_orm::ConnectionTrait,
        {
            let _ = insert;
            Ok(model)
        }
    };
    let deletes = parse_quote! {
        async fn after_delete<C>(self, db: &C) -> ::core::result::Result<Self, ::sea_orm::DbErr>
        where
            C: ::sea_orm::ConnectionTrait,
        {
            let _ = db;
            Ok(self)
        }
    };
    insert(&mut behavior, saves, &saved)?;
    insert(&mut behavior, deletes, &deleted)?;
    let is_async_trait = |attribute: &syn::Attribute| {
        attribute.path().segments.last().is_some_and(|last| last.ident == "async_trait")
    };
    if !behavior.attrs.iter().any(is_async_trait) {
        behavior.attrs.push(parse_quote!(#[::sea_orm::entity::prelude::async_trait::async_trait]));
    }
    Ok(behavior.into_token_stream())
}

/// Puts the report first: whatever the hook then says of it, the row is written.
fn insert(behavior: &mut ItemImpl, default: ImplItemFn, report: &TokenStream) -> syn::Result<()> {
    let name = default.sig.ident.clone();
    let is_hook = |item: &ImplItem| matches!(item, ImplItem::Fn(hook) if hook.sig.ident == name);
    let position = behavior.items.iter().position(is_hook).unwrap_or_else(|| {
        behavior.items.push(ImplItem::Fn(default.clone()));
        behavior.items.len() - 1
    });
    let ImplItem::Fn(hook) = &mut behavior.items[position] else { return Ok(()) };
    if hook.sig.asyncness.is_none() {
        let message = "`reports_to` belongs above `async_trait`";
        return Err(syn::Error::new_spanned(&hook.sig.ident, message));
    }
    // The arguments under our names first, then under the hook's own.
    let mut lets = TokenStream::new();
    for (own, ours) in hook.sig.inputs.iter_mut().zip(default.sig.inputs) {
        if let (FnArg::Typed(own), FnArg::Typed(ours)) = (own, ours) {
            let (pattern, name) = (std::mem::replace(&mut own.pat, ours.pat.clone()), ours.pat);
            lets.extend(quote!(let #pattern = #name;));
        }
    }
    let body = &hook.block;
    hook.block = parse_quote!({ #report #lets #body });
    Ok(())
}
