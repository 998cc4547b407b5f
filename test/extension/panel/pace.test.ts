import assert from "node:assert/strict";
import { Pace } from "../../../extension/panel/pace.ts";

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, "it did not come");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("a pace", () => {
  it("runs at once, then once for all that was wanted meanwhile", async () => {
    const runs: number[] = [];
    const pace = new Pace(15, () => runs.push(performance.now()));
    for (let count = 0; count < 10; count++) pace.want();
    assert.equal(runs.length, 1);
    await until(() => runs.length === 2);
    // A timer may come a millisecond early.
    assert.ok((runs[1] ?? 0) - (runs[0] ?? 0) >= 13);
    pace.dispose();
  });

  it("runs nothing after it was disposed", async () => {
    let runs = 0;
    const pace = new Pace(1, () => runs++);
    pace.want();
    pace.want();
    pace.dispose();
    let later = false;
    setTimeout(() => {
      later = true;
    }, 10);
    await until(() => later);
    assert.equal(runs, 1);
  });
});
