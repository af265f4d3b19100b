// The chat: what the client says and hears, and what is shown of it.
import { JOIN, LOGIN, type Member, MEMBERS, type News, PRESENCE, type Room, SAID, SAY, type Said } from "../plugin/protocol.js";
import { Duet, type DuetError, type State } from "./duet.js";
import * as view from "./view.js";

/** What outlives the page when it is loaded again. */
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

// `?ws=` names another server, for instance that of a test.
const url = new URLSearchParams(location.search).get("ws") ?? `ws://${location.hostname}:3553/`;

let me: Me | undefined;
let members = new Map<number, Member>();
let duet: Duet | undefined;

function start(entered: Me): void {
  me = entered;
  members = new Map();
  const client = new Duet({ url, store: sessionStorage, login: () => login(client, entered), onState: (state) => show(client, state) });
  client.on<Said>(SAID, ({ name, text, at }) => add({ name, text, at }));
  client.on<News>(PRESENCE, hear);
  duet = client;
  if (client.hasSession) view.showRoom(entered.room, entered.lines);
  client.start();
}

/** On a connection without a session: the first one, or when the server kept the old one no longer. */
async function login(client: Duet, me: Me): Promise<void> {
  const { uid } = await client.request<{ uid: number }>(LOGIN, { name: me.name });
  me.uid = uid;
  enter(await client.request<Room>(JOIN, { room: me.room }));
  if (me.lines.length > 0) me.lines.push({ text: "You were away for too long. Messages may be missing.", at: Date.now() });
  view.showRoom(me.room, me.lines);
}

function enter(room: Room): void {
  members = new Map(room.members.map((member) => [member.uid, member]));
  view.showMembers(members.values());
}

function hear({ uid, name, what }: News): void {
  // Of oneself it is always old: heard after having come back.
  if (uid === me?.uid) {
    add({ text: `You ${NEWS_OF_ME[what]}`, at: Date.now() });
    return;
  }
  if (what === "left") members.delete(uid);
  else members.set(uid, { uid, name, away: what === "away" });
  view.showMembers(members.values());
  add({ text: `${name} ${NEWS[what]}`, at: Date.now() });
}

function add(line: view.Line): void {
  if (me === undefined) return;
  me.lines = [...me.lines, line].slice(-LINES_KEPT);
  save();
  view.addLine(line);
}

function show(client: Duet, state: State): void {
  switch (state.is) {
    case "connecting":
      view.showStatus("Connecting …");
      break;
    case "open":
      view.showStatus("Connected");
      view.showAlert("");
      save();
      // A page that was loaded again goes on with its session, but does not know who is here.
      if (members.size === 0) client.request<Room>(MEMBERS, {}).then(enter, complain);
      break;
    case "waiting":
      view.showStatus(`Connection lost, trying again in ${Math.ceil(state.ms / 1000)} s …`);
      break;
    case "closed":
      me = undefined;
      sessionStorage.removeItem(STORE_KEY);
      view.showStatus("");
      view.showDoor();
      complain(state.error);
  }
}

function complain({ code, message }: DuetError): void {
  const texts: Record<number, string> = {
    [KICKED]: `You were removed: ${message}`,
    [REPLACED]: "You were replaced: somebody logged in with your name elsewhere.",
  };
  view.showAlert(texts[code] ?? message);
}

function save(): void {
  if (me !== undefined) sessionStorage.setItem(STORE_KEY, JSON.stringify(me));
}

view.onEnter((name, room) => {
  view.showAlert("");
  start({ name, room, uid: 0, lines: [] });
});
view.onSay((text) => duet?.request(SAY, { text }).catch(complain));
view.onLeave(() => duet?.leave());
window.addEventListener("online", () => duet?.retryNow());

const stored = sessionStorage.getItem(STORE_KEY);
if (stored !== null) start(JSON.parse(stored) as Me);
else view.showDoor();
