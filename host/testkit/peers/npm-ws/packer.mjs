// Packets on ws: the layout of due-client-ts ("due2"), and the older one without a size field ("seed").

const HEARTBEAT_BIT = 0x80;
const SIZE_BYTES = 4;

export class Packer {
  // Settings: profile "due2" or "seed", byteOrder "big" or "little", routeBytes 1, 2 or 4, seqBytes 0, 1, 2 or 4.
  constructor({ profile = 'due2', byteOrder = 'big', routeBytes = 2, seqBytes = 2, bufferBytes = 5000 } = {}) {
    if (!['due2', 'seed'].includes(profile)) throw new Error(`the profile is due2 or seed, not ${profile}`);
    if (!['big', 'little'].includes(byteOrder)) throw new Error(`the byte order is big or little, not ${byteOrder}`);
    if (![1, 2, 4].includes(routeBytes)) throw new Error(`route bytes are 1, 2 or 4, not ${routeBytes}`);
    if (![0, 1, 2, 4].includes(seqBytes)) throw new Error(`seq bytes are 0, 1, 2 or 4, not ${seqBytes}`);
    this.little = byteOrder === 'little';
    this.sizeBytes = profile === 'due2' ? SIZE_BYTES : 0;
    this.profile = profile;
    this.routeBytes = routeBytes;
    this.seqBytes = seqBytes;
    this.bufferBytes = bufferBytes;
  }

  get headBytes() {
    return this.sizeBytes + 1 + this.routeBytes + this.seqBytes;
  }

  pack({ route, seq = 0, body = new Uint8Array(0) }) {
    checkRange('route', route, this.routeBytes);
    if (this.seqBytes > 0) checkRange('seq', seq, this.seqBytes);
    if (body.byteLength > this.bufferBytes) throw new Error('message too large');
    const bytes = new Uint8Array(this.headBytes + body.byteLength);
    const view = new DataView(bytes.buffer);
    if (this.sizeBytes > 0) view.setUint32(0, bytes.byteLength - SIZE_BYTES, this.little);
    writeInt(view, this.sizeBytes + 1, this.routeBytes, route, this.little);
    writeInt(view, this.sizeBytes + 1 + this.routeBytes, this.seqBytes, seq, this.little);
    bytes.set(body, this.headBytes);
    return bytes;
  }

  // due-client-ts writes the size big endian whatever the byte order is.
  heartbeat() {
    return this.sizeBytes > 0 ? Uint8Array.of(0, 0, 0, 1, HEARTBEAT_BIT) : Uint8Array.of(HEARTBEAT_BIT);
  }

  // What a message of the server is: { heartbeat: true, time } or { route, seq, body, extcode, raw }.
  unpack(buffer) {
    const raw = new Uint8Array(buffer);
    const view = new DataView(buffer);
    const header = raw[this.sizeBytes];
    if (header === undefined) throw new Error(`too short: ${hex(raw)}`);
    if (this.sizeBytes > 0 && view.getUint32(0, this.little) !== raw.byteLength - SIZE_BYTES) {
      throw new Error(`size does not fit: ${hex(raw)}`);
    }
    if ((header & HEARTBEAT_BIT) !== 0) return { heartbeat: true, time: this.time(view), raw };
    if (raw.byteLength < this.headBytes) throw new Error(`too short: ${hex(raw)}`);
    return {
      heartbeat: false,
      extcode: header,
      route: readInt(view, this.sizeBytes + 1, this.routeBytes, this.little),
      seq: readInt(view, this.sizeBytes + 1 + this.routeBytes, this.seqBytes, this.little),
      body: raw.subarray(this.headBytes),
      raw,
    };
  }

  // The time of a heartbeat as it stands there (due2: ns, seed: ms and always big endian), undefined if it has none.
  time(view) {
    const at = this.sizeBytes + 1;
    if (view.byteLength < at + 8) return undefined;
    return view.getBigInt64(at, this.profile === 'due2' && this.little);
  }

  // The code and text in the body of an error packet.
  error(body) {
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    return { code: view.getUint16(0, this.little), text: new TextDecoder().decode(body.subarray(2)) };
  }
}

export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function checkRange(name, value, bytes) {
  const half = 2 ** (8 * bytes - 1);
  if (!Number.isInteger(value) || value < -half || value >= half) throw new Error(`${name} overflow`);
}

function writeInt(view, at, bytes, value, little) {
  if (bytes === 1) view.setInt8(at, value);
  if (bytes === 2) view.setInt16(at, value, little);
  if (bytes === 4) view.setInt32(at, value, little);
}

function readInt(view, at, bytes, little) {
  if (bytes === 1) return view.getInt8(at);
  if (bytes === 2) return view.getInt16(at, little);
  if (bytes === 4) return view.getInt32(at, little);
  return 0;
}
