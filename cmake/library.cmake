# A folder of src/ is an object library; together they are libtuff.so and libtuff.a. The tests and the command link the
# static one: tests because they look inside, the command so that it is one file.
set(tuff_layers base ir ops backend runtime formats text jinja models chat adapters generate packed embed predict train conform bench)
set(tuff_objects "")

function(tuff_compile target)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
    target_include_directories(${target} SYSTEM PRIVATE ${tuff_include_dirs})
    target_compile_definitions(${target} PRIVATE TUFF_BUILD ${tuff_definitions})
    target_compile_options(${target} PRIVATE ${tuff_warnings} ${tuff_c_flags} ${tuff_hardening})
endfunction()

foreach(layer ${tuff_layers})
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS src/${layer}/*.c)
    if(NOT use_vulkan)
        list(FILTER sources EXCLUDE REGEX "/src/backend/vulkan/")
    endif()
    if(NOT sources)
        continue()
    endif()
    foreach(source ${sources})
        if(source MATCHES "/src/backend/cpu/dots")
            # the same bits whatever the instruction set
            set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-fno-trapping-math;-fopenmp-simd")
        elseif(source MATCHES "/src/(ops|backend/cpu)/")
            set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${tuff_kernel_flags}")
        elseif(source MATCHES "/src/formats/quantize")
            set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS -fopenmp-simd) # the same bytes everywhere
        endif()
    endforeach()
    add_library(tuff_${layer} OBJECT ${sources})
    tuff_compile(tuff_${layer})
    list(APPEND tuff_objects $<TARGET_OBJECTS:tuff_${layer}>)
endforeach()

include(cmake/commit.cmake)

if(TARGET tuff_spirv_pack)
    list(APPEND tuff_objects $<TARGET_OBJECTS:tuff_spirv_pack>)
endif()

add_library(tuff SHARED ${tuff_objects})
add_library(tuff_static STATIC ${tuff_objects})
# as an installed Tuff is called, so that a project may take either
add_library(Tuff::tuff ALIAS tuff)
add_library(Tuff::tuff_static ALIAS tuff_static)
set_target_properties(tuff tuff_static PROPERTIES LINKER_LANGUAGE C)
# Until 1.0 the minor version is the binary interface.
set_target_properties(tuff PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MINOR})
set_target_properties(tuff_static PROPERTIES OUTPUT_NAME tuff)
foreach(target tuff tuff_static)
    target_include_directories(
        ${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
target_compile_definitions(tuff_static INTERFACE TUFF_STATIC)
target_link_libraries(tuff PRIVATE ${tuff_link_libraries})
# Where those libraries lie is this machine's matter: an installed tuff_static gets them from tuff-config.cmake.
target_link_libraries(tuff_static PUBLIC "$<BUILD_INTERFACE:${tuff_link_libraries}>")
if(NOT APPLE)
    include(cmake/exports.cmake)
    if(NOT TUFF_SANITIZE)
        target_link_options(tuff PRIVATE -Wl,-z,defs) # nothing is left undefined
    endif()
endif()

file(GLOB sources CONFIGURE_DEPENDS src/cli/*.c)
if(sources)
    add_executable(tuff_cli ${sources})
    tuff_compile(tuff_cli)
    set_target_properties(tuff_cli PROPERTIES OUTPUT_NAME tuff)
    target_link_libraries(tuff_cli PRIVATE tuff_static)
endif()
