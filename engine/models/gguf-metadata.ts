// gguf-metadata.ts — typed access to a GGUF's key-value table.
//
// In: the walked header and the other values, which @huggingface/gguf read. Out: one value by key, of exactly the type on disk that
// was asked for and within the schema's range; anything else is refused by name. It knows no key itself.
import type { z } from "zod";
import { type GgufScan, type Refusals, wire } from "./gguf-scan.ts";

type WireName = keyof typeof wire;

const wireName = (type: number | undefined): string =>
  Object.entries(wire).find(([, number]) => number === type)?.[0] ?? `type ${type}`;

export class Metadata {
  readonly #scan: GgufScan;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly refuse: Refusals;

  constructor(scan: GgufScan, values: Readonly<Record<string, unknown>>, refuse: Refusals) {
    this.#scan = scan;
    this.#values = values;
    this.refuse = refuse;
  }

  has(key: string): boolean {
    return this.#scan.keys.has(key);
  }

  keysBelow(prefix: string): string[] {
    return [...this.#scan.keys.keys()].filter((key) => key.startsWith(prefix));
  }

  /** The value of `key`, or undefined where the file has none. */
  optional<Schema extends z.ZodType>(key: string, type: WireName, schema: Schema): z.output<Schema> | undefined {
    const found = this.#scan.keys.get(key);
    if (found === undefined) return undefined;
    if (found.type !== wire[type]) throw this.refuse.invalid(key, `it is ${wireName(found.type)} instead of ${type}`);
    return this.#parse(key, schema);
  }

  /** Like optional, but the file must have it. */
  required<Schema extends z.ZodType>(key: string, type: WireName, schema: Schema): z.output<Schema> {
    if (!this.has(key)) throw this.refuse.invalid(key, "it is missing");
    return this.optional(key, type, schema) as z.output<Schema>;
  }

  /** An array of one element type, or undefined. */
  array<Schema extends z.ZodType>(key: string, elementType: WireName, schema: Schema): z.output<Schema> | undefined {
    const found = this.#scan.keys.get(key);
    if (found === undefined) return undefined;
    if (found.type !== wire.array) throw this.refuse.invalid(key, `it is ${wireName(found.type)} instead of an array`);
    if (found.elementType !== wire[elementType]) {
      throw this.refuse.invalid(key, `its elements are ${wireName(found.elementType)} instead of ${elementType}`);
    }
    return this.#parse(key, schema, found.texts);
  }

  #parse<Schema extends z.ZodType>(key: string, schema: Schema, value: unknown = this.#values[key]): z.output<Schema> {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    const at = issue !== undefined && issue.path.length > 0 ? `element ${issue.path.join(".")}: ` : "";
    throw this.refuse.invalid(key, `${at}${issue?.message ?? "out of range"}`);
  }
}
