//! What `#[cached(..)]` says.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Ident, LitStr, Token, parenthesized};

use crate::ttl::millis;

const KNOWN: &str =
    "`ttl`, `family_ttl`, `no_cache`, `tags`, `key`, `case_insensitive` and `related`";
const FAMILIES: &str = "`model`, `list`, `count`, `page` and `related`";

/// All parts of all `#[cached(..)]` on one struct.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) ttl_ms: Option<u64>,
    /// With the variants of `Family`.
    pub(crate) family_ttls_ms: Vec<(Ident, u64)>,
    pub(crate) no_cache: bool,
    pub(crate) tags: Vec<LitStr>,
    pub(crate) keys: Vec<Ident>,
    pub(crate) case_insensitive: Vec<Ident>,
    pub(crate) related: Vec<Ident>,
}

impl Options {
    /// # Errors
    ///
    /// At the first word that is wrong.
    pub(crate) fn parse(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut options = Self::default();
        let (mut seen, mut no_cache) = (Vec::new(), None);
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("cached")) {
            attribute.parse_nested_meta(|meta| {
                let name = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
                if seen.contains(&name) {
                    return Err(meta.error(format!("`{name}` is said twice")));
                }
                if name == "no_cache" {
                    no_cache = Some(meta.path.span());
                }
                options.part(&name, &meta)?;
                seen.push(name);
                Ok(())
            })?;
        }
        options.no_cache = no_cache.is_some();
        options.check(no_cache)?;
        Ok(options)
    }

    fn part(&mut self, name: &str, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        match name {
            "ttl" => self.ttl_ms = Some(duration(meta)?),
            "family_ttl" => meta.parse_nested_meta(|meta| self.family(&meta))?,
            "no_cache" => {}
            "tags" => self.tags = list(meta)?,
            "key" => self.keys = list(meta)?,
            "case_insensitive" => self.case_insensitive = list(meta)?,
            "related" => self.related = list(meta)?,
            _ => return Err(meta.error(format!("no such option; there are {KNOWN}"))),
        }
        Ok(())
    }

    fn family(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let families = ["model", "list", "count", "page", "related"];
        let name = meta.path.get_ident().filter(|name| families.iter().any(|of| name == of));
        let Some(name) = name else {
            return Err(meta.error(format!("no such kind of results; there are {FAMILIES}")));
        };
        let variant = camel(name);
        if self.family_ttls_ms.iter().any(|(other, _)| *other == variant) {
            return Err(meta.error(format!("`{name}` is said twice")));
        }
        self.family_ttls_ms.push((variant, duration(meta)?));
        Ok(())
    }

    fn check(&self, no_cache: Option<Span>) -> syn::Result<()> {
        let has_ttl = self.ttl_ms.is_some() || !self.family_ttls_ms.is_empty();
        match no_cache.filter(|_| has_ttl) {
            Some(span) => Err(syn::Error::new(span, "what is never cached has no TTL")),
            None => Ok(()),
        }
    }
}

fn duration(meta: &ParseNestedMeta<'_>) -> syn::Result<u64> {
    millis(&meta.value()?.parse()?)
}

/// `(a, b)`
fn list<T: syn::parse::Parse>(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<T>> {
    let content;
    parenthesized!(content in meta.input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}

/// `author_id` as the variant `AuthorId`, at the same place; a variant stays what it is.
pub(crate) fn camel(name: &Ident) -> Ident {
    let text = name.to_string();
    let words = text.trim_start_matches("r#").split('_');
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    };
    Ident::new(&words.map(capital).collect::<String>(), name.span())
}
