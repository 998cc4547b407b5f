import assert from "node:assert/strict";
import { nextSteps } from "../../../engine/errors.ts";
import { isStop, toFailure } from "../../../extension/talk/failures.ts";

describe("failures in the editor", () => {
  it("have a next step that needs no terminal, and a button, for every code of the engine", () => {
    for (const code of Object.keys(nextSteps)) {
      const { nextStep, remedies } = toFailure({ code, message: "m", nextStep: "" });
      if (code === "cancelled") continue;
      assert.notEqual(nextStep, "", code);
      assert.doesNotMatch(nextStep, /`quire|--|npm/, code);
      assert.ok(remedies.length > 0, code);
    }
  });

  it("take the engine's word for codes unknown here", () => {
    assert.equal(toFailure({ code: "new-code", message: "m", nextStep: "Do this." }).nextStep, "Do this.");
    assert.equal(toFailure({ code: "constructor", message: "m" }).nextStep, "See the log.");
  });

  it("are shown for anything thrown", () => {
    assert.equal(toFailure(new Error("broken")).message, "broken");
    assert.equal(toFailure("broken").message, "broken");
    assert.deepEqual(toFailure(undefined).remedies, ["show log", "ask again"]);
  });

  it("leave the stack of an unforeseen error to the log", () => {
    const message = "TypeError: x is not a function\n    at f (/a/b.cjs:1:2)\n    at async g";
    assert.equal(toFailure({ code: "internal", message }).message, "TypeError: x is not a function");
    assert.equal(toFailure(new Error(message)).message, "TypeError: x is not a function");
  });

  it("are none where the user stopped", () => {
    assert.equal(isStop({ code: "cancelled", message: "Stopped." }), true);
    assert.equal(isStop(new DOMException("aborted", "AbortError")), true);
    assert.equal(isStop(new Error("cancelled")), false);
  });
});
