// no-saved-memory.cjs — loaded before every test: memory is not kept on disk, so that each test reads for itself. Tests of saved
// memory switch it on for their own processes.
process.env.QUIRE_MEMORY ??= "off";
