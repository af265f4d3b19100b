// The bodies of a batch as text.
import type { HostImports } from "./host.js";
import { REQUEST_HEADER_BYTES } from "./packed.js";

/** A batch is decoded together if its first record has at most this many bytes. */
const TOGETHER_BYTES = 4096;
/** A control character, which JSON does not contain. */
const MARK = "\x1e";
const SPACE = 0x20;
/** What takes the place of a header: a mark and spaces. */
const BLANK = new Uint8Array(REQUEST_HEADER_BYTES).fill(SPACE);
BLANK[0] = 0x1e;

/** The bodies of a batch, decoded in one crossing to the host, which costs more than decoding a body of 1 KiB. */
export interface Texts {
  /** The whole batch, a character for each byte: the text of a body stands where its bytes stand. Empty if it is not so. */
  whole: string;
  /** Only if it is not so: the text of request i is at i + 1, after as many spaces as its header has bytes, less one. */
  pieces: string[] | undefined;
}

/** The bodies of a batch as text. Undefined if they are better decoded one by one. */
export function decodeTogether(host: Pick<HostImports, "decode">, bytes: Uint8Array): Texts | undefined {
  const length = bytes.length;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  // Large bodies may cost more together than apart. One look decides.
  const first = length === 0 ? 0 : view.getUint32(0, true);
  if (first > TOGETHER_BYTES || first === length) return undefined;
  const copy = bytes.slice();
  let count = 0;
  for (let at = 0; at < length; count++) {
    const size = view.getUint32(at, true);
    const header = bytes[at + 4] | (bytes[at + 5] << 8);
    // The code that reads the records says what is wrong.
    if (header < REQUEST_HEADER_BYTES || size < header || size > length - at) return undefined;
    // The mark is ASCII, so a body that ends in half a character does not swallow it.
    copy.set(BLANK, at);
    if (header !== REQUEST_HEADER_BYTES) copy.fill(SPACE, at + REQUEST_HEADER_BYTES, at + header);
    at += size;
  }
  const text = host.decode(copy);
  // No sequence of bytes becomes more characters than it has, so here each became one.
  if (text.length === length) return { whole: text, pieces: undefined };
  const pieces = text.split(MARK);
  // With more pieces a body contains the mark, and nobody can tell which piece belongs to which.
  return pieces.length === count + 1 ? { whole: "", pieces } : undefined;
}
