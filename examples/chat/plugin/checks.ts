// What clients may send.

/** Longest texts, in characters. */
export const NAME_MAX = 24;
export const ROOM_MAX = 32;
export const TEXT_MAX = 500;

/** A text of a body: trimmed, not empty, not too long, and without control characters. */
export function check(body: unknown, field: string, max: number): string {
  const value = (body as Record<string, unknown> | null)?.[field];
  const text = typeof value === "string" ? value.normalize().toWellFormed().trim() : "";
  if (text === "" || text.length > max || /\p{Cc}/u.test(text)) throw new Error(`${field} is a text of 1 to ${max} characters`);
  return text;
}
