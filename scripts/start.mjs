// start.mjs — the first file of every command: refuses an old Node in words, then runs the command's module.
//
// Written so that Node 12 can still read it (Ubuntu 22.04 has that one): no ?., ??, top-level await or newer names.
const oldest = 20;

/** Imports `module` and calls its main(args) with the command line after `first`. A Stop is printed without its stack. */
export function start(module, first) {
  if (parseInt(process.versions.node, 10) < oldest) {
    process.stderr.write(`quire: Node ${oldest} or later is needed, this is ${process.versions.node}.
  Get it from nodejs.org, your system's packages, or a version manager (nvm install ${oldest}, fnm install ${oldest}).\n`);
    process.exitCode = 1;
    return;
  }
  import(module)
    .then((command) => command.main((first || []).concat(process.argv.slice(2))))
    .catch((error) => {
      process.stderr.write(error.name === "Stop" ? `quire: ${error.message}\n` : `${error.stack}\n`);
      process.exitCode = 1;
    });
}
