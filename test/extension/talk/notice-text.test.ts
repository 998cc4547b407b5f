import assert from "node:assert/strict";
import { noticeText, rowText } from "../../../extension/talk/notice-text.ts";

describe("words in a message of the editor", () => {
  it("are no link, whatever a file is called", () => {
    assert.equal(noticeText("a[x](command:evil)\n.ts"), "a\uff3bx](command:evil)\ufffd.ts");
  });

  it("are no icon and no second line in a list", () => {
    assert.equal(rowText("a $(trash)\n b"), "a $ (trash) b");
  });

  it("stay as they are otherwise, and short", () => {
    assert.equal(noticeText("src/my file.ts"), "src/my file.ts");
    assert.equal(noticeText(`${"x".repeat(500)}.ts`).length, 200);
    assert.ok(noticeText(`${"x".repeat(500)}.ts`).endsWith("x.ts"));
  });
});
