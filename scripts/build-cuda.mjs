// build-cuda.mjs — `npm run build:cuda`: the addon with the CUDA backend, beside the one that every machine can run.
import { start } from "./start.mjs";

start("./cuda-addon.mjs");
