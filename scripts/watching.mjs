// watching.mjs — keeps dist/ in step with the sources while it runs, a line per build.
//
// esbuild watches what the bundles import. C++ is built on request only: a line on standard input (Enter). It ends with Ctrl-C
// or at the end of its input.
import { createInterface } from "node:readline";
import { builds, forgetBundle } from "./bundle.mjs";
import { makeReady } from "./ready.mjs";
import { Stop } from "./steps.mjs";

const say = (line) => process.stdout.write(`${line}\n`);

/** A line when a build is done, in the form that an editor's problem matcher reads. */
const reporter = (names) => ({
  name: "report",
  setup(build) {
    build.onEnd(({ errors }) => {
      for (const { text, location } of errors)
        say(`${location ? `${location.file}:${location.line}: ` : ""}error: ${text}`);
      say(errors.length > 0 ? `watch: ${names} failed` : `watch: ${names} built`);
    });
  },
});

export async function main(args) {
  if (args.length > 0) throw new Stop("usage: npm run watch");
  await makeReady();
  const { context } = await import("esbuild");
  // What is written from here on may be of any moment: the next command that needs dist/ bundles it itself.
  forgetBundle();
  const contexts = await Promise.all(
    builds.map((options) =>
      context({ ...options, plugins: [reporter(options.entryPoints.map(({ out }) => out).join(", "))] }),
    ),
  );
  await Promise.all(contexts.map((one) => one.watch()));
  say("watch: Enter builds the native part, Ctrl-C ends");
  for await (const _ of createInterface({ input: process.stdin })) {
    try {
      await makeReady(["packages", "addon"]);
      say("watch: native part built");
    } catch (error) {
      say(`watch: native part failed\n${error.message}`);
    }
  }
  await Promise.all(contexts.map((one) => one.dispose()));
}
