// no-saved-memory.cjs — loaded before every test: memory is not kept on disk, so that each test reads for itself. Tests of saved
// memory switch it on for their own processes.
process.env.QUIRE_MEMORY ??= "off";
// Models run on the processor, whether or not a CUDA addon lies in build/; tests of a GPU name theirs.
process.env.QUIRE_CUDA_ADDON ??= "none";
// Each client has an engine of its own, which ends with it: no test meets the engine of whoever runs it. Tests of sharing switch it on.
process.env.QUIRE_SHARE ??= "off";
