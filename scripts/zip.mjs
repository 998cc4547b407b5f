// zip.mjs — reads ZIP archives, which VSIX files are.
import { createWriteStream, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";

/** Calls `each(entry, zip)` for the files of an archive, one after another; folders are passed over. */
async function forEachFile(file, each) {
  const yauzl = createRequire(import.meta.url)("yauzl");
  const zip = await promisify(yauzl.open)(file, { lazyEntries: true, autoClose: false });
  try {
    await new Promise((resolve, reject) => {
      zip.on("error", reject).on("end", resolve);
      zip.on("entry", (entry) => {
        const done = entry.fileName.endsWith("/") ? Promise.resolve() : Promise.resolve(each(entry, zip));
        done.then(() => zip.readEntry(), reject);
      });
      zip.readEntry();
    });
  } finally {
    zip.close();
  }
}

/** The archive's files: path, bytes and bytes as packed. */
export async function zipEntries(file) {
  const found = [];
  await forEachFile(file, (entry) => {
    found.push({ path: entry.fileName, bytes: entry.uncompressedSize, packedBytes: entry.compressedSize });
  });
  return found;
}

/** Unpacks into a folder, with the execute bits that the archive names. */
export async function unzip(file, folder) {
  await forEachFile(file, async (entry, zip) => {
    const to = join(folder, entry.fileName);
    if (relative(folder, to).startsWith("..")) throw new Error(`${entry.fileName} leaves the folder`);
    mkdirSync(dirname(to), { recursive: true });
    const mode = (entry.externalFileAttributes >>> 16) & 0o777;
    const from = await promisify(zip.openReadStream.bind(zip))(entry);
    await pipeline(from, createWriteStream(to, mode === 0 ? {} : { mode }));
  });
}
