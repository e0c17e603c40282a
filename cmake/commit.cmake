# Writes base/commit.h: the commit that is built, for reports. Run as a script at each build; the file is only touched when
# it changes. An unpacked archive has no commit: it is "" there, also where it lies in another project's repository, so
# that two builds of one archive are the same.
if(CMAKE_SCRIPT_MODE_FILE)
    cmake_minimum_required(VERSION 3.22) # a script begins with the policies of an old CMake
    set(commit "")
    if(GIT)
        execute_process(COMMAND ${GIT} -C ${ROOT} rev-parse --show-toplevel OUTPUT_VARIABLE top OUTPUT_STRIP_TRAILING_WHITESPACE
                        ERROR_QUIET)
        get_filename_component(here "${ROOT}" REALPATH)
        if(top STREQUAL here)
            execute_process(COMMAND ${GIT} -C ${ROOT} describe --always --dirty --abbrev=12 --exclude=* OUTPUT_VARIABLE commit
                            OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
        endif()
    endif()
    file(CONFIGURE OUTPUT ${OUT} @ONLY
         CONTENT "/* Made at each build by cmake/commit.cmake. */\n#define TUFF_COMMIT \"@commit@\"\n")
    return()
endif()

find_package(Git QUIET)
set(tuff_generated ${PROJECT_BINARY_DIR}/generated)
add_custom_target(
    tuff_commit
    COMMAND ${CMAKE_COMMAND} -D GIT=${GIT_EXECUTABLE} -D ROOT=${PROJECT_SOURCE_DIR} -D OUT=${tuff_generated}/base/commit.h -P
            ${PROJECT_SOURCE_DIR}/cmake/commit.cmake
    BYPRODUCTS ${tuff_generated}/base/commit.h
    COMMENT "")
add_dependencies(tuff_conform tuff_commit)
target_include_directories(tuff_conform PRIVATE ${tuff_generated})
