# zig-rules.cmake — read by CMake after its own rules for the system: Zig's archiver is a word more than CMake knows of.
set(CMAKE_CXX_ARCHIVE_CREATE "\"${QUIRE_ZIG}\" ar qc <TARGET> <LINK_FLAGS> <OBJECTS>")
set(CMAKE_CXX_ARCHIVE_APPEND "\"${QUIRE_ZIG}\" ar q <TARGET> <LINK_FLAGS> <OBJECTS>")
set(CMAKE_CXX_ARCHIVE_FINISH "\"${QUIRE_ZIG}\" ranlib <TARGET>")
