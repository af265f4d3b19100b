// Greets on route 12, and pushes how often it has greeted on route 13.
import { definePlugin, PluginError } from "@duet/plugin";

interface Greet {
  name: string;
}

/** Longest name in characters. */
const NAME_MAX = 64;

/** Error code of this plugin: there is nobody to greet. */
const NAME_MISSING = 1000;

// The memory of the instance is the state: it lives as long as the instance.
let greeted = 0;

export default definePlugin({
  name: "greet-ts",
  version: "0.1.0",
  start({ log }) {
    log.info("ready to greet");
  },
  routes: {
    12: {
      name: "greet",
      check(body): Greet {
        const name = (body as Partial<Greet> | null)?.name;
        if (typeof name !== "string" || name.length > NAME_MAX) throw new Error(`name is a text of at most ${NAME_MAX} characters`);
        return { name };
      },
      handle(context, { name }: Greet) {
        if (name === "") throw new PluginError(NAME_MISSING, "nobody to greet");
        greeted += 1;
        context.push(context.conn, 13, { greeted });
        const greeting = context.config<string>("greeting") ?? "hello";
        return { message: `${greeting} ${name}` };
      },
    },
  },
});
