// model-words.test.ts — the lines of the model picker.

import assert from "node:assert/strict";
import type { ModelRow } from "../../../engine/protocol.ts";
import { modelChoices } from "../../../extension/models/model-words.ts";

const row = (name: string, state: ModelRow["state"]): ModelRow => ({
  name,
  title: name.toUpperCase(),
  licence: "Apache-2.0",
  bytes: 1_117_320_768,
  context: 32768,
  state,
  path: `/models/${name}.gguf`,
  bytesOnDisk: 0,
});

describe("the model picker", () => {
  it("offers the automatic choice first, then every model with size, licence and state", () => {
    const [auto, here, away] = modelChoices([row("a", "present"), row("b", "partial")], "a");
    assert.equal(auto?.name, "auto");
    assert.deepEqual([here?.label, here?.description, here?.toFetch], ["$(check) A", "1.1 GB, Apache-2.0", false]);
    assert.match(here?.detail ?? "", /32k tokens; on this machine/);
    assert.deepEqual([away?.label, away?.title, away?.toFetch], ["B", "B", true]);
    assert.match(away?.detail ?? "", /the rest will be downloaded/);
  });

  it("marks the automatic choice where it is chosen", () => {
    assert.match(modelChoices([], "auto")[0]?.label ?? "", /^\$\(check\)/);
  });
});
