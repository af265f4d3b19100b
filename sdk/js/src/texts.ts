// The bodies of a batch as text.
import type { HostImports } from "./host.ts";
import { REQUEST_HEADER_BYTES, Requests } from "./packed.ts";

/** Bodies up to this many bytes on average are decoded together. */
const TOGETHER_BYTES = 512;
/** A control character, which JSON does not contain. */
const MARK = "\x1e";
/** What takes the place of a header: a mark and spaces. */
const BLANK = new Uint8Array(REQUEST_HEADER_BYTES).fill(0x20);
BLANK[0] = 0x1e;

/**
 * The bodies of a batch of small ones as text, decoded in one crossing to the host, which costs more than decoding a small body. The text of
 * request i is at i + 1, with spaces around it. Undefined if they are better decoded one by one.
 */
export function decodeTogether(host: Pick<HostImports, "decode">, bytes: Uint8Array): string[] | undefined {
  const requests = new Requests(bytes);
  // Large ones cost more together than apart. One look decides, without counting.
  if (!requests.next() || requests.end > TOGETHER_BYTES || requests.end === bytes.length) return undefined;
  const copy = bytes.slice();
  let count = 0;
  do {
    count++;
    // A mark is ASCII, so a body that ends in half a character does not swallow it.
    copy.set(BLANK, requests.at);
    if (requests.bodyAt - requests.at !== REQUEST_HEADER_BYTES) copy.fill(0x20, requests.at + REQUEST_HEADER_BYTES, requests.bodyAt);
  } while (requests.next());
  const texts = host.decode(copy).split(MARK);
  // More pieces: a body contains the mark, and nobody knows which piece is whose.
  return texts.length === count + 1 ? texts : undefined;
}
