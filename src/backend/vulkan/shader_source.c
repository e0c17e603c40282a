/* Where a module comes from: the pack; if the sources in TUFF_SHADER_DIR differ, the cache folder; then the
 * compiler. */
#include "backend/vulkan/shader_source.h"

#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"

enum { MODULE_LIMIT = 16 << 20, HEX = 64 };

static bool cache_path(const char *key, tuff_buf *out)
{
    if (!tuff_cache_directory(out)) return false;
    tuff_buf_printf(out, "/spirv/%s.spv", key);
    return !out->failed;
}

/* A cached module is the hash of its words, then the words; anything else is ignored. */
static bool cache_load(const char *key, tuff_buf *out)
{
    tuff_buf path = {0}, file = {0};
    bool found = cache_path(key, &path) && tuff_is_file(path.data) &&
                 tuff_read_file(path.data, MODULE_LIMIT, &file) == TUFF_OK && file.size > HEX &&
                 (file.size - HEX) % 4 == 0;
    if (found) {
        char hex[65];
        tuff_sha256_hex_of(file.data + HEX, file.size - HEX, hex);
        found = memcmp(hex, file.data, HEX) == 0;
    }
    if (found) tuff_buf_bytes(out, file.data + HEX, file.size - HEX);
    tuff_buf_free(&path);
    tuff_buf_free(&file);
    return found && !out->failed;
}

/* A cache that cannot be written costs time only. */
static void cache_store(const char *key, const tuff_buf *words, const tuff_log_receiver *log)
{
    tuff_buf path = {0}, file = {0};
    char hex[65];
    tuff_sha256_hex_of(words->data, words->size, hex);
    tuff_buf_bytes(&file, hex, HEX);
    tuff_buf_bytes(&file, words->data, words->size);
    bool stored = !file.failed && cache_path(key, &path) &&
                  tuff_write_cache_file(path.data, file.data, file.size) == TUFF_OK;
    if (!stored)
        tuff_log_to(log, TUFF_LOG_DEBUG, "a compiled shader was not cached: %s", tuff_error_message());
    tuff_buf_free(&path);
    tuff_buf_free(&file);
}

static tuff_status compile(const tuff_spirv_entry *entry, const char *directory, const tuff_log_receiver *log,
                           tuff_buf *out)
{
    char key[65], compiler[256];
    tuff_shader_compiler_name(compiler, sizeof compiler);
    TUFF_TRY(tuff_shader_key(directory, entry->file, entry->defines, compiler, key));
    if (cache_load(key, out)) return TUFF_OK;
    TUFF_TRY(tuff_shader_compile(directory, entry->file, entry->defines, out));
    cache_store(key, out, log);
    return TUFF_OK;
}

tuff_status tuff_shader_load(tuff_shader shader, const char *directory, const tuff_log_receiver *log,
                             tuff_vk_module *out)
{
    memset(out, 0, sizeof *out);
    const tuff_spirv_entry *entry = &tuff_spirv_pack[shader];
    out->words = entry->words;
    out->n_words = entry->n_words;
    tuff_status status = TUFF_OK;
    if (directory) {
        char key[65];
        TUFF_GO(tuff_shader_key(directory, entry->file, entry->defines, tuff_spirv_compiler, key));
        if (strcmp(key, entry->key) != 0) {
            TUFF_GO(compile(entry, directory, log, &out->owned));
            out->words = (const uint32_t *)(const void *)out->owned.data;
            out->n_words = out->owned.size / 4;
        }
    }
    TUFF_GO(tuff_spirv_reflect(out->words, out->n_words, &out->info));
done:
    if (status != TUFF_OK) {
        tuff_shader_unload(out);
        return tuff_note(status, "shader %s", entry->name);
    }
    return TUFF_OK;
}

tuff_status tuff_shader_key_of(tuff_shader shader, const char *directory, char out_key[65])
{
    const tuff_spirv_entry *entry = &tuff_spirv_pack[shader];
    if (directory)
        return tuff_shader_key(directory, entry->file, entry->defines, tuff_spirv_compiler, out_key);
    memcpy(out_key, entry->key, 65);
    return TUFF_OK;
}

void tuff_shader_unload(tuff_vk_module *module)
{
    tuff_buf_free(&module->owned);
    memset(module, 0, sizeof *module);
}
