# The SPIR-V pack: every line of shaders/shaders.def, compiled by glslc and embedded as C with its content key.
if(NOT use_vulkan)
    return()
endif()

find_program(TUFF_GLSLC glslc)
mark_as_advanced(TUFF_GLSLC)
if(NOT TUFF_GLSLC)
    message(FATAL_ERROR "glslc not found: install glslc, or configure with -DTUFF_VULKAN=OFF")
endif()
execute_process(COMMAND ${TUFF_GLSLC} --version OUTPUT_VARIABLE glslc_version COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "[ \r\n]+" " " glslc_version "${glslc_version}")
string(STRIP "${glslc_version}" glslc_version)

set(spirv_dir ${PROJECT_BINARY_DIR}/spirv)
file(MAKE_DIRECTORY ${spirv_dir})
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/shaders/shaders.def)
file(STRINGS ${PROJECT_SOURCE_DIR}/shaders/shaders.def shader_lines REGEX "^TUFF_SHADER")
set(spirv_modules "")
set(spirv_includes "")
set(spirv_entries "")
foreach(line IN LISTS shader_lines)
    if(NOT line MATCHES "^TUFF_SHADER\\(([a-z0-9_]+), \"([a-z0-9_/]+\\.comp)\", \"([^\"]*)\"\\)")
        message(FATAL_ERROR "shaders/shaders.def: expected TUFF_SHADER(name, \"file.comp\", \"-DNAME=VALUE ...\"), found ${line}")
    endif()
    set(name ${CMAKE_MATCH_1})
    set(file ${CMAKE_MATCH_2})
    set(defines "${CMAKE_MATCH_3}")
    separate_arguments(define_list UNIX_COMMAND "${defines}")
    set(stem ${spirv_dir}/${name})
    set(depfile "")
    if(CMAKE_GENERATOR MATCHES "Ninja|Makefiles")
        set(depfile DEPFILE ${stem}.d)
    endif()
    add_custom_command(
        OUTPUT ${stem}.inc
        COMMAND ${TUFF_GLSLC} --target-env=vulkan1.2 -O -I ${PROJECT_SOURCE_DIR} ${define_list} -MD -MF ${stem}.d -MT
                ${stem}.inc -o ${stem}.spv ${PROJECT_SOURCE_DIR}/shaders/${file}
        COMMAND
            ${CMAKE_COMMAND} -D ROOT=${PROJECT_SOURCE_DIR} -D NAME=${name} -D FILE=${file} "-DDEFINES=${defines}"
            "-DCOMPILER=${glslc_version}" -D SPV=${stem}.spv -D OUT=${stem}.inc -P
            ${PROJECT_SOURCE_DIR}/cmake/embed_spirv.cmake
        DEPENDS ${PROJECT_SOURCE_DIR}/shaders/${file} ${PROJECT_SOURCE_DIR}/cmake/embed_spirv.cmake
        ${depfile}
        COMMENT "Shader ${name}"
        VERBATIM)
    list(APPEND spirv_modules ${stem}.inc)
    string(APPEND spirv_includes "#include \"${name}.inc\"\n")
    string(APPEND spirv_entries
           "    [TUFF_SHADER_${name}] = {\"${name}\", \"${file}\", \"${defines}\", key_${name}, words_${name},\n"
           "        sizeof words_${name} / 4},\n")
endforeach()

file(CONFIGURE OUTPUT ${spirv_dir}/spirv_pack.c @ONLY CONTENT
"/* Made by cmake/shaders.cmake. */
#include \"backend/vulkan/shader_source.h\"
@spirv_includes@
const char tuff_spirv_compiler[] = \"@glslc_version@\";
const tuff_spirv_entry tuff_spirv_pack[TUFF_SHADER_COUNT] = {
@spirv_entries@};
")
set_source_files_properties(${spirv_dir}/spirv_pack.c PROPERTIES OBJECT_DEPENDS "${spirv_modules}")
add_library(tuff_spirv_pack OBJECT ${spirv_dir}/spirv_pack.c)
target_include_directories(tuff_spirv_pack PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src
                                                   ${PROJECT_SOURCE_DIR} ${spirv_dir})
