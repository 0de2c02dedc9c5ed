# weir_folder(NAME): src/NAME as library weir_NAME, its *_test.cc as NAME_test, its *_fuzz.cc as fuzzers.
function(weir_folder folder)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.cc)
  set(tests ${sources})
  set(fuzzers ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")

  if(sources)
    add_library(weir_${folder} STATIC ${sources})
  else()
    add_library(weir_${folder} INTERFACE)
  endif()
  set(scope $<IF:$<BOOL:${sources}>,PUBLIC,INTERFACE>)
  # Layers are checked by tools/check_layers.py; linking just follows the list of folders.
  if(sources)
    target_link_libraries(weir_${folder} PUBLIC ${WEIR_LOWER} DuckDB::duckdb simdjson fmt::fmt
      spdlog::spdlog ZLIB::ZLIB ${ZSTD_LIBRARY} Boost::headers Threads::Threads)
  else()
    target_link_libraries(weir_${folder} INTERFACE ${WEIR_LOWER} DuckDB::duckdb)
  endif()
  set(WEIR_LOWER weir_${folder} ${WEIR_LOWER} PARENT_SCOPE)

  if(WEIR_TESTS AND tests)
    add_executable(${folder}_test ${tests})
    target_link_libraries(${folder}_test PRIVATE weir_${folder} ${WEIR_LOWER} GTest::gtest_main)
    add_test(NAME ${folder} COMMAND ${folder}_test)
  endif()
  if(WEIR_FUZZ)
    foreach(fuzzer ${fuzzers})
      get_filename_component(name ${fuzzer} NAME_WE)
      add_executable(${name} ${fuzzer})
      target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
      target_link_options(${name} PRIVATE -fsanitize=fuzzer)
      target_link_libraries(${name} PRIVATE weir_${folder} ${WEIR_LOWER})
    endforeach()
  endif()
endfunction()

# The program itself, with libduckdb.so beside it and found by a relative rpath.
function(weir_program)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/app/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(NOT sources)
    return()
  endif()
  add_executable(weir ${sources})
  target_link_libraries(weir PRIVATE ${WEIR_LOWER} edit)
  weir_embed_web(weir)
  set_target_properties(weir PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}
    BUILD_RPATH_USE_ORIGIN ON BUILD_RPATH "$ORIGIN" INSTALL_RPATH "$ORIGIN")
  target_link_options(weir PRIVATE -Wl,-rpath,$ORIGIN)
  set_target_properties(weir PROPERTIES SKIP_BUILD_RPATH ON)
  add_custom_command(TARGET weir POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E copy_if_different ${DUCKDB_ROOT}/lib/libduckdb.so
      $<TARGET_FILE_DIR:weir>/libduckdb.so)
  if(WEIR_TESTS AND tests)
    add_executable(app_test ${tests})
    target_link_libraries(app_test PRIVATE ${WEIR_LOWER} GTest::gtest_main)
    add_test(NAME app COMMAND app_test)
  endif()
endfunction()

# Carries web/dist inside the program (src/app/embedded_web.h reads it).
function(weir_embed_web target)
  set(generated ${CMAKE_BINARY_DIR}/generated/embedded_web.S)
  add_custom_command(OUTPUT ${generated}
    COMMAND python3 ${CMAKE_SOURCE_DIR}/tools/embed_web.py ${CMAKE_SOURCE_DIR}/web/dist ${generated}
    DEPENDS ${CMAKE_SOURCE_DIR}/tools/embed_web.py ${CMAKE_SOURCE_DIR}/web/dist/index.html)
  set_property(SOURCE ${generated} PROPERTY LANGUAGE CXX)
endfunction()
