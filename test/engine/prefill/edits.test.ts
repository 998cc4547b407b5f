// edits.test.ts — which tokens an edit encodes again, and when everything is read again instead.

import assert from "node:assert/strict";
import type { WantedDocument } from "../../../engine/prefill/documents.ts";
import { type BeginningsOf, diff, mostPatchedShare, planEdits } from "../../../engine/prefill/edits.ts";

/** Tokens 0 to 99 begin a block, 100 to 199 a line. */
const beginningsOf: BeginningsOf = (tokens) =>
  Uint8Array.from(tokens, (token) => (token < 100 ? 2 : token < 200 ? 1 : 0));

/** A block of `length` tokens whose lines are 10 long. */
const block = (name: number, length: number): number[] =>
  Array.from({ length }, (_, i) => (i === 0 ? name : i % 10 === 0 ? 100 + name : 1000 + name * 1000 + i));

const three = [...block(1, 50), ...block(2, 60), ...block(3, 90)];
const held = Int32Array.from(three);
const file = (path: string, tokens: readonly number[]): WantedDocument => ({ path, tokens: Int32Array.from(tokens) });

describe("what an edit encodes", () => {
  it("is from the page of the first change to the page that ends the block", () => {
    const wanted = held.slice();
    wanted[73] = 9999; // in the second block, which is 50 to 110
    assert.deepEqual(diff(held, wanted, [200], beginningsOf), [{ from: 64, to: 112, begin: 64, until: 112 }]);
  });

  it("moves with what was put in or taken out", () => {
    const longer = Int32Array.from([...three.slice(0, 73), 9999, 9998, 9997, ...three.slice(73)]);
    assert.deepEqual(diff(held, longer, [200], beginningsOf), [{ from: 64, to: 112, begin: 64, until: 115 }]);
    assert.deepEqual(diff(longer, held, [203], beginningsOf), [{ from: 64, to: 128, begin: 64, until: 125 }]);
  });

  it("is cut at a line where the block is long", () => {
    const long = Int32Array.from(block(1, 900));
    const wanted = long.slice();
    wanted[42] = 9999;
    assert.deepEqual(diff(long, wanted, [900], beginningsOf), [{ from: 32, to: 64, begin: 32, until: 64 }]);
  });

  it("ends with the document, and may be nothing or everything", () => {
    const shorter = held.slice(0, 150);
    assert.deepEqual(diff(held, shorter, [200], beginningsOf), [{ from: 144, to: 200, begin: 144, until: 150 }]);
    const other = Int32Array.from(block(5, 30));
    assert.deepEqual(diff(held, other, [200], beginningsOf), [{ from: 0, to: 200, begin: 0, until: 30 }]);
  });

  it("is cut at the pages of the pieces that earlier edits left", () => {
    const wanted = held.slice();
    wanted[73] = 9999;
    // Pages begin at 0, 16, 32, 48, then 64 of the next piece, 69, 85, 101, 117 …
    assert.deepEqual(diff(held, wanted, [64, 5, 131], beginningsOf), [{ from: 69, to: 117, begin: 69, until: 117 }]);
  });

  it("keeps after it only what is the same, whatever changes at random", () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % below;
    };
    for (let round = 0; round < 300; round++) {
      const next = [...three];
      for (let change = random(3); change >= 0; change--) {
        const added = Array.from({ length: random(40) }, () => random(3000));
        next.splice(random(next.length), random(30), ...added);
      }
      const wanted = Int32Array.from(next);
      const patches = diff(held, wanted, [48, 100, 52], beginningsOf);
      const made: number[] = [];
      let [at, next_] = [0, 0];
      for (const { from, to, begin, until } of patches) {
        assert.ok(from >= at && from <= to && begin <= until && until <= wanted.length, `round ${round}`);
        assert.equal(from - at, begin - next_, `round ${round}: what is kept between is as long in both`);
        made.push(...held.slice(at, from), ...wanted.slice(begin, until));
        [at, next_] = [to, until];
      }
      made.push(...held.slice(at));
      assert.deepEqual(made, next, `round ${round}`);
    }
  });

  it("is a stretch for each place that changed, however many lie between them", () => {
    const names = [1, 2, 3, 4, 5, 6, 7, 8];
    const long = Int32Array.from(names.flatMap((name) => block(name, 150)));
    const wanted = Int32Array.from([
      ...long.slice(0, 175),
      ...[9001, 9002, 9003],
      ...long.slice(176, 640),
      ...long.slice(650, 1000),
      9004,
      ...long.slice(1001),
    ]);
    const patches = diff(long, wanted, [1200], beginningsOf);
    assert.deepEqual(patches, [
      { from: 160, to: 304, begin: 160, until: 306 },
      { from: 640, to: 752, begin: 642, until: 744 },
      { from: 976, to: 1056, begin: 968, until: 1048 }, // its line begins at 990,
    ]);
  });

  it("is one stretch where what lies between two is hardly longer than their edges", () => {
    const wanted = held.slice();
    wanted[3] = 9001;
    wanted[70] = 9002;
    assert.deepEqual(diff(held, wanted, [200], beginningsOf), [{ from: 0, to: 112, begin: 0, until: 112 }]);
  });
});

describe("edits of a memory", () => {
  const documents = ["a", "b", "c", "d", "e", "f", "g", "h"].map((path) => file(path, three));
  const pieces = documents.map(({ tokens }) => [tokens.length]);
  const plan = (wanted: readonly WantedDocument[], patchedTokens = 0) =>
    planEdits({ held: documents, pieces, patchedTokens }, wanted, beginningsOf);
  const changed = file("b", [...three.slice(0, 73), 9999, ...three.slice(74)]);

  it("are one step for each document, of which only the changed ones encode", () => {
    const wanted = documents.map((document) => (document.path === "b" ? changed : document));
    const edits = plan(wanted);
    assert.equal(edits?.tokens, 48);
    assert.deepEqual(
      edits?.steps.map(({ kind }) => kind),
      ["keep", "patch", "keep", "keep", "keep", "keep", "keep", "keep"],
    );
  });

  it("drop what is gone and read what is new at its place", () => {
    const wanted = [...documents.slice(0, 2), file("new", block(7, 40)), ...documents.slice(3)];
    assert.deepEqual(
      plan(wanted)?.steps.map(({ kind }) => kind),
      ["keep", "keep", "drop", "insert", "keep", "keep", "keep", "keep", "keep"],
    );
  });

  it("are none where nothing changed, the order did, or reading on is as cheap", () => {
    assert.equal(plan(documents), undefined);
    assert.equal(plan([...documents].reverse()), undefined);
    assert.equal(plan([...documents, file("new", block(7, 40))]), undefined);
    const last = documents.map((document) => (document.path === "h" ? file("h", changed.tokens as never) : document));
    assert.equal(plan(last), undefined);
  });

  it("are none once a quarter of the memory was encoded in place", () => {
    const wanted = documents.map((document) => (document.path === "b" ? changed : document));
    const most = mostPatchedShare * 1600 - 48;
    assert.ok(plan(wanted, most));
    assert.equal(plan(wanted, most + 1), undefined);
  });
});
