// What the programs share: the lines that tests read, and the end of a run.

export { within } from './within.mjs';

const OVERALL_MS = 20_000;

// Prints one step; the value of a key is JSON if it has anything but plain characters.
export function step(name, facts = {}) {
  const words = Object.entries(facts).map(([key, value]) => ` ${key}=${plain(String(value))}`);
  process.stdout.write(`step=${name} ok${words.join('')}\n`);
}

// Runs a script to its end, prints the result and exits.
export async function run(script, overallMs = OVERALL_MS) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`not done after ${overallMs} ms`)), overallMs).unref();
  });
  try {
    await Promise.race([script(), late]);
    finish('result=pass', 0);
  } catch (error) {
    finish(`result=fail reason=${JSON.stringify(error.message)}`, 1);
  }
}

export function number(text) {
  const value = Number(text);
  if (!Number.isInteger(value)) throw new Error(`not a number: ${text}`);
  return value;
}

function plain(text) {
  return /^[\w.:/-]*$/.test(text) ? text : JSON.stringify(text);
}

function finish(line, code) {
  process.stdout.write(`${line}\n`, () => process.exit(code));
}
