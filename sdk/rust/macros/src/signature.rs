//! The shape of a function with an attribute.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, FnArg, GenericArgument, GenericParam, ItemFn, PathArguments, Result, ReturnType, Type};

/// What a macro made of a function. On an error the function is kept, so that no further errors follow from its absence.
pub(crate) fn or_error(expanded: Result<TokenStream>, function: &TokenStream) -> TokenStream {
    expanded.unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote! { #error #function }
    })
}

/// What a function is for, in the words of its errors.
pub(crate) struct Role {
    /// `a route`.
    pub(crate) noun: &'static str,
    /// What it should look like.
    pub(crate) wanted: &'static str,
}

/// What a macro needs to know of a function.
pub(crate) struct Signature<'a> {
    /// Type of the argument after the context; None if the function takes only the context.
    pub(crate) argument: Option<&'a Type>,
    /// False if it returns `Result<()>`.
    pub(crate) replies: bool,
}

impl<'a> Signature<'a> {
    pub(crate) fn of(function: &'a ItemFn, role: &Role) -> Result<Self> {
        let Role { noun, wanted } = role;
        let sig = &function.sig;
        if let Some(token) = &sig.asyncness {
            return Err(Error::new(token.span(), format!("{noun} is not async: a call runs to its end")));
        }
        if let Some(token) = &sig.unsafety {
            return Err(Error::new(token.span(), format!("{noun} is not unsafe")));
        }
        let lifetime = |parameter: &&GenericParam| matches!(parameter, GenericParam::Lifetime(_));
        if let Some(parameter) = sig.generics.params.iter().find(|parameter| !lifetime(parameter)) {
            return Err(Error::new(parameter.span(), format!("{noun} is not generic, but for lifetimes")));
        }
        let mut inputs = sig.inputs.iter();
        match inputs.next() {
            Some(FnArg::Typed(ctx)) if is_ctx(&ctx.ty) => {}
            Some(FnArg::Typed(other)) => {
                return Err(Error::new(other.ty.span(), format!("the first argument is `ctx: &mut Ctx`; {wanted}")));
            }
            Some(FnArg::Receiver(this)) => {
                return Err(Error::new(this.span(), format!("{noun} is a free function, not a method; {wanted}")));
            }
            None => return Err(Error::new(sig.paren_token.span.join(), format!("the context is missing; {wanted}"))),
        }
        let argument = match inputs.next() {
            Some(FnArg::Typed(argument)) => Some(&*argument.ty),
            _ => None,
        };
        if let Some(more) = inputs.next() {
            return Err(Error::new(more.span(), format!("one argument too many; {wanted}")));
        }
        Ok(Self { argument, replies: !returns_unit(&sig.output, role)? })
    }
}

/// `&mut` of something whose last name is `Ctx`.
fn is_ctx(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else { return false };
    let Type::Path(path) = &*reference.elem else { return false };
    reference.mutability.is_some() && path.path.segments.last().is_some_and(|segment| segment.ident == "Ctx")
}

fn returns_unit(output: &ReturnType, role: &Role) -> Result<bool> {
    let Role { noun, wanted } = role;
    let ReturnType::Type(_, ty) = output else {
        let hint = "return `Result<()>` if there is no reply";
        return Err(Error::new(output.span(), format!("{noun} returns a result: {hint}; {wanted}")));
    };
    let wrong = || Error::new(ty.span(), format!("{noun} returns `Result<..>`; {wanted}"));
    let Type::Path(path) = &**ty else { return Err(wrong()) };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Result").ok_or_else(wrong)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Err(wrong()) };
    match arguments.args.first() {
        Some(GenericArgument::Type(Type::Tuple(tuple))) => Ok(tuple.elems.is_empty()),
        Some(GenericArgument::Type(_)) => Ok(false),
        _ => Err(wrong()),
    }
}
