// The session script on npm ws, or in a page of a real browser: session.mjs --url ws://HOST:PORT/ [--client ws|chromium]
import { parseArgs } from 'node:util';
import { inChromium } from './chromium.mjs';
import { runSession } from './session-script.mjs';
import { run, step } from './script.mjs';

// A browser takes its time to start.
const OVERALL_MS = 60_000;

const { values: set } = parseArgs({
  options: {
    url: { type: 'string', default: 'ws://127.0.0.1:3553/' },
    client: { type: 'string', default: 'ws' },
  },
});

const clients = {
  ws: () => runSession({ url: set.url, cut: (client) => client.socket.terminate(), step }),
  chromium: () => inChromium(set.url, step),
};

run(() => {
  const session = Object.hasOwn(clients, set.client) ? clients[set.client] : undefined;
  if (!session) throw new Error(`the client is ws or chromium, not ${set.client}`);
  return session();
}, OVERALL_MS);
