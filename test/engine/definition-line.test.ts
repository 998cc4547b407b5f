// definition-line.test.ts — which lines define something, in many languages.

import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { definitionOfLine } from "../../engine/definition-line.ts";

const cases: [line: string, expected: string | undefined][] = [
  ["def super_len(o):", "super_len function"],
  ["    async def send(self, request):", "send function"],
  ["class HTTPAdapter(BaseAdapter):", "HTTPAdapter type"],
  ["DEFAULT_POOLSIZE = 10", "DEFAULT_POOLSIZE value"],
  ["timeout: float = 5.0", "timeout value"],
  ["export async function lookUp(", "lookUp function"],
  ["export default function main() {", "main function"],
  ["function* walk(node) {", "walk function"],
  ["export const limit = 3;", "limit constant"],
  ["const add = (a, b) => a + b;", "add constant"],
  ["export interface Region {", "Region type"],
  ["export type Mode = 'a' | 'b';", "Mode type"],
  ["export abstract class Stage<T> {", "Stage type"],
  ["  private readonly lines(path: string): string[] {", "lines member"],
  ["  constructor(name) {", "constructor member"],
  ["  #hidden(x) {", "hidden member"],
  ["app.use = function use(fn) {", "use function"],
  ["exports.isAbsolute = function(path){", "isAbsolute constant"],
  ["module.exports.run = run;", "run constant"],
  ["pub(crate) fn open(path: &Path) -> Result<()> {", "open function"],
  ["pub struct Page {", "Page type"],
  ["func (m *Memory) Append(tokens []int32) error {", "Append function"],
  ["type Memory struct {", "Memory type"],
  ["#define MAX_PAGES 512", "MAX_PAGES constant"],
  ["void score_pages(const ScoreArgs& args) {", "score_pages member"],
  ["std::vector<int> Model::tokens(int n) {", "tokens member"],
  ["  public static String join(List<String> parts) {", "join member"],
  ["fun render(view: View) {", "render function"],
  ["if (ready) {", undefined],
  ["for (const x of xs) {", undefined],
  ["return compute(x) {", undefined],
  ["} else if (x) {", undefined],
  ["// function gone() {", undefined],
  ["# def gone():", undefined],
  [" * class of things", undefined],
  ["x == 1", undefined],
  ["", undefined],
];

describe("a line that defines", () => {
  for (const [line, expected] of cases) {
    it(`${JSON.stringify(line)} → ${expected ?? "nothing"}`, () => {
      const found = definitionOfLine(line);
      assert.equal(found === undefined ? undefined : `${found.name} ${found.kind}`, expected);
    });
  }

  it("looks at long lines in bounded time", () => {
    const start = performance.now();
    for (const line of [
      "a ".repeat(50_000),
      "(".repeat(100_000),
      `x${" : ".repeat(40_000)}=`,
      `f(${"a,".repeat(50_000)}`,
    ])
      definitionOfLine(line);
    assert.ok(performance.now() - start < 500);
  });
});
