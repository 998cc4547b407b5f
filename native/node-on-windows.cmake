# node-on-windows.cmake — lets a Windows addon find Node's functions in whatever program loads it: node.exe, Code.exe, electron.exe.
#
# The headers declare them as imported, so each is called through a pointer `__imp_<name>`. An import library would bind those to
# one program's name; addon/node_on_windows.cpp defines them instead, and fills them when the addon is loaded. In:
# QUIRE_NODE_DEFS, the .def files of node-api-headers. Out: node_functions.inc in the build folder, a line per function.
set(names "")
foreach(def ${QUIRE_NODE_DEFS})
  file(STRINGS ${def} lines REGEX "^ *(napi|node_api)_[a-z0-9_]+")
  foreach(line ${lines})
    string(STRIP "${line}" name)
    list(APPEND names ${name})
  endforeach()
endforeach()
if(NOT names)
  message(FATAL_ERROR "no functions of Node in ${QUIRE_NODE_DEFS}")
endif()
list(REMOVE_DUPLICATES names)  # the files overlap
set(functions "")
foreach(name ${names})
  string(APPEND functions "QUIRE_NODE_FUNCTION(${name})\n")
endforeach()
file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/node_functions.inc CONTENT "${functions}")
