// What the page shows. Everything of others goes in as text, never as HTML.
import type { Member } from "../plugin/protocol.js";

/** A line of the log: something said, or news. */
export interface Line {
  name?: string;
  text: string;
  at: number;
}

/** Lines that are kept. */
const LINES_MAX = 200;

function element<E extends HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}

const door = element<HTMLFormElement>("door");
const chat = element("chat");
const log = element<HTMLOListElement>("log");
const text = element<HTMLInputElement>("text");

export const name = element<HTMLInputElement>("name");
export const room = element<HTMLInputElement>("room");

export function onEnter(enter: (name: string, room: string) => void): void {
  door.addEventListener("submit", (event) => {
    event.preventDefault();
    enter(name.value.trim(), room.value.trim());
  });
}

export function onSay(say: (text: string) => void): void {
  element("say").addEventListener("submit", (event) => {
    event.preventDefault();
    const value = text.value.trim();
    text.value = "";
    if (value !== "") say(value);
  });
}

export function onLeave(leave: () => void): void {
  element("leave").addEventListener("click", leave);
}

export function showStatus(status: string): void {
  element("status").textContent = status;
}

export function showAlert(alert: string): void {
  element("alert").textContent = alert;
}

export function showDoor(): void {
  chat.hidden = true;
  door.hidden = false;
  name.focus();
}

export function showRoom(room: string, lines: Line[]): void {
  element("title").textContent = `Room ${room}`;
  log.replaceChildren();
  if (chat.hidden) {
    door.hidden = true;
    chat.hidden = false;
    text.focus();
  }
  lines.forEach(addLine);
}

export function showMembers(members: Iterable<Member>): void {
  const items = Array.from(members).sort((a, b) => a.name.localeCompare(b.name));
  element("members").replaceChildren(
    ...items.map(({ name, away }) => {
      const item = document.createElement("li");
      item.textContent = away ? `${name} (away)` : name;
      item.classList.toggle("away", away);
      return item;
    }),
  );
}

export function addLine({ name, text, at }: Line): void {
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 5;
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.dateTime = new Date(at).toISOString();
  time.textContent = new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  item.append(time);
  if (name === undefined) {
    item.className = "news";
    item.append(text);
  } else {
    const who = document.createElement("b");
    who.textContent = name;
    item.append(who, `: ${text}`);
  }
  log.append(item);
  while (log.childElementCount > LINES_MAX) log.firstElementChild?.remove();
  // Whoever reads further up is left there.
  if (atEnd) log.scrollTop = log.scrollHeight;
}
