// The session script of SCRIPT.md, for whatever WebSocket there is: it runs under Node and in a page.
import { Client } from './due-client-ts.mjs';
import { Packer } from './packer.mjs';
import { within } from './within.mjs';

const [LOGIN, WHOAMI, PUSH, MULTICAST, BROADCAST, JOIN, LEAVE] = [1, 3, 4, 5, 6, 7, 8];
const [PUBLISH, KICK, ONLINE, COUNTS, MEMBERS, SECRET, EVENTS] = [9, 10, 11, 12, 13, 14, 16];
const [ENDED, PUSHED, TO_MANY, TO_ALL, PUBLISHED, SESSION] = [0, 100, 101, 102, 103, -1];
const [NOT_AUTHORIZED, SESSION_GONE, REPLACED, OWN_CODE] = [4, 11, 14, 4001];
const [UID_A, UID_B] = [7, 8];
const CLOSED_BY_RULE = 1008;
const ANSWER_MS = 5000;
const CHANGE_MS = 10_000;
// Of ann's first connection; the second loss may have gone unnoticed.
const FIRST_LIFE = /^connect bind( suspend:(client_left|lost|silence) resume){1,2}( resume)? disconnect:replaced$/;

// Runs the script: ann is the client it is about, bob the other one. `cut(client)` breaks a connection made to `lossyUrl`
// without a close frame; `step(name, facts)` tells of each step.
export async function runSession({ url, lossyUrl = url, cut, step, heartbeat = 1000 }) {
  const dial = (to = url) => Peer.open(to, heartbeat);
  let ann = await dial(lossyUrl);
  const bob = await dial();

  const stranger = await ann.ask(WHOAMI);
  const first = stranger.conn;
  check(first > 0 && stranger.uid === 0 && stranger.address, 'whoami of a stranger', stranger);
  await ann.refused(SECRET, undefined, NOT_AUTHORIZED);
  await ann.refused(SESSION, {}, NOT_AUTHORIZED);
  step('connect', { conn: first, address: stranger.address });

  const is = async (peer, conn) => {
    const who = await peer.ask(WHOAMI);
    check(who.conn === conn && who.uid === UID_A, 'whoami', who);
  };
  await ann.replies(LOGIN, { uid: UID_A }, { uid: UID_A, conn: first });
  await ann.replies(SECRET, undefined, { uid: UID_A });
  const other = (await bob.ask(LOGIN, { uid: UID_B })).conn;
  await is(ann, first);
  step('login', { uid: UID_A });

  await bob.replies(PUSH, { uid: UID_A, text: 'by uid' }, {});
  await bob.replies(PUSH, { conn: first, text: 'by conn' }, {});
  await ann.heard([PUSHED, 'by uid'], [PUSHED, 'by conn']);
  await bob.heard();
  step('push', { route: PUSHED });

  await ann.replies(JOIN, { channel: 'room' }, {});
  await bob.replies(PUBLISH, { channel: 'room', text: 'one' }, {});
  await ann.heard([PUBLISHED, 'one']);
  await ann.replies(LEAVE, { channel: 'room' }, {});
  await bob.replies(PUBLISH, { channel: 'room', text: 'two' }, {});
  await ann.heard();
  await bob.heard();
  await ann.replies(JOIN, { channel: 'room' }, {});
  step('channel', { route: PUBLISHED });

  await bob.replies(MULTICAST, { conns: [first, other], text: 'conns' }, {});
  await bob.replies(MULTICAST, { uids: [UID_A, UID_B], text: 'uids' }, {});
  await bob.replies(BROADCAST, { text: 'all' }, {});
  for (const peer of [ann, bob]) await peer.heard([TO_MANY, 'conns'], [TO_MANY, 'uids'], [TO_ALL, 'all']);
  step('many', { routes: `${TO_MANY}/${TO_ALL}` });

  await bob.replies(ONLINE, { uid: UID_A }, { online: 1, conn: first });
  await bob.replies(ONLINE, { uid: 99 }, { online: 0, conn: 0 });
  await bob.replies(COUNTS, undefined, { connections: 2, bound: 2, suspended: 0 });
  await bob.replies(MEMBERS, { channel: 'room' }, { count: 1, members: [first] });
  step('lookups');

  const told = await ann.ask(SESSION, {});
  check(told.token.length === 32 && told.ttl_ms > 0 && told.received === 0, 'a token', told);
  let token = told.token;
  ann.received = ann.sent = 0;
  await bob.replies(PUSH, { uid: UID_A, text: 'before' }, {});
  await ann.heard([PUSHED, 'before']);
  step('token', { ttl_ms: told.ttl_ms });

  // What happens meanwhile happens before the server knows of the loss, and after.
  await cut(ann.client);
  for (const text of ['1', '2', '3']) await bob.replies(PUSH, { uid: UID_A, text }, {});
  await bob.awaits(ONLINE, { uid: UID_A }, { online: 2, conn: first });
  await bob.replies(COUNTS, undefined, { connections: 1, bound: 1, suspended: 1 });
  await bob.replies(PUSH, { uid: UID_A, text: '4' }, {});
  await bob.replies(PUBLISH, { channel: 'room', text: '5' }, {});
  step('drop');

  const comeBack = async () => {
    const back = await dial(lossyUrl);
    const fresh = await back.ask(SESSION, { token, received: ann.received });
    check(fresh.token.length === 32 && fresh.token !== token, 'a new token', fresh);
    check(fresh.received === ann.sent, `the server took ${fresh.received} packets of ${ann.sent}`);
    [back.received, back.sent, token, ann] = [ann.received + back.received, ann.sent, fresh.token, back];
  };
  const isGone = async (used) => {
    const late = await dial();
    await late.refused(SESSION, { token: used, received: 0 }, SESSION_GONE);
    late.client.disconnect();
  };
  const used = token;
  await comeBack();
  await ann.heard([PUSHED, '1'], [PUSHED, '2'], [PUSHED, '3'], [PUSHED, '4'], [PUBLISHED, '5']);
  await is(ann, first);
  await ann.replies(SECRET, undefined, { uid: UID_A });
  await bob.replies(MEMBERS, { channel: 'room' }, { count: 1, members: [first] });
  await bob.replies(PUBLISH, { channel: 'room', text: 'back' }, {});
  await ann.heard([PUBLISHED, 'back']);
  step('resume', { received: ann.received });
  await isGone(used);
  step('old-token', { code: SESSION_GONE });

  // Back before the server may know.
  await cut(ann.client);
  await bob.replies(PUSH, { uid: UID_A, text: 'again' }, {});
  await comeBack();
  await ann.heard([PUSHED, 'again']);
  await is(ann, first);
  step('again', { received: ann.received });

  const next = await dial();
  const second = (await next.ask(LOGIN, { uid: UID_A })).conn;
  check(second !== first, 'two connections with one id', second);
  step('replaced', await ann.ends(REPLACED, 'replaced'));
  await isGone(token);
  await is(next, second);

  await bob.replies(KICK, { uid: UID_A, code: OWN_CODE, reason: 'no more' }, {});
  step('kicked', await next.ends(OWN_CODE, 'no more'));
  await bob.awaits(COUNTS, undefined, { connections: 1, bound: 1, suspended: 0 });

  const life = async (conn) => {
    const seen = (await bob.ask(EVENTS)).filter((event) => event.conn === conn);
    return seen.map(({ kind, detail }) => (['suspend', 'disconnect'].includes(kind) ? `${kind}:${detail}` : kind)).join(' ');
  };
  let lives = [];
  await until('the last events', async () => {
    lives = [await life(first), await life(second)];
    return lives.every((life) => life.includes('disconnect'));
  });
  check(FIRST_LIFE.test(lives[0]) && lives[0].split('resume').length === 3, 'events of the first connection', lives[0]);
  check(lives[1] === 'connect bind disconnect:kicked', 'events of the second connection', lives[1]);
  step('events', { first: lives[0], second: lives[1] });

  bob.client.disconnect();
  step('close');
}

// One connection of the script.
class Peer {
  pushes = [];
  // What the session counts: all but heartbeats and what is about the session.
  received = 0;
  sent = 0;

  static async open(url, heartbeat) {
    const peer = new Peer();
    const client = new Client({ url, packer: new Packer(), heartbeat });
    peer.client = client;
    peer.closed = new Promise((resolve) => (client.onDisconnect = resolve));
    client.onReceive = (message) => {
      peer.received += 1;
      peer.pushes.push(message);
    };
    client.onBad = (error) => peer.pushes.push(error);
    const opened = new Promise((resolve) => (client.onConnect = resolve));
    client.connect();
    await within(ANSWER_MS, 'the connection', opened);
    return peer;
  }

  // The answer to a request, with an error's code if it is one.
  async request(route, body) {
    const bytes = body === undefined ? undefined : new TextEncoder().encode(JSON.stringify(body));
    const asked = this.client.request(route, bytes);
    const closed = this.closed.then(({ code }) => Promise.reject(new Error(`closed with ${code}`)));
    const answer = await within(ANSWER_MS, `the answer on route ${route}`, Promise.race([asked, closed]));
    if (route !== SESSION) {
      this.sent += 1;
      this.received += 1;
    }
    return answer;
  }

  async ask(route, body) {
    return json(await this.request(route, body));
  }

  async replies(route, body, want) {
    const got = await this.ask(route, body);
    check(same(got, want), `the answer on route ${route} is not ${JSON.stringify(want)}`, got);
  }

  async awaits(route, body, want) {
    await until(JSON.stringify(want), async () => same(await this.ask(route, body), want));
  }

  async refused(route, body, code) {
    const answer = await this.request(route, body);
    check(errorOf(answer)?.code === code, `not the error ${code}`, describe(answer));
  }

  // Wants these pushes since the last time, and no others. A round trip makes sure that there are no more.
  async heard(...want) {
    await this.ask(WHOAMI);
    const got = this.pushes.splice(0).map((message) => [message.route, json(message).text, message.seq]);
    check(same(got, want.map(([route, text]) => [route, text, 0])), `heard not ${JSON.stringify(want)}`, got);
  }

  // Wants an error packet on route 0 as the last one, and then the end of the connection.
  async ends(code, text) {
    const event = await within(CHANGE_MS, 'the end of the connection', this.closed);
    const [last, ...more] = this.pushes.splice(0);
    const error = last && errorOf(last);
    check(more.length === 0 && last?.route === ENDED && last.seq === 0, 'not one last packet', more);
    check(error?.code === code && error.text === text, `not the error ${code} ${text}`, error);
    check(event.code === CLOSED_BY_RULE, 'the close code', event.code);
    return { code, close: event.code, reason: event.reason };
  }
}

function errorOf({ extcode, body }) {
  return extcode === 1 ? new Packer().error(body) : undefined;
}

function json(message) {
  if (message.extcode !== 0) throw new Error(`not a reply: ${describe(message)}`);
  return JSON.parse(new TextDecoder().decode(message.body));
}

function describe({ route, seq, extcode, body }) {
  return `route=${route} seq=${seq} extcode=${extcode} body=${new TextDecoder().decode(body)}`;
}

// Compares what was JSON, whatever the order of keys.
function same(a, b) {
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return a === b;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
}

async function until(what, holds) {
  for (const end = Date.now() + CHANGE_MS; !(await holds()); await new Promise((resolve) => setTimeout(resolve, 20))) {
    check(Date.now() < end, `${what} did not come to be`);
  }
}

function check(holds, what, got) {
  if (!holds) throw new Error(got === undefined ? what : `${what}: ${typeof got === 'string' ? got : JSON.stringify(got)}`);
}
