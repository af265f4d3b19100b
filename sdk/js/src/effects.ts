// Collecting effects and writing them in the packed layout, version 1 (`wit/packed.md`).
import type { HostImports } from "./host";

/** Bytes of the header this SDK writes. */
export const EFFECT_HEADER_BYTES = 24;
/** Kind: the reply to a request. */
export const KIND_REPLY = 0;
/** Kind: an error packet for a request. */
export const KIND_ERROR = 1;
/** Kind: a message to any connection. */
export const KIND_PUSH = 2;

/**
 * Pushes are refused from so many effects of one call on: stricter than the host, which takes 4,096 for each request of a call
 * (`wit/imports.wit`) and drops the instance above. Replies and errors are never refused.
 */
export const EFFECTS_BEFORE_PUSH_MAX = 4000;

const HIGH = 0x1_0000_0000;

/**
 * The header of a reply with size and request left out, between two texts. It starts with a control character that neither JSON nor the text
 * of an error contains, so the headers are found again in the encoded bytes.
 */
const GAP_BYTE = 0x1e;
const GAP = `\x1e\0\0\0${String.fromCharCode(EFFECT_HEADER_BYTES)}${"\0".repeat(EFFECT_HEADER_BYTES - 5)}`;

/** A body: text, or bytes as they are. Text must be well formed and without control characters. */
export type Body = string | Uint8Array;

/** What a header says beside the size; for a reply the number of the request. */
type Head = number | { kind: number; request: number; route: number; target: number };

/** The effects of one call, in order. */
export class Effects {
  private readonly heads: Head[];
  /** An empty text, then the body of each head, so that joining puts a gap before each body. */
  private readonly bodies: Body[];
  private textOnly: boolean;

  constructor() {
    this.heads = [];
    this.bodies = [""];
    this.textOnly = true;
  }

  /** Number of effects. */
  get length(): number {
    return this.heads.length;
  }

  /** Adds the reply to a request. */
  reply(request: number, body: Body): void {
    this.add(request, body);
  }

  /** Adds an error packet for a request. */
  error(request: number, code: number, text: string): void {
    this.add({ kind: KIND_ERROR, request, route: code, target: 0 }, text.toWellFormed().replace(/[\0-\x1f]/g, " "));
  }

  /** Adds a message to a connection. Throws if the call has made too many effects. */
  push(request: number, conn: number, route: number, body: Body): void {
    if (this.heads.length >= EFFECTS_BEFORE_PUSH_MAX) throw new Error(`more than ${EFFECTS_BEFORE_PUSH_MAX} effects in one call`);
    this.add({ kind: KIND_PUSH, request, route, target: conn }, body);
  }

  /** Drops everything behind the first `length` effects. */
  truncate(length: number): void {
    this.heads.length = length;
    this.bodies.length = length + 1;
  }

  /** All effects as records, one after the other. */
  pack(host: Pick<HostImports, "encode">): Uint8Array {
    if (this.heads.length === 0) return new Uint8Array(0);
    return this.textOnly ? this.packTexts(host) : this.packMixed(host);
  }

  private add(head: Head, body: Body): void {
    if (typeof body !== "string") this.textOnly = false;
    this.heads.push(head);
    this.bodies.push(body);
  }

  /** A crossing to the host costs more than encoding a small body, so all texts go in one. */
  private packTexts(host: Pick<HostImports, "encode">): Uint8Array {
    const { heads, bodies } = this;
    const text = bodies.join(GAP);
    const out = host.encode(text);
    const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
    const ascii = out.length === text.length;
    const last = heads.length - 1;
    let at = 0;
    for (let i = 0; i < last; i++) {
      const end = ascii ? at + EFFECT_HEADER_BYTES + bodies[i + 1].length : out.indexOf(GAP_BYTE, at + EFFECT_HEADER_BYTES);
      writeHead(view, at, end - at, heads[i]);
      at = end;
    }
    writeHead(view, at, out.length - at, heads[last]);
    return out;
  }

  private packMixed(host: Pick<HostImports, "encode">): Uint8Array {
    const bodies = this.bodies.slice(1).map((body) => (typeof body === "string" ? host.encode(body) : body));
    const out = new Uint8Array(bodies.reduce((size, body) => size + EFFECT_HEADER_BYTES + body.length, 0));
    const view = new DataView(out.buffer);
    let at = 0;
    bodies.forEach((body, i) => {
      const size = EFFECT_HEADER_BYTES + body.length;
      view.setUint16(at + 4, EFFECT_HEADER_BYTES, true);
      writeHead(view, at, size, this.heads[i]);
      out.set(body, at + EFFECT_HEADER_BYTES);
      at += size;
    });
    return out;
  }
}

/** Writes what differs from an empty reply. */
function writeHead(view: DataView, at: number, size: number, head: Head): void {
  view.setUint32(at, size, true);
  if (typeof head === "number") {
    view.setUint32(at + 8, head, true);
    return;
  }
  view.setUint8(at + 6, head.kind);
  view.setUint32(at + 8, head.request, true);
  view.setInt32(at + 12, head.route, true);
  view.setUint32(at + 16, head.target % HIGH, true);
  view.setUint32(at + 20, Math.floor(head.target / HIGH), true);
}
