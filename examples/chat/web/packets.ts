// Packets of the profile due2: size:u32 header:u8 route:i16 seq:i16 body, big endian. One in each WebSocket message.

/** A message from the server. */
export interface Packet {
  route: number;
  /** That of the request; 0 in a push. */
  seq: number;
  /** Set in an error packet. */
  error?: DuetError;
  body: Uint8Array;
}

/** An error packet, or something the client itself gave up on (code 0). Codes below 1,000 are the server's, the others the game's. */
export class DuetError extends Error {
  readonly code: number;

  constructor(code: number, text: string) {
    super(text);
    this.name = "DuetError";
    this.code = code;
  }
}

/** What a client sends now and then, and the server answers. */
export const HEARTBEAT = new Uint8Array([0, 0, 0, 1, 0x80]);

const SIZE_BYTES = 4;
const HEAD_BYTES = 9;
const HEARTBEAT_BIT = 0x80;
const EXTCODE_BITS = 0x7f;
const EXTCODE_ERROR = 1;

/** A packet for the server. */
export function encode(route: number, seq: number, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const packet = new Uint8Array(HEAD_BYTES + body.length);
  const view = new DataView(packet.buffer);
  view.setUint32(0, packet.length - SIZE_BYTES);
  view.setInt16(5, route);
  view.setInt16(7, seq);
  packet.set(body, HEAD_BYTES);
  return packet;
}

/** A packet from the server; undefined if it is a heartbeat or too short to be one. */
export function decode(data: ArrayBuffer): Packet | undefined {
  const view = new DataView(data);
  if (data.byteLength < HEAD_BYTES) return undefined;
  const header = view.getUint8(SIZE_BYTES);
  if ((header & HEARTBEAT_BIT) !== 0) return undefined;
  const packet: Packet = { route: view.getInt16(5), seq: view.getInt16(7), body: new Uint8Array(data, HEAD_BYTES) };
  if ((header & EXTCODE_BITS) === EXTCODE_ERROR && packet.body.length >= 2) {
    packet.error = new DuetError(view.getUint16(HEAD_BYTES), new TextDecoder().decode(packet.body.subarray(2)));
  }
  return packet;
}
