// version.ts — the version of this engine, from package.json.

import json from "../package.json" with { type: "json" };

export const version: string = json.version;
