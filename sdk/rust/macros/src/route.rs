//! `#[route]`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, Ident, ItemFn, LitStr, Result, Token};

use crate::signature::{Role, Signature, or_error};

const ROLE: Role = Role { noun: "a route", wanted: "a route is `fn name(ctx: &mut Ctx, req: Request) -> Result<Reply>`" };

pub(crate) fn expand(arguments: TokenStream, function: &TokenStream) -> TokenStream {
    or_error(expand_checked(arguments, function), function)
}

fn expand_checked(arguments: TokenStream, function: &TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(function.clone()).map_err(|error| Error::new(error.span(), "#[route] belongs on a function"))?;
    let Arguments { number, codec, authorized, internal } = syn::parse2(arguments)?;
    let Signature { argument: request, replies } = Signature::of(&function, &ROLE)?;
    let (name, visibility) = (&function.sig.ident, &function.vis);
    let text = name.to_string();

    let call = match request {
        None => quote! { #name(ctx) },
        Some(ty) => {
            // At the type, so that "cannot be decoded" points there. The type itself is inferred from the call.
            let decode = quote_spanned! { ty.span()=> ctx.__decode::<::duet_plugin::codec::#codec, _>(body)? };
            quote! {{
                let request = #decode;
                #name(ctx, request)
            }}
        }
    };
    let answer = if replies {
        let ty = &function.sig.output;
        quote_spanned! { ty.span()=> ctx.__reply::<::duet_plugin::codec::#codec, _>(&reply) }
    } else {
        quote! { { let () = reply; ::core::result::Result::Ok(()) } }
    };
    let unused = if request.is_none() {
        quote! { let _ = body; }
    } else {
        quote! {}
    };

    Ok(quote! {
        #[allow(clippy::needless_pass_by_value, reason = "a request is handed over by value")]
        #function

        // A type next to the function: values and types have separate namespaces, so `routes: [name]` finds both.
        #[doc(hidden)]
        #[allow(non_camel_case_types, missing_docs, missing_debug_implementations, reason = "generated")]
        #visibility enum #name {}

        impl ::duet_plugin::Route for #name {
            const INFO: ::duet_plugin::RouteInfo = ::duet_plugin::RouteInfo {
                number: #number,
                name: #text,
                codec: ::duet_plugin::codec::Codec::#codec,
                authorized: #authorized,
                internal: #internal,
            };

            #[inline]
            fn call(ctx: &mut ::duet_plugin::Ctx, body: &mut [u8]) -> ::duet_plugin::Result<()> {
                ctx.__enter(::duet_plugin::codec::Codec::#codec);
                #unused
                match #call {
                    ::core::result::Result::Ok(reply) => #answer,
                    ::core::result::Result::Err(error) => {
                        ::core::result::Result::Err(::core::convert::Into::<::duet_plugin::Error>::into(error))
                    }
                }
            }
        }
    })
}

/// What is in the brackets.
struct Arguments {
    number: Expr,
    codec: Ident,
    authorized: bool,
    internal: bool,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut number = None;
        let mut codec = None;
        let (mut authorized, mut internal) = (false, false);
        while !input.is_empty() {
            let option = if input.peek(Ident) { input.fork().parse::<Ident>().ok() } else { None };
            match option.map(|option| option.to_string()).as_deref() {
                Some("codec") => read_codec(input, &mut codec)?,
                Some("authorized") => flag(input, &mut authorized)?,
                Some("internal") => flag(input, &mut internal)?,
                Some(other) if input.peek2(Token![=]) => {
                    let known = "a route takes `codec = \"..\"`, `authorized` and `internal`";
                    return Err(input.error(format!("unknown option `{other}`: {known}")));
                }
                _ => {
                    let value: Expr = input.parse()?;
                    check_number(&value)?;
                    if number.is_some() {
                        return Err(Error::new(value.span(), "a route has one number"));
                    }
                    number = Some(value);
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let number = number.ok_or_else(|| Error::new(Span::call_site(), "give the route its number: `#[route(1)]`"))?;
        let codec = codec.unwrap_or_else(|| format_ident!("Json"));
        Ok(Self { number, codec, authorized, internal })
    }
}

fn flag(input: ParseStream<'_>, flag: &mut bool) -> Result<()> {
    let name: Ident = input.parse()?;
    if std::mem::replace(flag, true) {
        return Err(Error::new(name.span(), format!("`{name}` is given twice")));
    }
    Ok(())
}

/// Reads `codec = ".."`.
pub(crate) fn read_codec(input: ParseStream<'_>, codec: &mut Option<Ident>) -> Result<()> {
    input.parse::<Ident>()?;
    input.parse::<Token![=]>()?;
    let name: LitStr = input.parse()?;
    if codec.replace(codec_named(&name)?).is_some() {
        return Err(Error::new(name.span(), "the codec is given twice"));
    }
    Ok(())
}

fn codec_named(name: &LitStr) -> Result<Ident> {
    match name.value().as_str() {
        "json" => Ok(format_ident!("Json")),
        "msgpack" => Ok(format_ident!("Msgpack")),
        "protobuf" => Ok(format_ident!("Protobuf")),
        "bytes" => Ok(format_ident!("Bytes")),
        other => Err(Error::new(name.span(), format!("no codec `{other}`: json, msgpack, protobuf or bytes"))),
    }
}

/// A literal must be an integer that fits; anything else is an expression the compiler checks.
fn check_number(number: &Expr) -> Result<()> {
    let Expr::Lit(literal) = number else { return Ok(()) };
    match &literal.lit {
        syn::Lit::Int(int) if int.base10_parse::<i32>().is_ok() => Ok(()),
        syn::Lit::Int(_) => Err(Error::new(number.span(), "a route number is a signed 32-bit number")),
        _ => Err(Error::new(number.span(), "a route number is an integer: `#[route(1)]`")),
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
        quote! { fn greet(ctx: &mut Ctx, req: Greet<'_>) -> Result<Greeting> { todo() } }
    }

    #[test]
    fn numbers_may_be_literals_or_constants() {
        for arguments in [quote! { 1 }, quote! { -1 }, quote! { LOGIN, authorized }, quote! { ids::BUY, codec = "bytes", internal }] {
            assert!(expand_checked(arguments, &good()).is_ok());
        }
    }

    #[test]
    fn wrong_arguments_are_explained() {
        assert_eq!(error(quote! {}, good()), "give the route its number: `#[route(1)]`");
        assert_eq!(error(quote! { authorized }, good()), "give the route its number: `#[route(1)]`");
        assert_eq!(error(quote! { 1, 2 }, good()), "a route has one number");
        assert_eq!(error(quote! { "1" }, good()), "a route number is an integer: `#[route(1)]`");
        assert_eq!(error(quote! { 5000000000 }, good()), "a route number is a signed 32-bit number");
        assert_eq!(error(quote! { 1, codec = "xml" }, good()), "no codec `xml`: json, msgpack, protobuf or bytes");
        assert!(error(quote! { 1, format = "json" }, good()).starts_with("unknown option `format`"));
        assert_eq!(error(quote! { 1, internal, internal }, good()), "`internal` is given twice");
    }

    #[test]
    fn wrong_functions_are_explained() {
        let wrong = |function| error(quote! { 1 }, function);
        assert!(wrong(quote! { struct Greet; }).contains("belongs on a function"));
        assert!(wrong(quote! { async fn a(ctx: &mut Ctx) -> Result<()> {} }).contains("not async"));
        assert!(wrong(quote! { fn a<T>(ctx: &mut Ctx, req: T) -> Result<()> {} }).contains("not generic"));
        assert!(wrong(quote! { fn a() -> Result<()> {} }).contains("context is missing"));
        assert!(wrong(quote! { fn a(req: Greet) -> Result<()> {} }).contains("first argument"));
        assert!(wrong(quote! { fn a(ctx: &Ctx) -> Result<()> {} }).contains("first argument"));
        assert!(wrong(quote! { fn a(&self, ctx: &mut Ctx) -> Result<()> {} }).contains("not a method"));
        assert!(wrong(quote! { fn a(ctx: &mut Ctx, a: A, b: B) -> Result<()> {} }).contains("too many"));
        assert!(wrong(quote! { fn a(ctx: &mut Ctx) {} }).contains("return `Result<()>`"));
        assert!(wrong(quote! { fn a(ctx: &mut Ctx) -> Greeting {} }).contains("returns `Result<..>`"));
    }

    #[test]
    fn a_wrong_function_is_still_there() {
        let expanded = expand(quote! {}, &good()).to_string();
        assert!(expanded.contains("compile_error") && expanded.contains("fn greet"));
    }
}
