# DuckDB as an imported library: headers and the prebuilt shared library that tools/deps fetched.
set(DUCKDB_ROOT ${CMAKE_SOURCE_DIR}/.deps/duckdb)
if(NOT EXISTS ${DUCKDB_ROOT}/lib/libduckdb.so)
  message(FATAL_ERROR "libduckdb.so is missing: run tools/deps first")
endif()
add_library(DuckDB::duckdb SHARED IMPORTED GLOBAL)
set_target_properties(DuckDB::duckdb PROPERTIES
  IMPORTED_LOCATION ${DUCKDB_ROOT}/lib/libduckdb.so
  IMPORTED_NO_SONAME FALSE
  INTERFACE_INCLUDE_DIRECTORIES
    "${DUCKDB_ROOT}/include;${DUCKDB_ROOT}/third_party/yyjson/include;${DUCKDB_ROOT}/third_party/fast_float")
