/* SPIR-V modules by content: the pack in the library, the user's cache folder, the compiler at run time. */
#ifndef TUFF_BACKEND_VULKAN_SHADER_SOURCE_H
#define TUFF_BACKEND_VULKAN_SHADER_SOURCE_H

#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>

#include "backend/vulkan/spirv_reflect.h"
#include "base/log.h"
#include "base/text.h"
#include "shaders/shader_ids.h"

/* A module of the pack, made by cmake/shaders.cmake. */
typedef struct tuff_spirv_entry {
    const char *name, *file, *defines;
    const char *key; /* hexadecimal SHA-256, see tuff_shader_key */
    const uint32_t *words;
    size_t n_words;
} tuff_spirv_entry;
extern const tuff_spirv_entry tuff_spirv_pack[TUFF_SHADER_COUNT];
extern const char tuff_spirv_compiler[]; /* the version that compiled the pack */

/* A module ready for use. */
typedef struct tuff_vk_module {
    const uint32_t *words; /* of the pack or of `owned` */
    size_t n_words;
    tuff_buf owned;
    tuff_spirv_info info;
} tuff_vk_module;

/* Finds or compiles a module and reflects it. `directory`: NULL, or the folder (TUFF_SHADER_DIR) whose
 * sources decide whether the pack still fits. */
TUFF_MUST_USE tuff_status tuff_shader_load(tuff_shader shader, const char *directory,
                                           const tuff_log_receiver *log, tuff_vk_module *out);
void tuff_shader_unload(tuff_vk_module *module);
/* The key of the source that tuff_shader_load would use. */
TUFF_MUST_USE tuff_status tuff_shader_key_of(tuff_shader shader, const char *directory, char out_key[65]);

/* The content key of a module's source in `directory`: SHA-256 over the hashes of the file and of all it
 * includes, in the order first met, with defines, target, flags and compiler. The build computes the same
 * (cmake/embed_spirv.cmake). */
TUFF_MUST_USE tuff_status tuff_shader_key(const char *directory, const char *file, const char *defines,
                                          const char *compiler, char out_key[65]);

/* A source by the name that includes use: "shaders/lib/common.glsl" is <directory>/lib/common.glsl. */
TUFF_MUST_USE tuff_status tuff_shader_read(const char *directory, const char *name, tuff_buf *out);

/* The run-time compiler (shader_compile.c): fails with TUFF_UNSUPPORTED in a build without one. */
TUFF_MUST_USE tuff_status tuff_shader_compile(const char *directory, const char *file, const char *defines,
                                              tuff_buf *out_words);
void tuff_shader_compiler_name(char *out, size_t size);

#endif
