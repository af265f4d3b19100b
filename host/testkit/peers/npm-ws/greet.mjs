// A browser-like due client: greets, lives on heartbeats, asks an unknown route, greets again.
import { parseArgs } from 'node:util';
import { Client } from './due-client-ts.mjs';
import { Packer, hex } from './packer.mjs';
import { number, run, step, within } from './script.mjs';

const GREET_ROUTE = 2;
const PUSH_ROUTE = 3;
const UNKNOWN_ROUTE = 99;
const ERROR_EXTCODE = 1;
const CODE_UNKNOWN_ROUTE = 3;
const ANSWER_MS = 5000;

const { values: set } = parseArgs({
  options: {
    url: { type: 'string', default: 'ws://127.0.0.1:3553/' },
    'route-bytes': { type: 'string', default: '2' },
    'seq-bytes': { type: 'string', default: '2' },
    'byte-order': { type: 'string', default: 'big' },
    profile: { type: 'string', default: 'due2' },
    heartbeat: { type: 'string', default: '1000' }, // ms, 0 for none
    answers: { type: 'string', default: 'yes' }, // whether heartbeats must be answered: yes, any
    unknown: { type: 'string', default: 'error' }, // what an unknown route brings: error, silence
  },
});

const encode = (value) => new TextEncoder().encode(JSON.stringify(value));

run(async () => {
  const interval = number(set.heartbeat);
  const packer = new Packer({
    profile: set.profile,
    byteOrder: set['byte-order'],
    routeBytes: number(set['route-bytes']),
    seqBytes: number(set['seq-bytes']),
  });
  if (packer.seqBytes === 0) throw new Error('request() needs a seq');
  const client = new Client({ url: set.url, packer, heartbeat: interval });

  const lost = new Promise((_, reject) => {
    client.onDisconnect = (event) => reject(new Error(`closed by the server: code=${event.code} reason=${event.reason}`));
    client.onBad = (error) => reject(new Error(`cannot be read: ${error.message}`));
  });
  const pushes = inbox();
  const beats = inbox();
  client.onReceive = pushes.put;
  client.onHeartbeat = beats.put;
  const expect = (what, promise, ms = ANSWER_MS) => within(ms, what, Promise.race([promise, lost]));

  const opened = new Promise((resolve) => (client.onConnect = resolve));
  client.connect();
  await expect('the connection', opened);
  const openedAt = Date.now();
  step('connect', { profile: set.profile });

  await greet(client, pushes, expect, 1, '');
  if (interval > 0) await survive(client, packer, beats, pushes, expect, interval, openedAt);
  await unknown(client, packer, expect);
  await greet(client, pushes, expect, 2, '-again');

  if (pushes.size() > 0) throw new Error(`a packet nobody asked for: ${hex(pushes.take().raw)}`);
  const socket = client.socket;
  const closed = new Promise((resolve) => socket.addEventListener('close', resolve));
  client.disconnect();
  const event = await within(ANSWER_MS, 'the close', closed);
  step('close', { code: event.code });
});

async function greet(client, pushes, expect, seq, suffix) {
  const push = pushes.next();
  const reply = await expect('the reply', client.request(GREET_ROUTE, encode({ name: 'due' })));
  if (reply.extcode !== 0 || reply.seq !== seq || parse(reply).message !== 'hello due') {
    throw new Error(`not the reply: ${describe(reply)}`);
  }
  step(`reply${suffix}`, facts(reply));
  const pushed = await expect('the push', push);
  if (pushed.extcode !== 0 || pushed.route !== PUSH_ROUTE || pushed.seq !== 0 || !parse(pushed).message) {
    throw new Error(`not the push: ${describe(pushed)}`);
  }
  step(`push${suffix}`, facts(pushed));
}

// Quiet for more than two intervals: until the third heartbeat is answered, or for three and a half if answers do not matter.
async function survive(client, packer, beats, pushes, expect, interval, openedAt) {
  let time;
  if (set.answers === 'yes') {
    for (let n = 0; n < 3; n += 1) {
      time = (await expect(`heartbeat ${n + 1}`, beats.next(), 4 * interval + 1000)).time;
    }
  }
  const rest = openedAt + 3.5 * interval - Date.now();
  await expect('the quiet time', new Promise((resolve) => setTimeout(resolve, rest)), rest + 5000);
  if (client.heartbeatsSent < 3) throw new Error(`only ${client.heartbeatsSent} heartbeats sent`);
  if (pushes.size() > 0) throw new Error(`a packet nobody asked for: ${hex(pushes.take().raw)}`);
  if (time !== undefined) checkTime(packer, time);
  step('heartbeats', { sent: client.heartbeatsSent, seen: beats.count(), open_ms: Date.now() - openedAt, time: time ?? 'none' });
}

function checkTime(packer, time) {
  const ms = packer.profile === 'seed' ? Number(time) : Number(time / 1_000_000n);
  if (Math.abs(ms - Date.now()) > 60_000) throw new Error(`the time of the heartbeat is not now: ${time}`);
}

// due-client-ts has no idea of errors: the promise is resolved with the error packet as if it were a reply.
async function unknown(client, packer, expect) {
  const asked = client.request(UNKNOWN_ROUTE, encode({ name: 'due' }));
  if (set.unknown === 'silence') {
    const answer = await expect('silence', Promise.race([asked, new Promise((resolve) => setTimeout(resolve, 1000))]));
    if (answer) throw new Error(`an unknown route was answered: ${describe(answer)}`);
    return step('unknown-route', { answer: 'none' });
  }
  const reply = await expect('the error packet', asked);
  if (reply.extcode !== ERROR_EXTCODE || reply.body.byteLength < 2 || packer.error(reply.body).code !== CODE_UNKNOWN_ROUTE) {
    throw new Error(`not the error packet of an unknown route: ${describe(reply)}`);
  }
  const { code, text } = packer.error(reply.body);
  step('unknown-route', { route: reply.route, seq: reply.seq, extcode: reply.extcode, code, text, raw: hex(reply.raw) });
}

function parse(message) {
  try {
    return JSON.parse(new TextDecoder().decode(message.body));
  } catch {
    throw new Error(`the body is not json: ${describe(message)}`);
  }
}

function facts({ route, seq, body }) {
  return { route, seq, body: new TextDecoder().decode(body) };
}

function describe({ route, seq, extcode, raw }) {
  return `route=${route} seq=${seq} extcode=${extcode} raw=${hex(raw)}`;
}

// A queue of one reader: what comes before it is asked for is kept.
function inbox() {
  const kept = [];
  let waiting;
  let seen = 0;
  return {
    put(item) {
      seen += 1;
      if (waiting) {
        waiting(item);
        waiting = undefined;
      } else kept.push(item);
    },
    next: () => (kept.length > 0 ? Promise.resolve(kept.shift()) : new Promise((resolve) => (waiting = resolve))),
    take: () => kept.shift(),
    size: () => kept.length,
    count: () => seen,
  };
}
