// read-and-save.ts — a process that reads the documents of reading.ts, then an edit of them, and saves both, to be killed. Arguments: model file, home.
// It says "ready" before it begins and "done" at the end.

import { documents, editedDocuments, edits, heldWith, never, openTiny, quiet, storeIn } from "./reading.ts";

const [file = "", home = ""] = process.argv.slice(2);
const open = await openTiny(file);
const held = heldWith(open.model, storeIn(home, open));
process.stdout.write("ready\n");
await held.read(documents, never, quiet);
await held.settled();
await held.read(editedDocuments, never, quiet, undefined, edits);
await held.settled();
process.stdout.write("done\n");
