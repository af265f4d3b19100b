//! `#[state]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, Expr, Ident, Result, Token, Type};

use crate::signature::or_error;

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    or_error(expand_checked(arguments, item), item)
}

fn expand_checked(arguments: TokenStream, item: &TokenStream) -> Result<TokenStream> {
    let input: DeriveInput =
        syn::parse2(item.clone()).map_err(|error| Error::new(error.span(), "#[state] belongs on a struct or an enum"))?;
    let Arguments { schema, from } = syn::parse2(arguments)?;
    let name = &input.ident;
    if !input.generics.params.is_empty() {
        return Err(Error::new(input.generics.span(), "the type of a state has no parameters"));
    }
    let (older, read, order) = match &from {
        None => (None, quote! { ::core::result::Result::Err(::duet_plugin::state::__unknown(schema)) }, None),
        Some(old) => {
            let older = quote! { reads.extend(<#old as ::duet_plugin::state::Schema>::reads()); };
            // At the type, so that a conversion that is missing is told there.
            let convert = quote_spanned! { old.span()=> ::duet_plugin::state::__converted::<#old, Self>(old) };
            let read = quote! {
                let old = <#old as ::duet_plugin::state::Schema>::read(schema, saved)?;
                #convert
            };
            let order = quote_spanned! { old.span()=>
                const _: () = ::core::assert!(
                    <#old as ::duet_plugin::state::Schema>::NUMBER < <#name as ::duet_plugin::state::Schema>::NUMBER,
                    "the schema before has to have a lower number"
                );
            };
            (Some(older), read, Some(order))
        }
    };
    let mutable = older.as_ref().map(|_| quote! { mut });
    Ok(quote! {
        #item

        impl ::duet_plugin::state::Schema for #name {
            const NUMBER: u32 = #schema;

            fn reads() -> ::std::vec::Vec<u32> {
                let #mutable reads = ::std::vec![Self::NUMBER];
                #older
                reads
            }

            fn read(schema: u32, saved: ::duet_plugin::state::Saved<'_>) -> ::duet_plugin::Result<Self> {
                if schema == Self::NUMBER {
                    return saved.read();
                }
                #read
            }
        }

        #order
    })
}

/// What is in the brackets.
struct Arguments {
    schema: Expr,
    from: Option<Type>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (mut schema, mut from) = (None, None);
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            let repeated = match key.to_string().as_str() {
                "schema" => schema.replace(input.parse()?).is_some(),
                "from" => from.replace(input.parse()?).is_some(),
                other => return Err(Error::new(key.span(), format!("unknown key `{other}`: a state has `schema` and `from`"))),
            };
            if repeated {
                return Err(Error::new(key.span(), format!("`{key}` is given twice")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let missing = || input.error("a state has the number of its schema: `#[state(schema = 1)]`");
        Ok(Self { schema: schema.ok_or_else(missing)?, from })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(arguments: TokenStream, item: &TokenStream) -> String {
        expand_checked(arguments, item).unwrap_err().to_string()
    }

    #[test]
    fn wrong_states_are_explained() {
        let item = quote! { struct World { players: u32 } };
        assert!(error(quote! {}, &item).contains("`#[state(schema = 1)]`"));
        assert!(error(quote! { version = 1 }, &item).starts_with("unknown key `version`"));
        assert_eq!(error(quote! { schema = 1, schema = 2 }, &item), "`schema` is given twice");
        assert_eq!(error(quote! { schema = 1 }, &quote! { fn world() {} }), "#[state] belongs on a struct or an enum");
        assert_eq!(error(quote! { schema = 1 }, &quote! { struct World<T>(T); }), "the type of a state has no parameters");
    }

    #[test]
    fn the_item_stays_as_it_is() {
        let item = quote! { struct World { players: u32 } };
        let expanded = expand_checked(quote! { schema = LATEST, from = old::World }, &item).unwrap().to_string();
        assert!(expanded.starts_with(&item.to_string()), "{expanded}");
    }
}
