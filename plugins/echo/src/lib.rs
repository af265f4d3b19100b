//! Echo: answers route 1 with the message it got. The benchmarks measure the server with it.

use duet_plugin::prelude::*;

/// What comes and what goes. The text is not copied out of the request: it points into the list of messages the host handed over.
#[derive(Serialize, Deserialize)]
struct Echo<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
}

#[route(1)]
fn echo<'a>(_ctx: &mut Ctx, req: Echo<'a>) -> Result<Echo<'a>> {
    Ok(req)
}

duet_plugin::plugin! { routes: [echo] }

#[cfg(test)]
mod tests {
    use duet_plugin::testing::Harness;

    use super::*;

    #[test]
    fn the_message_comes_back() {
        let body = br#"{"message":"abc \"quoted\""}"#;
        assert_eq!(Harness::<Plugin>::new().send(1, body).reply(), Some(body.as_slice()));
    }
}
