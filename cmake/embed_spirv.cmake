# Writes OUT: the words of the module SPV and its content key, as C. Run by cmake -P from shaders.cmake with ROOT, NAME,
# FILE, DEFINES, COMPILER, SPV and OUT.
cmake_policy(VERSION 3.22)

# The key must be what tuff_shader_key (src/backend/vulkan/shader_key.c) computes: the hashes of the file and of all it
# includes, each once, in the order first met, then how it is compiled.
set(seen "")
set(recipe "tuff-spirv 1\n")
macro(add_source file)
    list(FIND seen ${file} at)
    if(at EQUAL -1)
        list(APPEND seen ${file})
        file(SHA256 ${ROOT}/${file} hash)
        string(APPEND recipe "file ${file} ${hash}\n")
        add_includes(${file})
    endif()
endmacro()
function(add_includes file)
    file(STRINGS ${ROOT}/${file} lines REGEX "^[ \t]*#[ \t]*include[ \t]+\"")
    foreach(line IN LISTS lines)
        string(REGEX REPLACE "^[^\"]*\"([^\"]*)\".*" "\\1" included "${line}")
        add_source(${included})
    endforeach()
    set(seen "${seen}" PARENT_SCOPE)
    set(recipe "${recipe}" PARENT_SCOPE)
endfunction()
add_source(shaders/${FILE})
string(APPEND recipe "defines ${DEFINES}\ntarget vulkan1.2\nflags -O\ncompiler ${COMPILER}\n")
string(SHA256 key "${recipe}")

file(READ ${SPV} words HEX)
# little-endian bytes to words, eight a line
string(REGEX REPLACE "(..)(..)(..)(..)" "0x\\4\\3\\2\\1," words "${words}")
string(REPEAT "0x........," 8 eight)
string(REGEX REPLACE "(${eight})" "\\1\n" words "${words}")
file(WRITE ${OUT} "static const char key_${NAME}[] = \"${key}\";
static const uint32_t words_${NAME}[] = {
${words}
};
")
