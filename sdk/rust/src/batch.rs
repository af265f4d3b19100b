//! One call of the host: a packed list of requests in, a packed list of effects out.

use crate::effects::LIST_BYTES;
use crate::requests::{Head, MESSAGE, MalformedBatch};
use crate::{Ctx, Error, Event, EventKind, Game, code, log};

/// Handles the requests in their order and appends their effects to `out`. A handler may change its body in place, so `requests` may be
/// changed. If the effects become very many, the last record leaves the requests that were not handled for the next call.
///
/// # Errors
/// If the list does not fit the packed layout. The effects of the requests before the broken record are in `out`.
pub fn handle_batch<G: Game>(requests: &mut [u8], out: &mut Vec<u8>) -> Result<(), MalformedBatch> {
    // An effect's header is shorter than a request's: an answer as long as its request always fits.
    out.reserve(requests.len());
    let mut ctx = Ctx::open(std::mem::take(out));
    let done = handle_all::<G>(requests, &mut ctx);
    *out = ctx.close();
    done
}

fn handle_all<G: Game>(requests: &mut [u8], ctx: &mut Ctx) -> Result<(), MalformedBatch> {
    let mut rest = requests;
    let mut request = 0;
    let begin = ctx.effects().mark();
    while !rest.is_empty() {
        if ctx.effects().mark() - begin >= LIST_BYTES {
            ctx.leave(request);
            break;
        }
        let malformed = MalformedBatch { request };
        let head = Head::read(rest).ok_or(malformed)?;
        if head.kind == MESSAGE {
            let body = rest.get_mut(head.header..head.size).ok_or(malformed)?;
            ctx.begin(request, &head);
            handle_one::<G>(ctx, head.route, body);
        } else if !G::EVENTS.is_empty() {
            handle_event::<G>(ctx, request, &head, rest).ok_or(malformed)?;
        }
        rest = rest.get_mut(head.size..).ok_or(malformed)?;
        request += 1;
    }
    Ok(())
}

#[inline]
fn handle_one<G: Game>(ctx: &mut Ctx, route: i32, body: &mut [u8]) {
    let mark = ctx.effects().mark();
    let error = match G::call(route, ctx, body) {
        Some(Ok(())) => return,
        Some(Err(error)) => error,
        None => Error::new(code::UNKNOWN_ROUTE, format!("this plugin has no route {route}")),
    };
    ctx.effects().take_back(mark);
    ctx.fail(&error);
}

/// Handles an event; a kind that only a later host knows is skipped. An event has no answer: an error becomes a log line. None if its
/// detail is not text.
#[cold]
fn handle_event<G: Game>(ctx: &mut Ctx, request: u32, head: &Head, record: &[u8]) -> Option<()> {
    let Some(kind) = EventKind::of(head.kind) else { return Some(()) };
    let detail = std::str::from_utf8(record.get(head.header..head.size)?).ok()?;
    ctx.begin_event(request, head);
    let mark = ctx.effects().mark();
    if let Err(error) = G::event(ctx, Event { kind, detail }) {
        ctx.effects().take_back(mark);
        log::warn!("event {kind} of connection {}: {error}", head.conn);
    }
    Some(())
}
