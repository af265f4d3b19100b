//! Greet: answers `{"name":"Ada"}` with `{"message":"hello Ada"}`. The plugin to read first.

// Everything a plugin usually needs: Ctx, Error, Result, route, event, log, and serde's Serialize and Deserialize.
use duet_plugin::prelude::*;

// Routes are numbers that client and server agree on.
const GREET: i32 = 2;
const NEWS: i32 = 3;

/// What a client sends. `Cow` borrows the name from the message: nothing is copied. A plain `String` works as well.
#[derive(Deserialize)]
struct Greet<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// What a client gets.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Greeting {
    message: String,
}

// A handler is a function: a context and a request in, a reply or an error out. The body was decoded before it is called, and the reply
// is encoded after it.
#[route(GREET)]
fn greet(ctx: &mut Ctx, req: Greet<'_>) -> Result<Greeting> {
    if req.name.is_empty() {
        // The client gets an error packet with this code. Codes of your own begin at 1,000.
        return Err(Error::new(1000, "a greeting needs a name"));
    }
    log::debug!("connection {} is called {}", ctx.conn(), req.name);

    // Besides the reply, a handler may send to any connection; here, to the one that asked. Nothing leaves before the handler
    // has returned, and nothing at all if it fails.
    let news = Greeting { message: format!("{} is here", req.name) };
    ctx.push(ctx.conn(), NEWS, &news)?;

    Ok(Greeting { message: format!("hello {}", req.name) })
}

// Things happen to connections without a message, too. Nobody waits for an answer to an event; a handler may send to whom it likes.
#[event(disconnect)]
fn gone(ctx: &mut Ctx, event: Event<'_>) -> Result<()> {
    log::debug!("connection {} is gone: {}", ctx.conn(), event.detail);
    Ok(())
}

// Says which functions are routes and events of this plugin, and makes it a component when it is built for wasm32-wasip2.
duet_plugin::plugin! { routes: [greet], events: [gone] }

// `cargo test` runs handlers without a server. The harness plays the host.
#[cfg(test)]
mod tests {
    use duet_plugin::log::Level;
    use duet_plugin::testing::{Harness, To};

    use super::*;

    #[test]
    fn who_gives_a_name_is_greeted() {
        let mut harness = Harness::<Plugin>::new();
        let outcome = harness.conn(7).send(GREET, r#"{"name":"Ada"}"#);

        assert_eq!(outcome.json::<Greeting>().message, "hello Ada");
        let [news] = outcome.pushes()[..] else { panic!("one push, not {outcome:?}") };
        assert_eq!((&news.to, news.route), (&To::One(Conn(7)), NEWS));
        assert_eq!(news.json::<Greeting>().message, "Ada is here");
    }

    #[test]
    fn without_a_name_there_is_an_error_and_no_news() {
        let outcome = Harness::<Plugin>::new().send(GREET, r#"{"name":""}"#);
        assert_eq!(outcome.error(), Some(&Error::new(1000, "a greeting needs a name")));
        assert_eq!(outcome.effects(), []);
    }

    #[test]
    fn who_leaves_is_logged() {
        let mut harness = Harness::<Plugin>::new();
        harness.conn(7).event(EventKind::Disconnect, "client_left");
        assert_eq!(harness.take_log(), [(Level::Debug, "connection 7 is gone: client_left".to_owned())]);
    }

    #[test]
    fn a_body_of_another_shape_is_refused_before_the_handler_sees_it() {
        let outcome = Harness::<Plugin>::new().send(GREET, r#"{"nickname":"Ada"}"#);
        assert_eq!(outcome.error().map(Error::message), Some("bad request: missing field `name`"));
    }

    #[test]
    fn a_handler_is_an_ordinary_function() {
        let (greeting, _) = Harness::<Plugin>::new().call(|ctx| greet(ctx, Greet { name: "Bob".into() }));
        assert_eq!(greeting, Ok(Greeting { message: "hello Bob".to_owned() }));
    }
}
