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
  if(folder IN_LIST WEIR_COUNTED)
    target_compile_options(weir_${folder} PRIVATE -O0 -U_FORTIFY_SOURCE --coverage
      -fprofile-update=atomic)
    target_link_options(weir_${folder} INTERFACE --coverage)
  endif()
  if(folder IN_LIST WEIR_MUTATED)
    set_target_properties(weir_${folder} PROPERTIES UNITY_BUILD OFF)
    target_compile_options(weir_${folder} PRIVATE -O1 -g0)
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
    add_executable(${folder}_test ${tests} ${WEIR_TEST_SOURCES})
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

# The program itself, with libduckdb.so beside it and found by a relative rpath, and the web app inside.
function(weir_program)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/app/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  set(main ${CMAKE_SOURCE_DIR}/src/app/main.cc)
  list(REMOVE_ITEM sources ${main})

  set(embedded ${CMAKE_BINARY_DIR}/generated/embedded_web.S)
  file(GLOB_RECURSE web_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/dist/*)
  add_custom_command(OUTPUT ${embedded}
    COMMAND python3 ${CMAKE_SOURCE_DIR}/tools/embed_web.py ${CMAKE_SOURCE_DIR}/web/dist ${embedded}
    DEPENDS ${CMAKE_SOURCE_DIR}/tools/embed_web.py ${web_files})

  add_library(weir_app STATIC ${sources} ${embedded})
  target_link_libraries(weir_app PUBLIC ${WEIR_LOWER} edit)
  add_executable(weir ${main})
  target_link_libraries(weir PRIVATE weir_app)
  set_target_properties(weir PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}
    INSTALL_RPATH "$ORIGIN" BUILD_WITH_INSTALL_RPATH ON)
  # RPATH, not RUNPATH: it also finds what the libraries beside the program need (tools/package).
  target_link_options(weir PRIVATE -Wl,--disable-new-dtags)
  add_custom_command(TARGET weir POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E copy_if_different ${DUCKDB_ROOT}/lib/libduckdb.so
      $<TARGET_FILE_DIR:weir>/libduckdb.so)
  if(WEIR_TESTS AND tests)
    add_executable(app_test ${tests} ${WEIR_TEST_SOURCES})
    target_link_libraries(app_test PRIVATE weir_app GTest::gtest_main)
    add_test(NAME app COMMAND app_test)
  endif()
endfunction()
