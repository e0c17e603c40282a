# A *_test.c is an executable and a test; a .sh in tests/e2e and tests/lint is a test. Exit code 77 means skipped.
# A first line with "ctest: slow" gives the label slow; scripts/test.sh leaves those out. One with "ctest: slow under tsan" has it
# in that build only, which has neither oneDNN nor OpenMP.
tuff_require(CMOCKA cmocka.h cmocka libcmocka-dev)

set(tuff_test_timeout 400)
set(tuff_slow_timeout 1800)
set(test_environment
    TUFF_TEST_SOURCE=${PROJECT_SOURCE_DIR}
    TUFF_TEST_BUILD=${PROJECT_BINARY_DIR}
    TUFF_TEST_ASSETS=${PROJECT_SOURCE_DIR}/assets
    TUFF_TEST_TUFF=${PROJECT_BINARY_DIR}/tuff
    TUFF_CACHE_DIR=${PROJECT_BINARY_DIR}/cache
    TUFF_TEST_SANITIZE=${TUFF_SANITIZE}
    CC=${CMAKE_C_COMPILER})
if(TUFF_SANITIZE)
    set(tuff_test_timeout 900)
    set(tuff_slow_timeout 7200)
    list(APPEND test_environment
         ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1
         UBSAN_OPTIONS=print_stacktrace=1
         LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/kit/lsan.supp:print_suppressions=0
         TSAN_OPTIONS=halt_on_error=1:allocator_may_return_null=1:second_deadlock_stack=1:ignore_noninstrumented_modules=1)
endif()

# tuff_describe_test(name file label)
function(tuff_describe_test name file label)
    file(STRINGS ${file} head LIMIT_COUNT 2)
    set(timeout ${tuff_test_timeout})
    if(head MATCHES "ctest: slow under tsan")
        if(TUFF_SANITIZE STREQUAL "thread")
            list(APPEND label slow)
        endif()
    elseif(head MATCHES "ctest: slow")
        list(APPEND label slow)
    endif()
    if("slow" IN_LIST label)
        set(timeout ${tuff_slow_timeout})
    endif()
    set_tests_properties(${name} PROPERTIES LABELS "${label}" TIMEOUT ${timeout} SKIP_RETURN_CODE 77 ENVIRONMENT
                                            "${test_environment}")
endfunction()

file(GLOB kit_sources CONFIGURE_DEPENDS tests/kit/*.c)
add_library(tuff_test_kit STATIC ${kit_sources})
tuff_compile(tuff_test_kit)
target_include_directories(tuff_test_kit PUBLIC tests)
target_link_libraries(tuff_test_kit PUBLIC tuff_static ${CMOCKA_LIBRARY})
if(TUFF_SANITIZE STREQUAL "address")
    # in every program, not in the archive: a linker would leave it there
    target_sources(tuff_test_kit INTERFACE ${PROJECT_SOURCE_DIR}/tests/kit/leaks/keep_loaded.c)
    target_sources(tuff_cli PRIVATE tests/kit/leaks/keep_loaded.c)
    foreach(library kit_leaky kit_closer)
        add_library(${library} MODULE tests/kit/leaks/leaky.c)
        set_target_properties(${library} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    endforeach()
endif()

foreach(label unit backend e2e)
    file(GLOB sources CONFIGURE_DEPENDS tests/${label}/*_test.c)
    foreach(source ${sources})
        get_filename_component(name ${source} NAME_WE)
        add_executable(${name} ${source})
        tuff_compile(${name})
        target_link_libraries(${name} PRIVATE tuff_test_kit)
        set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
        add_test(NAME ${name} COMMAND ${name})
        tuff_describe_test(${name} ${source} ${label})
    endforeach()
endforeach()

# tuff_signals_test(name isa label runs): the same again with the kernels that oneDNN has for such a processor
function(tuff_signals_test name isa label)
    add_test(NAME ${name} COMMAND signals_test ${ARGN})
    tuff_describe_test(${name} ${PROJECT_SOURCE_DIR}/tests/backend/signals_test.c "${label}")
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT ONEDNN_MAX_CPU_ISA=${isa})
endfunction()
# A sanitizer sees nothing of those kernels, and makes Tuff's own loops, which serve in their place, too slow for many runs.
if(use_onednn AND NOT TUFF_SANITIZE)
    tuff_signals_test(signals_avx2_test AVX2 backend)
    tuff_signals_test(signals_long_test ALL "backend;slow" 20)
    tuff_signals_test(signals_long_avx2_test AVX2 "backend;slow" 20)
endif()

foreach(label e2e lint)
    file(GLOB scripts CONFIGURE_DEPENDS tests/${label}/*.sh)
    foreach(script ${scripts})
        get_filename_component(name ${script} NAME_WE)
        add_test(NAME ${label}_${name} COMMAND sh ${script})
        tuff_describe_test(${label}_${name} ${script} ${label})
    endforeach()
endforeach()

# what the command prints, without the command
target_sources(kernels_table_test PRIVATE src/cli/bench_kernels_table.c src/cli/text.c)
