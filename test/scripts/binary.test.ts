// binary.test.ts — a package's binaries are told apart by their first bytes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { newestGlibc, systemOf } from "../../scripts/binary.mjs";

/** 128 bytes, zero but for the given numbers: offset, width in bytes, little-endian value. */
function binary(...numbers: [at: number, width: number, value: number][]): Buffer {
  const bytes = Buffer.alloc(128);
  for (const [at, width, value] of numbers) bytes.writeUIntLE(value, at, width);
  return bytes;
}

describe("systemOf", () => {
  const pe = (machine: number): Buffer => binary([0, 2, 0x5a4d], [60, 4, 0x60], [0x60, 2, 0x4550], [0x64, 2, machine]);
  const cases: [string | undefined, Buffer][] = [
    ["linux-x64", binary([0, 4, 0x464c457f], [18, 2, 0x3e])],
    ["linux-arm64", binary([0, 4, 0x464c457f], [18, 2, 0xb7])],
    [undefined, binary([0, 4, 0x464c457f], [18, 2, 0xf3])],
    ["darwin-arm64", binary([0, 4, 0xfeedfacf], [4, 4, 0x0100000c])],
    ["win32-x64", pe(0x8664)],
    ["win32-arm64", pe(0xaa64)],
    [undefined, binary([0, 2, 0x5a4d], [60, 4, 0xffffffff])],
    [undefined, Buffer.from("#!/bin/sh\n")],
    [undefined, Buffer.alloc(0)],
  ];
  for (const [system, bytes] of cases)
    it(`says ${system ?? "nothing"} for ${bytes.toString("hex", 0, 20)}`, () => assert.equal(systemOf(bytes), system));

  it("knows the program that runs this", () => {
    assert.equal(systemOf(readFileSync(process.execPath)), `${process.platform}-${process.arch}`);
  });
});

describe("newestGlibc", () => {
  it("compares versions as numbers", () => {
    assert.equal(newestGlibc(Buffer.from("\0GLIBC_2.9\0GLIBC_2.28\0GLIBC_2.4\0")), "2.28");
  });
  it("says nothing where no symbol of glibc is asked for", () => {
    assert.equal(newestGlibc(Buffer.from("kernel32.dll")), undefined);
  });
});
