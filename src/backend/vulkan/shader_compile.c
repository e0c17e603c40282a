/* Compiling shaders at run time, for development: libshaderc. */
#include <stdio.h>
#include <string.h>

#include "backend/vulkan/shader_source.h"
#include "base/memory.h"
#include "base/status.h"

#ifdef TUFF_HAVE_SHADERC

#include <shaderc/shaderc.h>

void tuff_shader_compiler_name(char *out, size_t size)
{
    unsigned version, revision;
    shaderc_get_spv_version(&version, &revision);
    snprintf(out, size, "run-time shaderc, SPIR-V %x.%x, beside %s", version, revision, tuff_spirv_compiler);
}

/* An included file as shaderc wants it. */
typedef struct inclusion {
    shaderc_include_result result;
    tuff_buf text;
} inclusion;

static shaderc_include_result *include(void *user, const char *requested, int type, const char *requesting,
                                       size_t depth)
{
    (void)type;
    (void)requesting;
    (void)depth;
    static shaderc_include_result no_memory = {
        .source_name = "", .content = "out of memory", .content_length = 13};
    inclusion *x = tuff_alloc(sizeof *x);
    if (!x) return &no_memory;
    tuff_status status = tuff_shader_read(user, requested, &x->text);
    if (status == TUFF_OK && !x->text.failed) {
        x->result.source_name = requested;
        x->result.source_name_length = strlen(requested);
    } else { /* an empty name says that the content is the error's text */
        x->result.source_name = "";
        tuff_buf_clear(&x->text);
        tuff_buf_text(&x->text, tuff_error_message());
    }
    x->result.content = x->text.data ? x->text.data : "";
    x->result.content_length = x->text.size;
    x->result.user_data = x;
    return &x->result;
}

static void release(void *user, shaderc_include_result *result)
{
    (void)user;
    inclusion *x = result->user_data;
    if (!x) return;
    tuff_buf_free(&x->text);
    tuff_free(x);
}

/* "-DNAME=VALUE -DNAME" */
static void add_defines(shaderc_compile_options_t options, const char *defines)
{
    for (const char *at = strstr(defines, "-D"); at; at = strstr(at, "-D")) {
        at += 2;
        size_t length = strcspn(at, " "), name = strcspn(at, "= ");
        const char *value = name < length ? at + name + 1 : "";
        shaderc_compile_options_add_macro_definition(options, at, name, value,
                                                     name < length ? length - name - 1 : 0);
        at += length;
    }
}

tuff_status tuff_shader_compile(const char *directory, const char *file, const char *defines, tuff_buf *out)
{
    tuff_status status = TUFF_OK;
    tuff_buf source = {0}, name = {0};
    shaderc_compilation_result_t result = NULL;
    shaderc_compiler_t compiler = shaderc_compiler_initialize();
    shaderc_compile_options_t options = shaderc_compile_options_initialize();
    tuff_buf_printf(&name, "shaders/%s", file);
    if (!compiler || !options || name.failed) TUFF_GO(tuff_fail_memory("the shader compiler"));
    TUFF_GO(tuff_shader_read(directory, name.data, &source));
    shaderc_compile_options_set_target_env(options, shaderc_target_env_vulkan,
                                           shaderc_env_version_vulkan_1_2);
    shaderc_compile_options_set_optimization_level(options, shaderc_optimization_level_performance);
    shaderc_compile_options_set_include_callbacks(options, include, release, (void *)(uintptr_t)directory);
    add_defines(options, defines);
    result = shaderc_compile_into_spv(compiler, source.data ? source.data : "", source.size,
                                      shaderc_compute_shader, name.data, "main", options);
    if (!result) TUFF_GO(tuff_fail_memory("the shader compiler"));
    if (shaderc_result_get_compilation_status(result) != shaderc_compilation_status_success)
        TUFF_GO(tuff_fail(TUFF_BAD_FORMAT, "%s/%s does not compile: %s", directory, file,
                          shaderc_result_get_error_message(result)));
    tuff_buf_bytes(out, shaderc_result_get_bytes(result), shaderc_result_get_length(result));
    if (out->failed) TUFF_GO(tuff_fail_memory("a compiled shader"));
done:
    if (result) shaderc_result_release(result);
    if (options) shaderc_compile_options_release(options);
    if (compiler) shaderc_compiler_release(compiler);
    tuff_buf_free(&source);
    tuff_buf_free(&name);
    return status;
}

#else

void tuff_shader_compiler_name(char *out, size_t size)
{
    snprintf(out, size, "none");
}

tuff_status tuff_shader_compile(const char *directory, const char *file, const char *defines, tuff_buf *out)
{
    (void)defines;
    (void)out;
    return tuff_fail(
        TUFF_UNSUPPORTED,
        "%s/%s differs from the shader built into Tuff, and this build cannot compile shaders; unset "
        "TUFF_SHADER_DIR, or build with TUFF_SHADERC=ON",
        directory, file);
}

#endif
