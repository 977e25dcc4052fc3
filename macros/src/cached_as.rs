//! Functions whose results are cached.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Expr, FnArg, Ident, ItemFn, LitStr, Pat, Token, parenthesized, parse_quote};

use crate::ttl::millis;

const KNOWN: &str = "`ttl`, `deps`, `key`, `name`, `tags`, `scope` and `cache`";

/// What `#[cached_as(..)]` says.
#[derive(Default)]
pub(crate) struct Options {
    ttl_ms: Option<u64>,
    deps: Option<TokenStream>,
    key: Option<LitStr>,
    name: Option<LitStr>,
    tags: Vec<LitStr>,
    scope: Option<Expr>,
    cache: Option<Expr>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let (mut options, mut seen) = (Self::default(), Vec::new());
        while !input.is_empty() {
            let option: Ident = input.parse()?;
            let name = option.to_string();
            if seen.contains(&name) {
                return Err(syn::Error::new(option.span(), format!("`{name}` is said twice")));
            }
            match &*name {
                "deps" | "tags" => {
                    let content;
                    parenthesized!(content in input);
                    if name == "deps" {
                        options.deps = Some(content.parse()?);
                    } else {
                        let tags = content.parse_terminated(<LitStr as Parse>::parse, Token![,])?;
                        options.tags.extend(tags);
                    }
                }
                _ => options.value(&option, input)?,
            }
            seen.push(name);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

impl Options {
    /// `name = value`
    fn value(&mut self, option: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        let is_known = ["ttl", "key", "name", "scope", "cache"].iter().any(|known| option == known);
        if !is_known {
            let message = format!("no such option; there are {KNOWN}");
            return Err(syn::Error::new(option.span(), message));
        }
        input.parse::<Token![=]>()?;
        match &*option.to_string() {
            "ttl" => self.ttl_ms = Some(millis(&input.parse()?)?),
            "key" => self.key = Some(input.parse()?),
            "name" => self.name = Some(input.parse()?),
            "scope" => self.scope = Some(input.parse()?),
            _ => self.cache = Some(input.parse()?),
        }
        Ok(())
    }
}

/// # Errors
///
/// At the word that is wrong.
pub(crate) fn expand(options: &Options, mut function: ItemFn) -> syn::Result<TokenStream> {
    if function.sig.asyncness.is_none() {
        let message = "`cached_as` is for async functions that return a `Result`";
        return Err(syn::Error::new_spanned(function.sig.fn_token, message));
    }
    let arguments = arguments(&function)?;
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let cache = match &options.cache {
        Some(cache) => quote!(#cache),
        None if has("cache") => quote!(cache),
        None if has("db") => quote!(db.cache()),
        None => {
            let message = "which cache? There is no argument `cache` and none `db`: say \
                           `cache = ..` in `cached_as`";
            return Err(syn::Error::new_spanned(&function.sig.ident, message));
        }
    };
    let key = match &options.key {
        Some(key) => named(key, &arguments)?,
        None if function.sig.receiver().is_some() => {
            let message = "what of `self` makes the value? Say it by arguments: `key = \"{..}\"`";
            return Err(syn::Error::new_spanned(function.sig.receiver(), message));
        }
        None => {
            let own = |name: &&Ident| *name != "cache" && *name != "db";
            arguments.iter().filter(own).cloned().collect()
        }
    };
    let name = match &options.name {
        Some(name) => quote!(#name),
        None => {
            let name = function.sig.ident.to_string();
            quote!(::core::concat!(::core::module_path!(), "::", #name))
        }
    };
    let ttl =
        options.ttl_ms.iter().map(|ms| quote!(.ttl(::core::time::Duration::from_millis(#ms))));
    let (tags, scope) = (&options.tags, options.scope.iter());
    let body = &function.block;
    let computed = match &options.deps {
        Some(deps) => quote! {
            .depending_on(::sea_orm_cache::deps![#deps], || async move #body)
        },
        None if has("db") => {
            let own = format_ident!("recording_db");
            // The body takes `db` as its signature says.
            let db = if takes_reference(&function) { quote!(&#own) } else { quote!(#own) };
            let to = if takes_reference(&function) { quote!(db) } else { quote!(&db) };
            quote! {
                .remember(#to, |#own| async move {
                    let db = #db;
                    #body
                })
            }
        }
        None => {
            let message = "what does it depend on? Say `deps(..)`, or give it an argument `db`, a \
                           `CachedConnection`, by which it reads";
            return Err(syn::Error::new_spanned(&function.sig.ident, message));
        }
    };
    function.block = parse_quote!({
        let own_cache = ::core::clone::Clone::clone(&#cache);
        let value = own_cache
            .value(#name)
            #(.argument(&#key))*
            #(.tag(#tags))*
            #(.scope(#scope))*
            #(#ttl)*;
        value #computed.await
    });
    Ok(function.into_token_stream())
}

/// The names of the arguments, `self` aside.
fn arguments(function: &ItemFn) -> syn::Result<Vec<Ident>> {
    let typed = function.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(argument) => Some(argument),
        FnArg::Receiver(_) => None,
    });
    let name = |argument: &syn::PatType| match &*argument.pat {
        Pat::Ident(name) => Ok(name.ident.clone()),
        other => Err(syn::Error::new_spanned(other, "`cached_as` needs a name for each argument")),
    };
    typed.map(name).collect()
}

fn takes_reference(function: &ItemFn) -> bool {
    function.sig.inputs.iter().any(|input| match input {
        FnArg::Typed(argument) => {
            let is_db = matches!(&*argument.pat, Pat::Ident(name) if name.ident == "db");
            is_db && matches!(&*argument.ty, syn::Type::Reference(_))
        }
        FnArg::Receiver(_) => false,
    })
}

/// The arguments that `"{a} of {b}"` names.
fn named(key: &LitStr, arguments: &[Ident]) -> syn::Result<Vec<Ident>> {
    let text = key.value();
    let error = |message: String| Err(syn::Error::new(key.span(), message));
    let mut names = Vec::new();
    for part in text.split('{').skip(1) {
        let Some((name, _)) = part.split_once('}') else {
            return error("a `{` without its `}`".into());
        };
        let Some(argument) = arguments.iter().find(|argument| *argument == name) else {
            return error(format!("there is no argument `{name}`"));
        };
        names.push(argument.clone());
    }
    Ok(names)
}
