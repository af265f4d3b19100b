// Two tabs of a real browser: who is there, what is said, and what becomes of it when the network fails.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { serve } from "../web/serve.mjs";
import { Proxy } from "./proxy.mjs";
import { startServer } from "./server.mjs";

/** Longer than a session waits for its client (30 s by default). */
const PATIENCE = 60_000;
/** Within this time a page says that it has lost its connection. */
const OFFLINE_MAX = 3000;

const checked = [];
const closing = [];
let failure;
try {
  await run();
} catch (error) {
  failure = error;
} finally {
  for (const close of closing.reverse()) await close();
}
if (failure === undefined) {
  console.log(`ok: ${checked.join(", ")}`);
} else {
  console.error(`failed after: ${checked.join(", ")}\n`, failure);
  process.exitCode = 1;
}

async function run() {
  const server = await startServer();
  closing.push(async () => {
    const output = await server.stop();
    if (failure !== undefined && output) console.error(output);
  });
  const page = await serve(0, server.port);
  closing.push(() => page.close());
  const [proxyA, proxyB] = [await Proxy.to(server.port), await Proxy.to(server.port)];
  closing.push(() => [proxyA, proxyB].forEach((proxy) => proxy.close()));
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  closing.push(() => browser.close());
  const open = (proxy) => openTab(browser, `http://127.0.0.1:${page.address().port}/?ws=${encodeURIComponent(proxy.url)}`);

  // A run of its own in a server that goes on.
  const room = `room ${Date.now() % 1e6}`;
  const [a, b] = [await open(proxyA), await open(proxyB)];
  await a.enter("Ann", room);
  await a.sees(["Ann"]);
  await b.enter("Bob", room);
  await a.sees(["Ann", "Bob"]);
  await b.sees(["Ann", "Bob"]);
  checked.push("two tabs log in, join and see each other");

  await a.say("hello Bob");
  await b.hears("Ann: hello Bob");
  await b.say("Grüße, Ann 🎲");
  await b.hears("Bob: Grüße, Ann 🎲");
  await a.hears("Ann: hello Bob", "Bob: Grüße, Ann 🎲");
  checked.push("both hear what is said");

  // Every packet shows in the log: the last before the loss, the first and the last that were missed, and those after it.
  await a.say("the last before");
  await b.hears("Ann: the last before");
  const told = await b.log();
  proxyB.cut();
  await a.sees(["Ann", "Bob (away)"]);
  await b.status(/Offline/);
  const missed = Array.from({ length: 20 }, (_, i) => `missed ${i}`);
  for (const text of missed) await a.say(text);
  await a.hears("Ann: missed 19");
  await b.say("from under water");
  assert.deepEqual(await b.sending(), ["from under water"]);
  proxyB.restore();
  await b.status(/Online/);
  await a.sees(["Ann", "Bob"]);
  await b.hears("Bob: from under water");
  await b.hears("You are back");
  const back = (await b.log()).filter((line) => line !== "You are back");
  told.push("You lost the connection", ...missed.map((text) => `Ann: ${text}`), "Bob: from under water");
  assert.deepEqual(back, told);
  told.splice(0, told.length, ...(await b.log()));
  await a.hears("Bob: from under water");
  assert.deepEqual((await a.log()).slice(-23).filter((line) => !line.startsWith("Ann: ")), ["Bob lost the connection", "Bob is back", "Bob: from under water"]);
  checked.push("a tab that lost its connection is away, then resumes with every message once and in order, both ways");

  for (let i = 0; i < 3; i++) {
    await a.say(`before ${i}`);
    await b.hears(`Ann: before ${i}`);
    proxyB.cut();
    await a.sees(["Ann", "Bob (away)"]);
    await b.status(/Offline/);
    await a.say(`again ${i}`);
    await a.hears(`Ann: again ${i}`);
    proxyB.restore();
    told.push(`Ann: before ${i}`, "You lost the connection", `Ann: again ${i}`, "You are back");
    await b.becomes(told);
  }
  checked.push("so it does again and again");

  proxyB.freeze();
  await b.status(/Offline/, OFFLINE_MAX);
  await b.say("into the silence");
  assert.deepEqual(await b.sending(), ["into the silence"]);
  proxyB.restore();
  await b.status(/Online/);
  await a.hears("Bob: into the silence");
  await b.hears("Bob: into the silence", "You are back");
  assert.deepEqual(await b.sending(), []);
  told.splice(0, told.length, ...(await b.log()));
  checked.push("a network that falls silent is told of within 3 s, what is written shows at once and is sent later");

  await b.page.reload();
  await b.status(/Online/);
  await b.sees(["Ann", "Bob"]);
  await a.say("after the reload");
  told.push("Ann: after the reload");
  await b.hears("Ann: after the reload");
  assert.deepEqual((await b.log()).filter((line) => !line.startsWith("You ")), told.filter((line) => !line.startsWith("You ")));
  assert.ok(!(await a.log()).includes("Bob left"), "a reload is no goodbye");
  checked.push("a page that is loaded again goes on");

  const c = await open(proxyA);
  await c.enter("Bob", room);
  await b.alert(/replaced/);
  await c.sees(["Ann", "Bob"]);
  await c.say("I am Bob now");
  await a.hears("Bob: I am Bob now");
  assert.ok(!(await b.log()).includes("Bob: I am Bob now"));
  checked.push("a second login with the same name replaces the first");

  await c.page.click("#leave");
  await a.sees(["Ann"]);
  checked.push("who leaves is gone");

  const d = await open(proxyB);
  await d.enter("Dora", room);
  await a.sees(["Ann", "Dora"]);
  await d.page.close();
  await a.sees(["Ann"], PATIENCE);
  checked.push("a closed tab is gone");

  for (const tab of [a, b, c]) assert.deepEqual(tab.errors, []);
}

/** A tab of its own session, as a person uses it. */
async function openTab(browser, url) {
  const page = await (await browser.newContext()).newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(url);
  const log = () =>
    page.$$eval("#log li:not(.sending)", (items) =>
      items.map((item) => (item.matches(".news") ? item.textContent : `${item.querySelector(".name").textContent}: ${item.querySelector(".text").textContent}`)),
    );
  const members = () => page.$$eval("#members li", (items) => items.map((item) => item.querySelector(".name").textContent + (item.matches(".away") ? " (away)" : "")));
  return {
    page,
    errors,
    async enter(name, room) {
      await page.fill("#name", name);
      await page.fill("#room", room);
      await page.press("#room", "Enter");
    },
    async say(text) {
      await page.fill("#text", text);
      await page.press("#text", "Enter");
    },
    sees: (names, timeout) => until(members, (seen) => JSON.stringify(seen) === JSON.stringify(names), `members ${names}`, timeout),
    hears: (...texts) => until(log, (heard) => texts.every((text) => heard.includes(text)), `messages ${texts}`),
    status: (pattern, timeout) => until(() => page.textContent("#status"), (text) => pattern.test(text), `status ${pattern}`, timeout),
    /** What was written and is not there yet. */
    sending: () => page.$$eval("#log .sending .text", (items) => items.map((item) => item.textContent)),
    alert: (pattern) => until(() => page.textContent("#alert"), (text) => pattern.test(text), `alert ${pattern}`),
    becomes: (told) => until(log, (heard) => JSON.stringify(heard) === JSON.stringify(told), `log ${JSON.stringify(told)}`),
    log,
  };
}

/** Asks until the answer is as it should be. */
async function until(ask, isRight, what, timeout = 15_000) {
  const end = Date.now() + timeout;
  let got = await ask();
  while (!isRight(got)) {
    if (Date.now() > end) throw new Error(`no ${what}, but ${JSON.stringify(got)}`);
    await new Promise((done) => setTimeout(done, 20));
    got = await ask();
  }
}
