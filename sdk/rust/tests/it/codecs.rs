//! Routes whose bodies are not json.

use duet_plugin::prelude::*;
use duet_plugin::testing::Harness;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Score {
    #[prost(uint32, tag = "1")]
    points: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Name<'a> {
    name: &'a str,
}

#[route(1, codec = "protobuf")]
fn double(ctx: &mut Ctx, score: Score) -> Result<Score> {
    ctx.push_protobuf(1, 5, &score)?;
    ctx.broadcast(5, Proto(&score))?;
    Ok(Score { points: score.points * 2 })
}

#[route(2, codec = "msgpack")]
fn same<'a>(ctx: &mut Ctx, name: Name<'a>) -> Result<Name<'a>> {
    ctx.push(1, 5, &name)?;
    ctx.publish("all", 5, Raw(b"\x00"))?;
    Ok(name)
}

#[route(3, codec = "bytes")]
fn reverse<'a>(_ctx: &mut Ctx, body: &'a mut [u8]) -> Result<&'a [u8]> {
    body.reverse();
    Ok(body)
}

#[route(4, codec = "bytes")]
fn wrong_codec(ctx: &mut Ctx, _body: &[u8]) -> Result<()> {
    ctx.reply("text")
}

#[route(5, codec = "bytes")]
fn owned(_ctx: &mut Ctx, body: Vec<u8>) -> Result<Vec<u8>> {
    Ok(body)
}

duet_plugin::plugin! { routes: [double, same, reverse, wrong_codec, owned] }

#[test]
fn protobuf_bodies_are_read_and_written() {
    let mut harness = Harness::<Plugin>::new();
    let outcome = harness.send(1, Score { points: 21 }.encode_to_vec());
    assert_eq!(Score::decode(outcome.reply().unwrap()).unwrap().points, 42);
    for push in outcome.pushes() {
        assert_eq!(push.body, Score { points: 21 }.encode_to_vec());
    }
    assert_eq!(outcome.pushes().len(), 2);
    let error = harness.send(1, [0xff]).error().unwrap().clone();
    assert_eq!(error.code(), duet_plugin::code::BAD_REQUEST);
}

#[test]
fn msgpack_structs_are_maps_with_field_names() {
    let mut harness = Harness::<Plugin>::new();
    let body = b"\x81\xa4name\xa3Ada";
    let outcome = harness.send(2, body);
    assert_eq!(outcome.reply(), Some(body.as_slice()));
    assert_eq!((outcome.pushes()[0].body.as_slice(), outcome.pushes()[1].body.as_slice()), (body.as_slice(), b"\x00".as_slice()));
    assert_eq!(harness.send(2, b"\x80").error().unwrap().message(), "bad request: missing field `name`");
}

#[test]
fn bytes_come_as_they_are_and_may_be_changed_in_place() {
    let mut harness = Harness::<Plugin>::new();
    assert_eq!(harness.send(3, b"abc").reply(), Some(b"cba".as_slice()));
    assert_eq!(harness.send(5, b"abc").reply(), Some(b"abc".as_slice()));
}

#[test]
fn a_serde_reply_on_a_bytes_route_says_what_to_send() {
    let outcome = Harness::<Plugin>::new().send(4, "");
    assert_eq!(outcome.error().unwrap().message(), "the codec here is bytes: send `Raw(&bytes)`");
}
