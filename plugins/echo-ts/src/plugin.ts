// Answers route 11 with what it was sent.
import { definePlugin } from "@duet/plugin";

export default definePlugin({
  name: "echo-ts",
  version: "0.1.0",
  routes: {
    11: {
      name: "echo",
      handle: (_context, request: { message: string }) => ({ message: request.message }),
    },
  },
});
