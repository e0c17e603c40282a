#include "kit/files.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

void kit_read_file(const char *path, tuff_buf *out)
{
    *out = (tuff_buf){0};
    KIT_OK(tuff_read_file(path, SIZE_MAX, out));
    tuff_buf_text(out, "");
}

const char *kit_join(const char *directory, const char *name)
{
    static char paths[256][512];
    static unsigned turn;
    char *path = paths[turn++ % 256];
    size_t size = strlen(directory), rest = strlen(name) + 1;
    assert_true(size + 1 + rest <= sizeof paths[0]);
    memmove(path, directory, size);
    path[size] = '/';
    memcpy(path + size + 1, name, rest);
    return path;
}

const void *kit_stored(const tuff_weight *weight)
{
    static void *kept[4];
    static unsigned turn;
    void **at = &kept[turn++ % 4];
    free(*at); /* not counted as the library's memory */
    *at = malloc(weight->bytes + 1);
    assert_non_null(*at);
    KIT_OK(tuff_weight_stored(weight, *at));
    return *at;
}

const char *kit_path(const char *name)
{
    return kit_join(kit_temp_directory(), name);
}

const char *kit_golden(const char *name)
{
    return kit_join(kit_asset("golden"), name);
}

void kit_copy_file(const char *from, const char *to)
{
    tuff_buf bytes;
    kit_read_file(from, &bytes);
    kit_write_file(to, bytes.data, bytes.size);
    tuff_buf_free(&bytes);
}

const char *kit_copy_model(const char *golden, const char *as)
{
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json",
                                        "tokenizer_config.json"};
    const char *to = kit_path(as);
    KIT_OK(tuff_make_directories(to));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (tuff_is_file(kit_join(golden, files[i])))
            kit_copy_file(kit_join(golden, files[i]), kit_join(to, files[i]));
    return to;
}

void kit_edit_file(const char *path, const char *old, const char *with)
{
    tuff_buf bytes;
    kit_read_file(path, &bytes);
    size_t at = 0, size = strlen(old), length = bytes.size;
    while (at + size <= length && memcmp(bytes.data + at, old, size) != 0)
        at++;
    if (at + size > length) fail_msg("%s has no \"%s\"", path, old);
    tuff_buf out = {0};
    tuff_buf_bytes(&out, bytes.data, at);
    tuff_buf_text(&out, with);
    tuff_buf_bytes(&out, bytes.data + at + size, length - at - size);
    kit_write_file(path, out.data, out.size);
    tuff_buf_free(&out);
    tuff_buf_free(&bytes);
}

void kit_poke_file(const char *path, long offset, const void *data, size_t size)
{
    tuff_buf bytes;
    kit_read_file(path, &bytes);
    size_t at = offset < 0 ? bytes.size - (size_t)-offset : (size_t)offset;
    assert_true(at + size <= bytes.size);
    memcpy(bytes.data + at, data, size);
    kit_write_file(path, bytes.data, bytes.size);
    tuff_buf_free(&bytes);
}

void kit_cut_file(const char *path, size_t size)
{
    tuff_buf bytes;
    kit_read_file(path, &bytes);
    assert_true(size < bytes.size);
    kit_write_file(path, bytes.data, size);
    tuff_buf_free(&bytes);
}

void kit_write_sentences(const char *path, int sentences)
{
    static const char *const words[] = {"the river", "the bridge",     "a road",   "they said",
                                        "because",   "in the morning", "it isn't", "the stones",
                                        "we take",   "the longest",    "and",      "one"};
    tuff_buf text = {0};
    unsigned state = 1;
    for (int i = 0; i < sentences * 6; i++) {
        state = state * 1103515245u + 12345u;
        tuff_buf_printf(&text, "%s%s", words[(state >> 16) % 12], i % 6 == 5 ? ".\n" : " ");
    }
    kit_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
}
