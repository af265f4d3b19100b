// A WebSocket on a bare socket, for frames that npm ws does not send.
import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; // RFC 6455, section 1.3

// Does the handshake and resolves to the open socket.
export function upgrade(url) {
  const { hostname, port, pathname } = new URL(url);
  const key = randomBytes(16).toString('base64');
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(port || 80), hostname);
    let head = Buffer.alloc(0);
    socket.once('error', reject);
    socket.once('end', () => reject(new Error('closed during the handshake')));
    socket.once('connect', () => {
      socket.write(
        `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
      );
    });
    socket.on('data', function take(data) {
      head = Buffer.concat([head, data]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      socket.off('data', take);
      socket.removeAllListeners('end');
      const text = head.subarray(0, end).toString('latin1');
      const accept = createHash('sha1').update(key + GUID).digest('base64');
      if (!text.startsWith('HTTP/1.1 101') || !text.includes(accept)) return reject(new Error(`refused: ${text.split('\r\n')[0]}`));
      socket.pause();
      if (head.length > end + 4) socket.unshift(head.subarray(end + 4));
      resolve(socket);
    });
  });
}

// Resolves to what the server does last: { code } of its close frame, or { code: 'none' }; how is "end" (FIN) or "reset".
export function ending(socket) {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    let how = 'end';
    socket.on('data', (data) => (bytes = Buffer.concat([bytes, data])));
    socket.on('error', () => (how = 'reset'));
    socket.on('close', () => resolve({ ...closeOf(bytes), how }));
    socket.resume();
  });
}

// A client frame; first is the first byte (FIN, reserved bits, opcode), length may lie.
export function frame({ first = 0x82, payload = Buffer.alloc(0), masked = true, length = payload.length }) {
  const mask = masked ? 0x80 : 0;
  let head;
  if (length < 126) head = Buffer.from([first, mask | length]);
  else if (length < 65536) {
    head = Buffer.from([first, mask | 126, 0, 0]);
    head.writeUInt16BE(length, 2);
  } else {
    head = Buffer.from([first, mask | 127, 0, 0, 0, 0, 0, 0, 0, 0]);
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  if (!masked) return Buffer.concat([head, payload]);
  const key = randomBytes(4);
  return Buffer.concat([head, key, payload.map((byte, at) => byte ^ key[at % 4])]);
}

// The first close frame among the server's frames.
function closeOf(bytes) {
  let at = 0;
  while (at + 2 <= bytes.length) {
    const short = bytes[at + 1] & 0x7f;
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
    if (at + 2 + extended > bytes.length) break;
    const length = extended === 2 ? bytes.readUInt16BE(at + 2) : extended === 8 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
    const body = bytes.subarray(at + 2 + extended, at + 2 + extended + length);
    if ((bytes[at] & 0x0f) === 8) return { code: body.length >= 2 ? body.readUInt16BE(0) : 1005, reason: body.subarray(2).toString() };
    at += 2 + extended + length;
  }
  return { code: 'none', reason: '' };
}
