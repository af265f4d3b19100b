// The chat: what the client says and hears, and what is shown of it.
import { JOIN, LOGIN, type Member, MEMBERS, type News, PRESENCE, type Room, SAID, SAY, type Said } from "../plugin/protocol.js";
import { Duet, type DuetError, type State } from "./duet.js";
import * as view from "./view.js";

/** What survives a reload of the page. */
interface Me {
  name: string;
  room: string;
  uid: number;
  lines: view.Line[];
}

const STORE_KEY = "chat.me";
/** Lines that are stored. */
const LINES_KEPT = 100;

/** Codes of the server that end a session. */
const KICKED = 12;
const REPLACED = 14;

const NEWS = { joined: "joined", left: "left", away: "lost the connection", back: "is back" };
const NEWS_OF_ME = { ...NEWS, back: "are back" };

const url = await serverUrl();
let me: Me | undefined;
let members = new Map<number, Member>();
let duet: Duet | undefined;
/** What was said here and has not come back from the server yet, in its order. */
let sending: { text: string; shown: view.Sending }[] = [];

/** `?ws=` names a server, for instance that of a test. `npm start` tells the port of its own; without it there is the default one. */
async function serverUrl(): Promise<string> {
  const named = new URLSearchParams(location.search).get("ws");
  if (named !== null) return named;
  const port = await fetch("server.json").then((response) => (response.ok ? response.json() : undefined)).then((server) => server?.port);
  return `ws://${location.hostname}:${port ?? 3553}/`;
}

function start(entered: Me): void {
  me = entered;
  members = new Map();
  sending = [];
  const client = new Duet({ url, store: sessionStorage, login: () => login(client, entered), onState: (state) => show(client, state) });
  client.on<Said>(SAID, hear);
  client.on<News>(PRESENCE, learn);
  duet = client;
  if (client.hasSession) view.showRoom(entered.room, entered.lines);
  client.start();
}

/** On a connection without a session: the first one, or when the server no longer kept the old one. */
async function login(client: Duet, me: Me): Promise<void> {
  const { uid } = await client.request<{ uid: number }>(LOGIN, { name: me.name });
  me.uid = uid;
  enter(await client.request<Room>(JOIN, { room: me.room }));
  view.showRoom(me.room, me.lines);
  if (me.lines.length > 0) add({ text: "You were away for too long. Messages may be missing.", at: Date.now() });
  location.replace(`#${encodeURIComponent(me.room)}`);
}

function enter(room: Room): void {
  members = new Map(room.members.map((member) => [member.uid, member]));
  view.showMembers(members.values(), me?.uid);
}

function hear({ uid, name, text, at }: Said): void {
  const mine = uid === me?.uid;
  if (mine) {
    const place = sending.findIndex((said) => said.text === text);
    for (const said of place < 0 ? [] : sending.splice(place, 1)) said.shown.done();
  }
  add({ who: { uid, name }, mine, text, at });
}

function learn({ uid, name, what }: News): void {
  // News about oneself is always old: it was missed, and comes after the resume.
  if (uid === me?.uid) {
    add({ text: `You ${NEWS_OF_ME[what]}`, at: Date.now() });
    return;
  }
  if (what === "left") members.delete(uid);
  else members.set(uid, { uid, name, away: what === "away" });
  view.showMembers(members.values(), me?.uid);
  add({ text: `${name} ${NEWS[what]}`, at: Date.now() });
}

function add(line: view.Line): void {
  if (me === undefined) return;
  me.lines = [...me.lines, line].slice(-LINES_KEPT);
  save();
  view.addLine(line);
}

/** Shows it at once; what the server makes of it comes later. */
function say(text: string): void {
  const said = { text, shown: view.addSending(text) };
  sending.push(said);
  duet?.request(SAY, { text }).catch(() => {
    sending = sending.filter((other) => other !== said);
    said.shown.failed(() => say(text));
  });
}

function show(client: Duet, state: State): void {
  switch (state.is) {
    case "connecting":
      // Who was offline stays so until there is a connection.
      if (members.size === 0) view.showStatus("Connecting …");
      break;
    case "open":
      view.showStatus("Online");
      save();
      // A reloaded page goes on with its session, but does not know who is here.
      if (members.size === 0) client.request<Room>(MEMBERS, {}).then(enter, complain);
      break;
    case "waiting":
      view.showStatus("Offline");
      break;
    case "closed":
      complain(state.error);
  }
}

/** Back to the door, with the reason. */
function complain({ code, message }: DuetError): void {
  const texts: Record<number, string> = {
    [KICKED]: `You were removed: ${message}`,
    [REPLACED]: "You were replaced: somebody logged in with your name elsewhere.",
  };
  const { name, room = wantedRoom() } = me ?? {};
  me = undefined;
  sessionStorage.removeItem(STORE_KEY);
  view.showDoor(texts[code] ?? message, { name, room });
}

function save(): void {
  if (me !== undefined) sessionStorage.setItem(STORE_KEY, JSON.stringify(me));
}

/** A link to the page may name a room: `#lobby`. */
function wantedRoom(): string {
  return decodeURIComponent(location.hash.slice(1)) || "lobby";
}

view.onEnter((name, room) => {
  duet?.leave();
  start({ name, room, uid: 0, lines: [] });
});
view.onSay(say);
view.onLeave(() => duet?.leave());
view.onRetry(() => duet?.retryNow());
window.addEventListener("online", () => duet?.retryNow());

const stored = sessionStorage.getItem(STORE_KEY);
if (stored !== null) start(JSON.parse(stored) as Me);
else view.showDoor("", { room: wantedRoom() });
