// What the page shows. Everything from others goes in as text, never as HTML.
import type { Member } from "../plugin/protocol.js";

/** A line of the log: something said, or news. */
export interface Line {
  /** Who said it; news have none. */
  who?: { uid: number; name: string };
  mine?: boolean;
  text: string;
  at: number;
}

/** What was said here and is on its way. */
export interface Sending {
  /** It is said: another line has its text now. */
  done(): void;
  failed(retry: () => void): void;
}

/** Lines that are kept. */
const LINES_MAX = 200;
/** Lines of one person within this many milliseconds are grouped. */
const TOGETHER_MS = 180_000;

function find<E extends HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}

/** An element with a class and a text. */
function make<Tag extends keyof HTMLElementTagNameMap>(tag: Tag, className: string, text: string): HTMLElementTagNameMap[Tag] {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

const [door, chat] = [find("door"), find("chat")];
const [log, newer] = [find<HTMLOListElement>("log"), find("newer")];
const [name, room, text] = ["name", "room", "text"].map((id) => find<HTMLInputElement>(id));
let unread = 0;

export function onEnter(enter: (name: string, room: string) => void): void {
  find("login").addEventListener("submit", (event) => {
    event.preventDefault();
    enter(name.value.trim(), room.value.trim());
  });
}

export function onSay(say: (text: string) => void): void {
  find("say").addEventListener("submit", (event) => {
    event.preventDefault();
    const value = text.value.trim();
    text.value = "";
    text.focus();
    if (value !== "") say(value);
  });
}

export function onLeave(leave: () => void): void {
  find("leave").addEventListener("click", leave);
}

export function onRetry(retry: () => void): void {
  find("retry").addEventListener("click", retry);
}

export function showStatus(status: "Connecting …" | "Online" | "Offline"): void {
  const shown = find("status");
  shown.textContent = status;
  shown.className = status.toLowerCase();
  find("offline").hidden = status !== "Offline";
  if (chat.hidden) find("alert").textContent = status === "Offline" ? "The server does not answer. Trying again …" : "";
}

export function showDoor(alert: string, wanted: { name?: string; room: string }): void {
  find("alert").textContent = alert;
  room.value = wanted.room;
  name.value = wanted.name ?? name.value;
  chat.hidden = true;
  door.hidden = false;
  document.title = "Duet chat";
  name.focus();
}

export function showRoom(room: string, lines: Line[]): void {
  find("title").textContent = room;
  log.replaceChildren();
  lines.forEach(addLine);
  if (!chat.hidden) return;
  door.hidden = true;
  chat.hidden = false;
  showTitle();
  text.focus();
  scrollToEnd();
}

export function showMembers(members: Iterable<Member>, me: number | undefined): void {
  const items = Array.from(members).sort((a, b) => a.name.localeCompare(b.name));
  find("here").textContent = items.length === 1 ? "Only you are here" : `${items.length} are here`;
  find("members").replaceChildren(
    ...items.map(({ uid, name, away }) => {
      const item = make("li", away ? "away" : "", "");
      item.append(face(uid, name), make("span", "name", name));
      if (away || uid === me) item.append(make("span", "note", away ? "away" : "you"));
      return item;
    }),
  );
}

export function addLine(line: Line): void {
  const item = make("li", line.who === undefined ? "news" : line.mine ? "mine" : "", line.who === undefined ? line.text : "");
  if (line.who !== undefined) {
    const { uid, name } = line.who;
    const time = make("time", "", new Date(line.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
    time.dateTime = new Date(line.at).toISOString();
    item.dataset.uid = String(uid);
    item.dataset.at = String(line.at);
    item.append(face(uid, name), make("span", "name", name), make("span", "text", line.text), time);
    if (document.hidden && !line.mine) showTitle(unread + 1);
  }
  // What is on its way stays last.
  insert(item, log.querySelector(".sending, .failed"));
  while (log.childElementCount > LINES_MAX) log.firstElementChild?.remove();
}

/** Shows what is said here before the server has it. */
export function addSending(said: string): Sending {
  const item = make("li", "mine sending", "");
  const note = make("span", "note", "sending");
  item.append(note, make("span", "text", said));
  insert(item, null);
  scrollToEnd();
  return {
    done: () => item.remove(),
    failed(retry) {
      item.className = "mine failed";
      const again = make("button", "note", "Not sent. Try again");
      again.type = "button";
      again.addEventListener("click", () => {
        item.remove();
        retry();
        text.focus();
      });
      note.replaceWith(again);
    },
  };
}

/** Puts a line into the log. The scroll position is kept if the reader is further up. */
function insert(item: HTMLElement, before: Element | null): void {
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 20;
  log.insertBefore(item, before);
  const last = item.previousElementSibling as HTMLElement | null;
  const { uid, at } = item.dataset;
  item.classList.toggle("same", uid !== undefined && last?.dataset.uid === uid && Number(at) - Number(last.dataset.at) < TOGETHER_MS);
  if (atEnd) scrollToEnd();
  else newer.hidden = false;
}

function scrollToEnd(): void {
  log.scrollTop = log.scrollHeight;
  newer.hidden = true;
}

/** The first letter of a name, in the colour of the uid. */
function face(uid: number, name: string): HTMLElement {
  const [first] = new Intl.Segmenter().segment(name);
  const item = make("span", "face", first?.segment.toUpperCase() ?? "?");
  item.ariaHidden = "true";
  item.style.setProperty("--hue", String(uid % 360));
  return item;
}

/** The room, and how many messages came while nobody looked. */
function showTitle(count = 0): void {
  unread = count;
  document.title = `${count > 0 ? `(${count}) ` : ""}${find("title").textContent} · Duet chat`;
}

document.addEventListener("visibilitychange", () => !document.hidden && !chat.hidden && showTitle());
newer.addEventListener("click", scrollToEnd);
log.addEventListener("scroll", () => {
  if (log.scrollTop + log.clientHeight >= log.scrollHeight - 20) newer.hidden = true;
});
new ResizeObserver(() => newer.hidden && scrollToEnd()).observe(log);
