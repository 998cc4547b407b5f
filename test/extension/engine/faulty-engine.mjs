// faulty-engine.mjs — an engine process with one fault, named on its command line: what the real one cannot be made to do.
//
//   refuse   does not agree on the protocol's version
//   deaf     agrees, and answers nothing else, cancelled or not
//   device   answers that its device takes nothing more
//   broken   says why on standard error and ends
import { createMessageConnection, ResponseError, StreamMessageReader, StreamMessageWriter } from "vscode-jsonrpc/node";

const failureOf = (code) => ({ code, message: "The GPU fell over.", nextStep: "Start it again." });
const fault = process.argv[2];
if (fault === "broken") {
  console.error("quire: the addon is missing");
  process.exit(7);
}
const rpc = createMessageConnection(new StreamMessageReader(process.stdin), new StreamMessageWriter(process.stdout));
rpc.onRequest("initialize", ({ protocolVersion }) => {
  if (fault !== "refuse") return { protocolVersion, engineVersion: "0" };
  const failure = { code: "bad-option", message: "Another version.", nextStep: "Install the same." };
  return new ResponseError(1, failure.message, failure);
});
rpc.onRequest("doctor", () => {
  if (fault === "device") return new ResponseError(1, "The GPU fell over.", failureOf("device-fault"));
  console.error("asked for doctor");
  return new Promise(() => {});
});
rpc.onRequest((method) => {
  console.error(`asked for ${method}`);
  return new Promise(() => {});
});
rpc.onClose(() => process.exit(0));
rpc.listen();
