/* Reflection of SPIR-V, the content keys of shaders, and the pack against its sources. */
#define _POSIX_C_SOURCE 200809L
#include "kit/kit.h"

#ifdef TUFF_HAVE_VULKAN

#include <stdio.h>

#include "backend/vulkan/shader_source.h"
#include "base/file.h"
#include "base/rng.h"

/* A module by hand: struct { address y; uint n; float value[3]; } as push constants, workgroup of constants 0
 * and 2. */
#define OP(op, n) ((uint32_t)(n) << 16 | (op))
static const uint32_t by_hand[] = {
    0x07230203, 0x00010500, 0,    40, 0,      /* */
    OP(17, 2),  1,                            /* Capability Shader */
    OP(17, 2),  5347,                         /* PhysicalStorageBufferAddresses */
    OP(17, 2),  63,                           /* GroupNonUniformArithmetic */
    OP(16, 6),  4,          17,   1,  1,  1,  /* ExecutionMode LocalSize */
    OP(71, 4),  20,         1,    0,          /* Decorate SpecId 0 */
    OP(71, 4),  21,         1,    2,          /* Decorate SpecId 2 */
    OP(71, 4),  23,         11,   25,         /* Decorate BuiltIn WorkgroupSize */
    OP(71, 4),  8,          6,    4,          /* ArrayStride 4 */
    OP(72, 5),  10,         0,    35, 0,      /* offsets of the arguments */
    OP(72, 5),  10,         1,    35, 8,      /* */
    OP(72, 5),  10,         2,    35, 12,     /* */
    OP(72, 5),  11,         0,    35, 0,      /* */
    OP(21, 4),  2,          32,   0,          /* uint */
    OP(22, 3),  3,          32,               /* float */
    OP(43, 4),  2,          7,    3,          /* 3 */
    OP(28, 4),  8,          3,    7,          /* float[3] */
    OP(30, 3),  5,          3,                /* struct { float } */
    OP(32, 4),  6,          5349, 5,          /* its address */
    OP(30, 5),  10,         6,    2,  8,      /* the arguments */
    OP(30, 3),  11,         10,               /* the block */
    OP(32, 4),  12,         9,    11,         /* push constant pointer */
    OP(59, 4),  12,         13,   9,          /* variable */
    OP(50, 4),  2,          20,   16,         /* spec constant 16 */
    OP(50, 4),  2,          21,   2,          /* spec constant 2 */
    OP(43, 4),  2,          22,   1,          /* 1 */
    OP(51, 6),  2,          23,   20, 21, 22, /* composite */
};
enum { BY_HAND = sizeof by_hand / sizeof *by_hand };

static void reads_what_a_module_declares(void **state)
{
    (void)state;
    tuff_spirv_info info;
    KIT_OK(tuff_spirv_reflect(by_hand, BY_HAND, &info));
    assert_int_equal(info.n_capabilities, 3);
    assert_true(info.has_args);
    assert_int_equal(info.args_bytes, 24);
    assert_int_equal(info.n_members, 5);
    const tuff_spirv_member want[] = {
        {0, 8, true}, {8, 4, false}, {12, 4, false}, {16, 4, false}, {20, 4, false}};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(info.members[i].offset, want[i].offset);
        assert_int_equal(info.members[i].bytes, want[i].bytes);
        assert_int_equal(info.members[i].address, want[i].address);
    }
    assert_int_equal(info.spec_ids, 5);
    assert_int_equal(info.local_size_spec[0], 0);
    assert_int_equal(info.local_size_spec[1], 2);
    assert_int_equal(info.local_size_spec[2], TUFF_SPIRV_NO_SPEC);
    assert_int_equal(info.local_size[0], 16);
    assert_int_equal(info.local_size[1], 2);
    assert_int_equal(info.local_size[2], 1);
}

static void holds_dispatches_to_it(void **state)
{
    (void)state;
    tuff_spirv_info info;
    KIT_OK(tuff_spirv_reflect(by_hand, BY_HAND, &info));
    const tuff_caps caps = {
        .features = TUFF_CAP_SUBGROUP_ARITHMETIC, .max_workgroup = 128, .max_groups = {1000, 1000, 1000}};
    tuff_reloc reloc = {.at = 0};
    tuff_dispatch good = {.groups = {1000, 1, 1},
                          .spec = {16, 5, 8},
                          .n_spec = 3,
                          .args_size = 24,
                          .relocs = &reloc,
                          .n_relocs = 1};
    assert_null(tuff_spirv_check(&info, &good, &caps));
    assert_int_equal(tuff_spirv_local_size(&info, &good, 1), 8);
    tuff_dispatch d = good;
    d.n_spec = 2;
    assert_non_null(strstr(tuff_spirv_check(&info, &d, &caps), "more specialization constants"));
    d = good;
    d.spec[2] = 9;
    assert_non_null(strstr(tuff_spirv_check(&info, &d, &caps), "too many invocations"));
    d.spec[2] = 0;
    assert_non_null(strstr(tuff_spirv_check(&info, &d, &caps), "empty"));
    d = good;
    d.args_size = 20;
    assert_non_null(strstr(tuff_spirv_check(&info, &d, &caps), "size differs"));
    info.args_bytes = d.args_size = TUFF_MAX_ARGS + 8;
    assert_non_null(strstr(tuff_spirv_check(&info, &d, &caps), "do not fit"));
    info.args_bytes = 24;
    d = good;
    d.groups[2] = 1001;
    assert_non_null(strstr(tuff_spirv_check(&info, &d, &caps), "grid"));
    reloc.at = 8;
    assert_non_null(strstr(tuff_spirv_check(&info, &good, &caps), "address"));
    const tuff_caps plain = {.max_workgroup = 128, .max_groups = {1000, 1000, 1000}};
    assert_non_null(strstr(tuff_spirv_check(&info, &good, &plain), "capability"));
    info.capabilities[2] = 4444;
    assert_non_null(strstr(tuff_spirv_check(&info, &good, &caps), "never enables"));
}

/* shared float x[a * 2 + 1], y[3]; with a constant a of id 0 whose default is 16. */
static void adds_up_shared_memory(void **state)
{
    (void)state;
    const uint32_t module[] = {
        0x07230203, 0x00010500, 0,  40,  0,      /* */
        OP(71, 4),  20,         1,  0,           /* Decorate SpecId 0 */
        OP(21, 4),  2,          32, 0,           /* uint */
        OP(22, 3),  3,          32,              /* float */
        OP(50, 4),  2,          20, 16,          /* spec constant 16 */
        OP(43, 4),  2,          21, 2,           /* 2 */
        OP(43, 4),  2,          22, 3,           /* 3 */
        OP(43, 4),  2,          23, 1,           /* 1 */
        OP(52, 6),  2,          24, 132, 20, 21, /* a * 2 */
        OP(52, 6),  2,          25, 128, 24, 23, /* + 1 */
        OP(28, 4),  8,          3,  25,          /* float[] */
        OP(28, 4),  9,          3,  22,          /* float[3] */
        OP(32, 4),  10,         4,  8,           /* */
        OP(32, 4),  11,         4,  9,           /* */
        OP(32, 4),  12,         5,  9,           /* a pointer to something else */
        OP(59, 4),  10,         13, 4,           /* */
        OP(59, 4),  11,         14, 4,           /* */
        OP(59, 4),  12,         15, 5,           /* */
    };
    enum { N = sizeof module / sizeof *module };
    uint64_t bytes;
    tuff_dispatch d = {.n_spec = 0};
    KIT_OK(tuff_spirv_shared_bytes(module, N, &d, &bytes));
    assert_int_equal(bytes, 4 * (33 + 3));
    d = (tuff_dispatch){.n_spec = 1, .spec = {100}};
    KIT_OK(tuff_spirv_shared_bytes(module, N, &d, &bytes));
    assert_int_equal(bytes, 4 * (201 + 3));
    uint32_t odd[N];
    memcpy(odd, module, sizeof odd);
    for (size_t i = 0; i < N; i++)
        if (odd[i] == OP(52, 6) && odd[i + 3] == 132) odd[i + 3] = 169; /* select */
    KIT_FAILS(tuff_spirv_shared_bytes(odd, N, &d, &bytes), TUFF_BAD_FORMAT, "cannot be computed");
}

/* Cut short and damaged modules are refused or read, never run past. */
static void survives_damage(void **state)
{
    (void)state;
    tuff_spirv_info info;
    for (size_t n = 0; n < BY_HAND; n++) {
        uint32_t *copy = test_malloc(n * 4 + 4);
        memcpy(copy, by_hand, n * 4);
        tuff_status status = tuff_spirv_reflect(copy, n, &info);
        assert_true(status == TUFF_OK || status == TUFF_BAD_FORMAT);
        if (n < 5) assert_int_equal(status, TUFF_BAD_FORMAT);
        test_free(copy);
    }
    unsigned refused = 0;
    for (uint32_t round = 0; round < 20000; round++) {
        uint32_t copy[BY_HAND];
        memcpy(copy, by_hand, sizeof copy);
        tuff_philox r = tuff_philox4x32(3, round, 0, 0);
        for (uint32_t i = 0; i < 1 + r.v[0] % 3; i++) {
            tuff_philox x = tuff_philox4x32(4, round, i, 0);
            copy[x.v[0] % BY_HAND] = x.v[1] % 2 ? x.v[2] : x.v[2] % 48;
        }
        if (tuff_spirv_reflect(copy, BY_HAND, &info) != TUFF_OK) refused++;
    }
    assert_true(refused > 1000 && refused < 20000);
}

static const char *shader_directory(void)
{
    const char *source = getenv("TUFF_TEST_SOURCE");
    if (!source) skip();
    static char path[4096];
    snprintf(path, sizeof path, "%s/shaders", source);
    return path;
}

/* Every module of the pack reflects, needs only capabilities that Tuff knows, and has the key of its source:
 * the build's key and the library's are computed by different programs. */
static void the_pack_fits_its_sources(void **state)
{
    (void)state;
    const char *directory = shader_directory();
    for (int i = 0; i < TUFF_SHADER_COUNT; i++) {
        const tuff_spirv_entry *entry = &tuff_spirv_pack[i];
        tuff_vk_module module;
        char key[65];
        uint32_t needs, unknown;
        KIT_OK(tuff_shader_load((tuff_shader)i, NULL, NULL, &module));
        assert_true(module.info.has_args);
        if (!tuff_spirv_needs(&module.info, &needs, &unknown))
            fail_msg("%s declares capability %u", entry->name, unknown);
        KIT_OK(tuff_shader_key(directory, entry->file, entry->defines, tuff_spirv_compiler, key));
        assert_string_equal(key, entry->key);
        tuff_shader_unload(&module);
    }
}

/* A copy of the sources, to be changed. */
static const char *development_directory(const char *name)
{
    const char *directory = kit_temp_path(name);
    kit_result result;
    kit_run((const char *const[]){"cp", "-r", shader_directory(), directory, NULL}, &result);
    assert_int_equal(result.exit_code, 0);
    kit_result_free(&result);
    return directory;
}

static void append(const char *directory, const char *name, const char *text)
{
    tuff_buf all = {0};
    char path[512];
    snprintf(path, sizeof path, "shaders/%s", name);
    KIT_OK(tuff_shader_read(directory, path, &all));
    tuff_buf_text(&all, text);
    snprintf(path, sizeof path, "%s/%s", directory, name);
    kit_write_file(path, all.data, all.size);
    tuff_buf_free(&all);
}

static void keys_follow_every_file(void **state)
{
    (void)state;
    const char *directory = development_directory("keys");
    const tuff_spirv_entry *entry = &tuff_spirv_pack[TUFF_SHADER_fill];
    char key[65], other[65];
    KIT_OK(tuff_shader_key(directory, "fill.comp", "", tuff_spirv_compiler, key));
    assert_string_equal(key, entry->key);
    KIT_OK(tuff_shader_key(directory, "fill.comp", "-DX=1", tuff_spirv_compiler, other));
    assert_string_not_equal(key, other);
    KIT_OK(tuff_shader_key(directory, "fill.comp", "", "another compiler", other));
    assert_string_not_equal(key, other);
    append(directory, "lib/flat.glsl", "\n"); /* included by what is included */
    KIT_OK(tuff_shader_key(directory, "fill.comp", "", tuff_spirv_compiler, other));
    assert_string_not_equal(key, other);
    append(directory, "fill.comp", "#include \"shaders/lib/absent.glsl\"\n");
    KIT_FAILS(tuff_shader_key(directory, "fill.comp", "", tuff_spirv_compiler, other), TUFF_NOT_FOUND,
              "absent.glsl");
    append(directory, "args/fill.h", "#include \"/etc/passwd\"\n");
    KIT_FAILS(tuff_shader_key(directory, "fill.comp", "", tuff_spirv_compiler, other), TUFF_NOT_FOUND,
              "shaders/...");
}

#ifdef TUFF_HAVE_SHADERC
static void damage_files(const char *directory)
{
    char command[1024];
    kit_result result;
    snprintf(command, sizeof command,
             "for f in '%s'/*; do printf x | dd of=$f bs=1 seek=100 conv=notrunc; done", directory);
    kit_run((const char *const[]){"sh", "-c", command, NULL}, &result);
    assert_int_equal(result.exit_code, 0);
    kit_result_free(&result);
}
#endif

/* TUFF_SHADER_DIR: unchanged sources are served by the pack, changed ones by the compiler, then by the cache.
 */
static void serves_changed_sources(void **state)
{
    (void)state;
    const tuff_spirv_entry *entry = &tuff_spirv_pack[TUFF_SHADER_fill];
    const char *directory = development_directory("development");
    setenv("TUFF_CACHE_DIR", kit_temp_path("cache"), 1);
    tuff_vk_module module;
    KIT_OK(tuff_shader_load(TUFF_SHADER_fill, directory, NULL, &module));
    assert_ptr_equal(module.words, entry->words);
    tuff_shader_unload(&module);
    append(directory, "fill.comp", "// changed\n");
#ifdef TUFF_HAVE_SHADERC
    KIT_OK(tuff_shader_load(TUFF_SHADER_fill, directory, NULL, &module));
    assert_ptr_not_equal(module.words, entry->words);
    assert_int_equal(module.info.args_bytes, 16);
    tuff_shader_unload(&module);
    char cache[512];
    snprintf(cache, sizeof cache, "%s/spirv", kit_temp_path("cache"));
    assert_int_equal(kit_count_entries(cache), 1);
    KIT_OK(tuff_shader_load(TUFF_SHADER_fill, directory, NULL, &module));
    tuff_shader_unload(&module);
    assert_int_equal(kit_count_entries(cache), 1);
    damage_files(cache); /* not believed, but compiled again */
    KIT_OK(tuff_shader_load(TUFF_SHADER_fill, directory, NULL, &module));
    assert_int_equal(module.info.args_bytes, 16);
    tuff_shader_unload(&module);
    append(directory, "fill.comp", "syntax error\n");
    KIT_FAILS(tuff_shader_load(TUFF_SHADER_fill, directory, NULL, &module), TUFF_BAD_FORMAT,
              "fill.comp does not compile");
    assert_null(module.words);
#else
    KIT_FAILS(tuff_shader_load(TUFF_SHADER_fill, directory, NULL, &module), TUFF_UNSUPPORTED,
              "cannot compile shaders");
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_a_module_declares), cmocka_unit_test(holds_dispatches_to_it),
        cmocka_unit_test(adds_up_shared_memory),        cmocka_unit_test(survives_damage),
        cmocka_unit_test(the_pack_fits_its_sources),    cmocka_unit_test(keys_follow_every_file),
        cmocka_unit_test(serves_changed_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    return 77;
}

#endif
