// Errors that become error packets, and the codes the SDK sends itself.

/** Codes below 1,000 belong to the host; these are the ones a plugin sends. */
export const ErrorCode = {
  /** A handler failed. */
  handler: 1,
  /** The body of the request could not be decoded. */
  badRequest: 2,
  /** No handler for this route. */
  unknownRoute: 3,
} as const;

/** Thrown by a handler to answer with an error packet. The client gets the code and the text; the effects of the request are taken back. */
export class PluginError extends Error {
  /** 1 to 65,535. Use 1,000 and above for codes of your own. */
  readonly code: number;

  constructor(code: number, text: string) {
    super(text);
    checkCode(code);
    this.name = "PluginError";
    this.code = code;
  }
}

/** Checks the code of an error packet. */
export function checkCode(code: number): void {
  if (!Number.isInteger(code) || code < 1 || code > 65535) throw new RangeError(`error code ${code} is not in 1 to 65535`);
}
