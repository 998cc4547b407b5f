// open-editor.mjs — `npm start [-- FOLDER]`: an editor with the extension installed, on this repository or the given folder.
import { start } from "./start.mjs";

start("./editor.mjs");
