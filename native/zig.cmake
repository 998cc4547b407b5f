# zig.cmake — a CMake toolchain: the native part for another system, compiled by Zig (scripts/cross-addon.mjs).
#
# QUIRE_ZIG         the zig program
# QUIRE_ZIG_TARGET  its target, e.g. aarch64-linux-gnu.2.28
# QUIRE_SYSTEM      CMake's name of the system: Linux, Darwin, Windows
# QUIRE_PROCESSOR   x86_64, aarch64, arm64, AMD64
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES QUIRE_ZIG QUIRE_ZIG_TARGET QUIRE_SYSTEM QUIRE_PROCESSOR)
# Only static libraries are tried: the Darwin linker's options are not all known to Zig's.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_SYSTEM_NAME ${QUIRE_SYSTEM})
set(CMAKE_SYSTEM_PROCESSOR ${QUIRE_PROCESSOR})
set(CMAKE_CXX_COMPILER ${QUIRE_ZIG} c++ -target ${QUIRE_ZIG_TARGET})
set(CMAKE_AR ${QUIRE_ZIG})
set(CMAKE_USER_MAKE_RULES_OVERRIDE ${CMAKE_CURRENT_LIST_DIR}/zig-rules.cmake)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
# Every system that we build for has threads in its C library or beside it, with this flag.
set(CMAKE_HAVE_LIBC_PTHREAD ON)
set(CMAKE_THREAD_LIBS_INIT "")
if(QUIRE_SYSTEM STREQUAL "Darwin")
  set(CMAKE_OSX_SYSROOT "")
  set(CMAKE_OSX_DEPLOYMENT_TARGET "")
  set(CMAKE_INSTALL_NAME_TOOL ${QUIRE_ZIG})
  # Node's functions are found in the process that loads the addon.
  set(CMAKE_SHARED_LINKER_FLAGS_INIT "-undefined dynamic_lookup")
else()
  if(QUIRE_SYSTEM STREQUAL "Windows")
    set(CMAKE_RC_COMPILER ${QUIRE_ZIG})  # asked for by CMake, used by nothing of ours
  endif()
  set(CMAKE_SHARED_LINKER_FLAGS_INIT "-s")
endif()
