// here.ts — the folder of the running bundle, or of engine/ when the sources run as they are (tests).
//
// Files that lie beside the bundle (addon, grammars, workers) are found from it.

import path from "node:path";
import { fileURLToPath } from "node:url";

declare const __dirname: string | undefined;

export const here: string = typeof __dirname === "string" ? __dirname : path.dirname(fileURLToPath(import.meta.url));
