// The imports of the world `game` as componentize-qjs offers them to modules.

declare module "duet:plugin/log@0.1.0" {
  export function write(level: number, message: string): void;
}
declare module "duet:plugin/config@0.1.0" {
  export function get(key: string): string;
}
declare module "duet:plugin/clock@0.1.0" {
  export function nowMs(): number;
  export function monotonicUs(): number;
}
declare module "duet:plugin/random@0.1.0" {
  export function bytes(count: number): Uint8Array;
  export function number(): number;
}
declare module "duet:plugin/sessions@0.1.0" {
  export function online(uid: number): number;
  export function connection(uid: number): number;
  export function uid(conn: number): number;
  export function address(conn: number): string;
  export function count(what: number): number;
  export function memberCount(channel: string): number;
  export function members(channel: string, max: number): Uint8Array;
}
declare module "duet:plugin/text@0.1.0" {
  export function decode(bytes: Uint8Array): string;
  export function encode(text: string): Uint8Array;
}
