//! `#[event]`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Ident, ItemFn, Result, Token};

use crate::route::read_codec;
use crate::signature::{Role, Signature, or_error};

const ROLE: Role =
    Role { noun: "an event handler", wanted: "an event handler is `fn name(ctx: &mut Ctx, event: Event<'_>) -> Result<()>`" };

pub(crate) fn expand(arguments: TokenStream, function: &TokenStream) -> TokenStream {
    or_error(expand_checked(arguments, function), function)
}

fn expand_checked(arguments: TokenStream, function: &TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(function.clone()).map_err(|error| Error::new(error.span(), "#[event] belongs on a function"))?;
    let Arguments { kinds, codec } = syn::parse2(arguments)?;
    let Signature { argument, replies } = Signature::of(&function, &ROLE)?;
    if replies {
        let wanted = ROLE.wanted;
        return Err(Error::new(function.sig.output.span(), format!("nobody waits for the answer to an event; {wanted}")));
    }
    let (name, visibility) = (&function.sig.ident, &function.vis);
    let call = match argument {
        None => quote! { { let _ = event; #name(ctx) } },
        Some(ty) => {
            // At the type, so that "expected another type" points there.
            let event = quote_spanned! { ty.span()=> event };
            quote! { #name(ctx, #event) }
        }
    };

    Ok(quote! {
        #[allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps, reason = "every event handler has this signature")]
        #function

        // A type next to the function, as for a route.
        #[doc(hidden)]
        #[allow(non_camel_case_types, missing_docs, missing_debug_implementations, reason = "generated")]
        #visibility enum #name {}

        impl ::duet_plugin::EventHandler for #name {
            const KINDS: &'static [::duet_plugin::EventKind] = &[#(::duet_plugin::EventKind::#kinds),*];

            fn call(ctx: &mut ::duet_plugin::Ctx, event: ::duet_plugin::Event<'_>) -> ::duet_plugin::Result<()> {
                ctx.__enter(::duet_plugin::codec::Codec::#codec);
                #call.map_err(::core::convert::Into::<::duet_plugin::Error>::into)
            }
        }
    })
}

/// What is in the brackets.
struct Arguments {
    kinds: Vec<Ident>,
    codec: Ident,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut kinds = Vec::new();
        let mut codec = None;
        while !input.is_empty() {
            if input.peek(Ident) && input.peek2(Token![=]) && input.fork().parse::<Ident>()? == "codec" {
                read_codec(input, &mut codec)?;
            } else {
                let name: Ident = input.parse()?;
                let kind = kind_named(&name)?;
                if kinds.contains(&kind) {
                    return Err(Error::new(name.span(), format!("`{name}` is given twice")));
                }
                kinds.push(kind);
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        if kinds.is_empty() {
            return Err(Error::new(Span::call_site(), "name the event: `#[event(connect)]`"));
        }
        let codec = codec.unwrap_or_else(|| format_ident!("Json"));
        Ok(Self { kinds, codec })
    }
}

fn kind_named(name: &Ident) -> Result<Ident> {
    match name.to_string().as_str() {
        "connect" => Ok(format_ident!("Connect")),
        "bind" => Ok(format_ident!("Bind")),
        "disconnect" => Ok(format_ident!("Disconnect")),
        "suspend" => Ok(format_ident!("Suspend")),
        "resume" => Ok(format_ident!("Resume")),
        other => Err(Error::new(name.span(), format!("no event `{other}`: connect, bind, disconnect, suspend or resume"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::needless_pass_by_value, reason = "so that tests read well")]
    fn error(arguments: TokenStream, function: TokenStream) -> String {
        expand_checked(arguments, &function).unwrap_err().to_string()
    }

    fn good() -> TokenStream {
        quote! { fn left(ctx: &mut Ctx, event: Event<'_>) -> Result<()> { Ok(()) } }
    }

    #[test]
    fn a_handler_may_have_several_events_and_a_codec() {
        for arguments in [quote! { connect }, quote! { disconnect, suspend, }, quote! { bind, codec = "msgpack" }] {
            assert!(expand_checked(arguments, &good()).is_ok());
        }
        assert!(expand_checked(quote! { resume }, &quote! { pub fn back(ctx: &mut Ctx) -> Result<()> {} }).is_ok());
    }

    #[test]
    fn wrong_arguments_are_explained() {
        assert_eq!(error(quote! {}, good()), "name the event: `#[event(connect)]`");
        assert_eq!(error(quote! { codec = "json" }, good()), "name the event: `#[event(connect)]`");
        assert_eq!(error(quote! { conect }, good()), "no event `conect`: connect, bind, disconnect, suspend or resume");
        assert_eq!(error(quote! { bind, bind }, good()), "`bind` is given twice");
        assert_eq!(error(quote! { bind, codec = "xml" }, good()), "no codec `xml`: json, msgpack, protobuf or bytes");
        assert!(error(quote! { 1 }, good()).contains("expected identifier"));
    }

    #[test]
    fn wrong_functions_are_explained() {
        let wrong = |function| error(quote! { connect }, function);
        assert_eq!(wrong(quote! { struct Left; }), "#[event] belongs on a function");
        assert!(wrong(quote! { async fn a(ctx: &mut Ctx) -> Result<()> {} }).starts_with("an event handler is not async"));
        assert!(wrong(quote! { fn a(event: Event<'_>) -> Result<()> {} }).starts_with("the first argument is `ctx: &mut Ctx`"));
        assert!(wrong(quote! { fn a(ctx: &mut Ctx, event: Event<'_>, more: u8) -> Result<()> {} }).starts_with("one argument too many"));
        assert!(wrong(quote! { fn a(ctx: &mut Ctx) {} }).starts_with("an event handler returns a result"));
        assert!(wrong(quote! { fn a(ctx: &mut Ctx) -> Result<u32> {} }).starts_with("nobody waits for the answer"));
    }

    #[test]
    fn a_wrong_function_is_still_there() {
        let expanded = expand(quote! { conect }, &good()).to_string();
        assert!(expanded.contains("compile_error") && expanded.contains("fn left"));
    }
}
