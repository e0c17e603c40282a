/* The shaders as numbers: expanded from shaders.def. */
#ifndef TUFF_SHADER_IDS_H
#define TUFF_SHADER_IDS_H

typedef enum tuff_shader {
#define TUFF_SHADER(name, file, defines) TUFF_SHADER_##name,
#include "shaders/shaders.def"
#undef TUFF_SHADER
    TUFF_SHADER_COUNT
} tuff_shader;

#endif
