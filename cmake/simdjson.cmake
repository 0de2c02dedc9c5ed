# simdjson, compiled once.  The library picks the kernel for the machine when it starts.
set(SIMDJSON_ROOT ${CMAKE_SOURCE_DIR}/.deps/simdjson)
add_library(simdjson STATIC ${SIMDJSON_ROOT}/simdjson.cpp)
target_include_directories(simdjson SYSTEM PUBLIC ${SIMDJSON_ROOT})
target_compile_options(simdjson PRIVATE -w)
