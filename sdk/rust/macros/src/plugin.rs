//! `plugin!`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Ident, LitStr, Path, Result, Token, bracketed};

pub(crate) fn expand(declaration: TokenStream) -> TokenStream {
    match syn::parse2::<Declaration>(declaration) {
        Ok(declaration) => declaration.expand(),
        Err(error) => error.into_compile_error(),
    }
}

/// What is in the braces.
struct Declaration {
    routes: Vec<Path>,
    events: Vec<Path>,
    start: Option<Path>,
    stop: Option<Path>,
    name: Option<LitStr>,
    state: Option<Path>,
}

impl Parse for Declaration {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (mut routes, mut events, mut start, mut stop, mut name, mut state) = (None, None, None, None, None, None);
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            input.parse::<Token![:]>()?;
            let repeated = match key.to_string().as_str() {
                "routes" => routes.replace(paths(input)?).is_some(),
                "events" => events.replace(paths(input)?).is_some(),
                "start" => start.replace(input.parse()?).is_some(),
                "stop" => stop.replace(input.parse()?).is_some(),
                "name" => name.replace(input.parse()?).is_some(),
                "state" => state.replace(input.parse()?).is_some(),
                other => {
                    let known = "a plugin has `routes`, `events`, `start`, `stop`, `state` and `name`";
                    return Err(Error::new(key.span(), format!("unknown key `{other}`: {known}")));
                }
            };
            if repeated {
                return Err(Error::new(key.span(), format!("`{key}` is given twice")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let missing = || Error::new(Span::call_site(), "name the plugin's routes: `routes: [greet]`");
        Ok(Self { routes: routes.ok_or_else(missing)?, events: events.unwrap_or_default(), start, stop, name, state })
    }
}

fn paths(input: ParseStream<'_>) -> Result<Vec<Path>> {
    let list;
    bracketed!(list in input);
    Ok(Punctuated::<Path, Token![,]>::parse_terminated(&list)?.into_iter().collect())
}

impl Declaration {
    fn expand(&self) -> TokenStream {
        let game = self.game();
        let unique = self.check_unique();
        let cell = self.state_cell();
        let exported = self.kept().map(|_| quote! { ::duet_plugin::component::state_bindings::export_state!(Exports); });
        quote! {
            /// The plugin of this crate.
            #[derive(Debug, Clone, Copy)]
            pub struct Plugin;

            #game
            #cell
            #unique

            impl Plugin {
                /// What this plugin is, as json.
                pub fn manifest() -> ::std::string::String {
                    ::duet_plugin::manifest::<Self>()
                }

                /// Handles a packed list of requests, which it may change, and appends the effects to `out`.
                ///
                /// # Errors
                /// If the list does not fit the packed layout.
                pub fn handle_batch(
                    requests: &mut [u8],
                    out: &mut ::std::vec::Vec<u8>,
                ) -> ::core::result::Result<(), ::duet_plugin::MalformedBatch> {
                    ::duet_plugin::handle_batch::<Self>(requests, out)
                }

                /// Runs once, before the first message.
                ///
                /// # Errors
                /// Keeps the plugin from being loaded.
                pub fn start() -> ::duet_plugin::Result<()> {
                    <Self as ::duet_plugin::Game>::start()
                }

                /// Runs once, before the instance is dropped in good order.
                pub fn stop() {
                    <Self as ::duet_plugin::Game>::stop();
                }
            }

            #[cfg(target_arch = "wasm32")]
            const _: () = {
                type Exports = ::duet_plugin::component::Exports<Plugin>;
                ::duet_plugin::component::bindings::export_game!(Exports);
                ::duet_plugin::__export_handle_batch!(Plugin);
                #exported
            };
        }
    }

    /// The type of the state, if there is one to keep.
    fn kept(&self) -> Option<&Path> {
        self.state.as_ref().filter(|state| !state.is_ident("none"))
    }

    /// Where the state is. The type may be of another module.
    fn state_cell(&self) -> Option<TokenStream> {
        let state = self.kept()?;
        Some(quote_spanned! { state.span()=>
            impl ::duet_plugin::state::State for #state {
                fn cell() -> &'static ::core::cell::RefCell<Self> {
                    ::std::thread_local! {
                        static CELL: &'static ::core::cell::RefCell<#state> = ::std::boxed::Box::leak(::std::boxed::Box::default());
                    }
                    ::duet_plugin::state::__cell(&CELL)
                }
            }
        })
    }

    /// What the host is told of it, and how it is saved.
    fn state_calls(&self) -> Option<TokenStream> {
        let declared = self.state.as_ref()?;
        let Some(state) = self.kept() else {
            return Some(quote! {
                fn keeps() -> ::duet_plugin::state::Keeps {
                    ::duet_plugin::state::Keeps::Nothing
                }
            });
        };
        Some(quote_spanned! { declared.span()=>
            fn keeps() -> ::duet_plugin::state::Keeps {
                ::duet_plugin::state::Keeps::of::<#state>()
            }

            fn save(piece: u32) -> ::duet_plugin::Result<::std::vec::Vec<u8>> {
                ::duet_plugin::state::save::<#state>(piece)
            }

            fn restore(schema: u32, piece: u32, bytes: ::std::vec::Vec<u8>) -> ::duet_plugin::Result<()> {
                ::duet_plugin::state::restore::<#state>(schema, piece, bytes)
            }
        })
    }

    fn game(&self) -> TokenStream {
        let routes = &self.routes;
        let name = self.name.as_ref().map_or_else(|| quote! { ::core::env!("CARGO_PKG_NAME") }, ToTokens::into_token_stream);
        let start = self.start.as_ref().map(|start| {
            // Spans make the compiler report a wrong type at the function's name.
            let call = quote_spanned! { start.span()=> { let start: fn() -> ::duet_plugin::Result<()> = #start; start() } };
            quote! { fn start() -> ::duet_plugin::Result<()> { #call } }
        });
        let stop = self.stop.as_ref().map(|stop| {
            let call = quote_spanned! { stop.span()=> { let stop: fn() = #stop; stop() } };
            quote! { fn stop() { #call } }
        });
        let (events, state) = (self.events(), self.state_calls());
        quote! {
            impl ::duet_plugin::Game for Plugin {
                const NAME: &'static str = #name;
                const VERSION: &'static str = ::core::env!("CARGO_PKG_VERSION");
                const ROUTES: &'static [::duet_plugin::RouteInfo] = &[#(<#routes as ::duet_plugin::Route>::INFO),*];

                #[inline]
                #[allow(unreachable_patterns, reason = "a repeated number has an error of its own")]
                fn call(
                    route: i32,
                    ctx: &mut ::duet_plugin::Ctx,
                    body: &mut [u8],
                ) -> ::core::option::Option<::duet_plugin::Result<()>> {
                    match route {
                        #(<#routes as ::duet_plugin::Route>::NUMBER => {
                            ::core::option::Option::Some(<#routes as ::duet_plugin::Route>::call(ctx, body))
                        })*
                        _ => ::core::option::Option::None,
                    }
                }

                #events
                #start
                #stop
                #state
            }
        }
    }

    /// Nothing if there are none: then the compiler drops everything that deals with events.
    fn events(&self) -> TokenStream {
        let events = &self.events;
        if events.is_empty() {
            return TokenStream::new();
        }
        quote! {
            const EVENTS: &'static [&'static [::duet_plugin::EventKind]] = &[#(<#events as ::duet_plugin::EventHandler>::KINDS),*];

            fn event(ctx: &mut ::duet_plugin::Ctx, event: ::duet_plugin::Event<'_>) -> ::duet_plugin::Result<()> {
                #(if <#events as ::duet_plugin::EventHandler>::KINDS.contains(&event.kind) {
                    return <#events as ::duet_plugin::EventHandler>::call(ctx, event);
                })*
                ::core::result::Result::Ok(())
            }
        }
    }

    /// A check at compile time for each route and event handler, so that the error is at its name.
    fn check_unique(&self) -> TokenStream {
        let Self { routes, events, .. } = self;
        let routes_checked = routes.iter().enumerate().map(|(index, route)| {
            let name = route.to_token_stream().to_string().replace(' ', "");
            let message = format!("route `{name}` has the number of a route before it");
            quote_spanned! { route.span()=>
                const _: () = ::core::assert!(!::duet_plugin::__is_repeated(NUMBERS, #index), #message);
            }
        });
        let events_checked = events.iter().enumerate().map(|(index, handler)| {
            let name = handler.to_token_stream().to_string().replace(' ', "");
            let message = format!("event handler `{name}` has an event of a handler before it");
            quote_spanned! { handler.span()=>
                const _: () = ::core::assert!(!::duet_plugin::__is_taken(KINDS, #index), #message);
            }
        });
        quote! {
            const _: () = {
                const NUMBERS: &[i32] = &[#(<#routes as ::duet_plugin::Route>::NUMBER),*];
                #(#routes_checked)*
                const KINDS: &[&[::duet_plugin::EventKind]] = &[#(<#events as ::duet_plugin::EventHandler>::KINDS),*];
                #(#events_checked)*
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(declaration: TokenStream) -> String {
        syn::parse2::<Declaration>(declaration).err().unwrap().to_string()
    }

    #[test]
    fn wrong_declarations_are_explained() {
        assert_eq!(error(quote! {}), "name the plugin's routes: `routes: [greet]`");
        assert!(error(quote! { routes: [greet], begin: x }).starts_with("unknown key `begin`"));
        assert_eq!(error(quote! { routes: [a], routes: [b] }), "`routes` is given twice");
        assert_eq!(error(quote! { routes: [a], events: [b], events: [c] }), "`events` is given twice");
    }

    #[test]
    fn a_trailing_comma_and_paths_are_fine() {
        let declaration: Declaration = syn::parse2(quote! { routes: [greet, shop::buy,], events: [left,], start: on_start, }).unwrap();
        assert_eq!((declaration.routes.len(), declaration.events.len()), (2, 1));
        assert!(declaration.start.is_some() && declaration.stop.is_none());
    }
}
