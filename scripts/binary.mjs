// binary.mjs — what system a program or library is for, from its first bytes; and the newest glibc it asks for.
//
// The last look before a package is made: a host's addon in another system's package would only fail on the user's machine.

const elfMachines = { 62: "linux-x64", 183: "linux-arm64" };
const machTypes = { 16777228: "darwin-arm64", 16777223: "darwin-x64" };
const peMachines = { 34404: "win32-x64", 43620: "win32-arm64" };

/** A name as in targets.mjs, or undefined for what is no binary that we know. `bytes` is the file's Buffer. */
export function systemOf(bytes) {
  if (bytes.length < 64) return undefined;
  if (bytes.readUInt32BE(0) === 0x7f454c46) return elfMachines[bytes.readUInt16LE(18)];
  if (bytes.readUInt32LE(0) === 0xfeedfacf) return machTypes[bytes.readUInt32LE(4)];
  if (bytes.toString("latin1", 0, 2) !== "MZ") return undefined;
  const header = bytes.readUInt32LE(60);
  if (header + 6 > bytes.length || bytes.toString("latin1", header, header + 2) !== "PE") return undefined;
  return peMachines[bytes.readUInt16LE(header + 4)];
}

/** The newest version that a symbol of glibc is asked for in, such as "2.28"; undefined where none is. */
export function newestGlibc(bytes) {
  const versions = [...bytes.toString("latin1").matchAll(/\0GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
  return versions.length === 0 ? undefined : `2.${Math.max(...versions)}`;
}
