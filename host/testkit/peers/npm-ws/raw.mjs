// What a server does with a client that breaks the rules: raw.mjs CASE --url ws://HOST:PORT/ [--bytes N] [--expect CODE|open|any]
import { parseArgs } from 'node:util';
import WebSocket from 'ws';
import { Packer, hex } from './packer.mjs';
import { ending, frame, upgrade } from './raw-socket.mjs';
import { number, run, step, within } from './script.mjs';

const CLOSE_MS = 5000;
const QUIET_MS = 1000;

// Each case: how to do it, and the close code it should bring.
const cases = {
  text: { expect: '1003', act: () => viaWs('a text message') },
  oversize: { expect: '1009', act: () => viaWs(oversizePacket()) },
  'oversize-declared': { expect: '1009', act: () => viaSocket(frame({ length: 2 ** 40 })) },
  'bad-packet': { expect: 'any', act: () => viaWs(Uint8Array.of(0, 0, 0, 9, 0, 0, 1, 0, 1)) },
  'short-packet': { expect: 'any', act: () => viaWs(Uint8Array.of(0, 0)) },
  unmasked: { expect: '1002', act: () => viaSocket(frame({ masked: false, payload: Buffer.from('0000000180', 'hex') })) },
  'reserved-bit': { expect: '1002', act: () => viaSocket(frame({ first: 0xc2, payload: Buffer.from('0000000180', 'hex') })) },
  'reserved-opcode': { expect: '1002', act: () => viaSocket(frame({ first: 0x83 })) },
  'fragmented-ping': { expect: '1002', act: () => viaSocket(frame({ first: 0x09 })) },
  'long-ping': { expect: '1002', act: () => viaSocket(frame({ first: 0x89, payload: Buffer.alloc(126) })) },
  'stray-continuation': { expect: '1002', act: () => viaSocket(frame({ first: 0x80 })) },
};

const { values: set, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: 'string', default: 'ws://127.0.0.1:3553/' },
    bytes: { type: 'string', default: '70000' }, // oversize: of the message
    expect: { type: 'string' },
  },
});

run(async () => {
  const found = Object.hasOwn(cases, positionals[0] ?? '') ? cases[positionals[0]] : undefined;
  if (!found) throw new Error(`the cases are ${Object.keys(cases).join(' ')}`);
  const seen = await found.act();
  const want = set.expect ?? found.expect;
  const got = String(seen.code ?? seen.state);
  if (want !== 'any' && got !== want) throw new Error(`expected ${want}: ${JSON.stringify(seen)}`);
  step(positionals[0], seen);
});

function oversizePacket() {
  const bytes = number(set.bytes);
  const packer = new Packer({ bufferBytes: bytes });
  return packer.pack({ route: 1, seq: 1, body: new Uint8Array(bytes - packer.headBytes).fill(0x20) });
}

// Sends one message, then a ping: a pong before a close means that the message was let pass.
async function viaWs(message) {
  const socket = new WebSocket(set.url);
  const answers = [];
  socket.on('message', (data) => answers.push(hex(data)));
  const closed = new Promise((resolve) => socket.on('close', (code, reason) => resolve({ state: 'closed', code, reason: reason.toString() })));
  const opened = new Promise((resolve, reject) => {
    socket.on('open', resolve);
    socket.on('error', reject); // later ones end in a close
  });
  await within(CLOSE_MS, 'the connection', opened);
  const open = new Promise((resolve) => socket.on('pong', () => setTimeout(() => resolve({ state: 'open' }), QUIET_MS)));
  socket.send(message);
  socket.ping();
  const seen = await within(CLOSE_MS, 'a close or a pong', Promise.race([closed, open]));
  socket.terminate();
  return { ...seen, answers: answers.join('|') };
}

async function viaSocket(bytes) {
  const socket = await within(CLOSE_MS, 'the handshake', upgrade(set.url));
  const end = ending(socket);
  socket.write(bytes);
  return within(CLOSE_MS, 'the end of the connection', end);
}
