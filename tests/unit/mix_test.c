/* Which tensor of a file gets which type. Where a model is one that people have, the counts are those that
 * llama.cpp prints when it loads its files. */
#include "models/mix.h"

#include <stdio.h>

#include "kit/kit.h"

enum { MOST = 800, NAME = 48 };

/* A model's tensors as a GGUF has them. */
typedef struct file {
    char names[MOST][NAME];
    tuff_save_item items[MOST];
    size_t count;
} file;

static void add(file *f, int layer, const char *name, int64_t experts, int64_t rows, int64_t columns)
{
    assert_true(f->count < MOST);
    tuff_save_item *item = &f->items[f->count];
    char *text = f->names[f->count++];
    if (layer < 0)
        snprintf(text, NAME, "%s", name);
    else
        snprintf(text, NAME, "blk.%d.%s", layer, name);
    *item = (tuff_save_item){.name = text, .rank = experts ? 3 : rows ? 2 : 1, .shape = {1, 1, 1, 1}};
    int64_t *shape = item->shape;
    if (experts) *shape++ = experts;
    if (rows) *shape++ = rows;
    *shape = columns;
}

typedef struct model {
    const char *arch;
    int layers;
    int64_t heads, kv_heads, width, ffn, experts;
    bool tied, fused;
} model;

static file file_of(const model *m)
{
    file f = {.count = 0};
    const int64_t kv = m->width / m->heads * m->kv_heads;
    add(&f, -1, "token_embd.weight", 0, 32000, m->width);
    for (int i = 0; i < m->layers; i++) {
        add(&f, i, "attn_norm.weight", 0, 0, m->width);
        if (m->fused) {
            add(&f, i, "attn_qkv.weight", 0, m->width + 2 * kv, m->width);
        } else {
            add(&f, i, "attn_q.weight", 0, m->width, m->width);
            add(&f, i, "attn_k.weight", 0, kv, m->width);
            add(&f, i, "attn_v.weight", 0, kv, m->width);
        }
        add(&f, i, "attn_output.weight", 0, m->width, m->width);
        add(&f, i, "ffn_norm.weight", 0, 0, m->width);
        if (m->experts) add(&f, i, "ffn_gate_inp.weight", 0, m->experts, m->width);
        add(&f, i, m->experts ? "ffn_gate_exps.weight" : "ffn_gate.weight", m->experts, m->ffn, m->width);
        add(&f, i, m->experts ? "ffn_up_exps.weight" : "ffn_up.weight", m->experts, m->ffn, m->width);
        add(&f, i, m->experts ? "ffn_down_exps.weight" : "ffn_down.weight", m->experts, m->width, m->ffn);
    }
    add(&f, -1, "output_norm.weight", 0, 0, m->width);
    if (!m->tied) add(&f, -1, "output.weight", 0, 32000, m->width);
    return f;
}

static void apply(const model *m, const char *mix, bool weighed, file *f)
{
    const tuff_arch arch = {.gguf = m->arch};
    const tuff_config config = {
        .arch = &arch, .layers = m->layers, .heads = m->heads, .kv_heads = m->kv_heads};
    *f = file_of(m);
    for (size_t i = 0; i < f->count; i++)
        f->items[i].name = f->names[i];
    assert_true(tuff_mix_of(mix) < TUFF_MIX_COUNT);
    tuff_mix_apply(tuff_mix_of(mix), &config, weighed, f->items, f->count);
}

/* "Q4_K 193, Q6_K 33, F32 65" */
static void expect(const model *m, const char *mix, bool weighed, const char *want)
{
    static file f;
    char found[256] = "";
    apply(m, mix, weighed, &f);
    for (tuff_storage type = TUFF_STORE_COUNT; type-- > 0;) {
        unsigned n = 0;
        for (size_t i = 0; i < f.count; i++)
            n += f.items[i].storage == type;
        if (n)
            snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s %u", *found ? ", " : "",
                     tuff_storage_get(type)->name, n);
    }
    if (strcmp(found, want) != 0) fail_msg("%s of %s: %s, expected %s", mix, m->arch, found, want);
}

static void expect_type(const model *m, const char *mix, const char *tensor, tuff_storage want)
{
    static file f;
    apply(m, mix, false, &f);
    for (size_t i = 0; i < f.count; i++)
        if (strcmp(f.items[i].name, tensor) == 0) {
            assert_string_equal(tuff_storage_get(f.items[i].storage)->name, tuff_storage_get(want)->name);
            return;
        }
    fail_msg("there is no %s", tensor);
}

static const model llama7 = {"llama", 32, 32, 32, 4096, 11008, 0, false, false};

static void test_llama_7b(void **state)
{
    (void)state;
    expect(&llama7, "f32", false, "F32 291");
    expect(&llama7, "f16", false, "F32 65, F16 226");
    expect(&llama7, "q8_0", false, "Q8_0 226, F32 65");
    expect(&llama7, "q6_k", false, "Q6_K 226, F32 65");
    expect(&llama7, "q5_k_m", false, "Q6_K 33, Q5_K 193, F32 65");
    expect(&llama7, "q5_k_s", false, "Q6_K 1, Q5_K 225, F32 65");
    expect(&llama7, "q4_k_m", false, "Q6_K 33, Q4_K 193, F32 65");
    expect(&llama7, "q4_k_s", false, "Q6_K 1, Q5_K 8, Q4_K 217, F32 65");
    expect(&llama7, "q3_k_l", false, "Q6_K 1, Q5_K 96, Q3_K 129, F32 65");
    expect(&llama7, "q3_k_m", false, "Q6_K 1, Q5_K 4, Q4_K 92, Q3_K 129, F32 65");
    expect(&llama7, "q3_k_s", false, "Q6_K 1, Q3_K 225, F32 65");
    expect(&llama7, "q2_k", false, "Q6_K 1, Q3_K 96, Q2_K 129, F32 65");
    expect(&llama7, "q5_1", false, "Q6_K 1, Q5_1 225, F32 65");
    expect(&llama7, "q5_0", false, "Q6_K 1, Q5_0 225, F32 65");
    expect(&llama7, "q4_1", false, "Q6_K 1, Q4_1 225, F32 65");
    expect(&llama7, "q4_0", false, "Q6_K 1, Q4_0 225, F32 65");
    expect(&llama7, "iq4_nl", false, "IQ4_NL 221, Q6_K 1, Q5_K 4, F32 65");
    expect(&llama7, "mxfp4", false, "Q8_0 226, F32 65");
}

/* With importances some types are other ones. */
static void test_weighed(void **state)
{
    (void)state;
    expect(&llama7, "q4_0", true, "Q6_K 1, Q4_1 4, Q4_0 221, F32 65");
    expect(&llama7, "q5_0", true, "Q6_K 1, Q5_1 4, Q5_0 221, F32 65");
    expect(&llama7, "iq4_nl", true, "IQ4_NL 225, Q6_K 1, F32 65");
    expect(&llama7, "q4_k_m", true, "Q6_K 33, Q4_K 193, F32 65");
}

static void test_places(void **state)
{
    (void)state;
    const struct {
        int layer;
        tuff_storage type;
    } downs[] = {{0, TUFF_STORE_Q6_K},  {3, TUFF_STORE_Q6_K},  {4, TUFF_STORE_Q4_K}, {5, TUFF_STORE_Q4_K},
                 {6, TUFF_STORE_Q6_K},  {7, TUFF_STORE_Q4_K},  {9, TUFF_STORE_Q6_K}, {10, TUFF_STORE_Q4_K},
                 {27, TUFF_STORE_Q6_K}, {28, TUFF_STORE_Q6_K}, {31, TUFF_STORE_Q6_K}};
    for (size_t i = 0; i < sizeof downs / sizeof *downs; i++) {
        char name[NAME];
        snprintf(name, sizeof name, "blk.%d.ffn_down.weight", downs[i].layer);
        expect_type(&llama7, "q4_k_m", name, downs[i].type);
        snprintf(name, sizeof name, "blk.%d.attn_v.weight", downs[i].layer);
        expect_type(&llama7, "q4_k_m", name, downs[i].type);
    }
    expect_type(&llama7, "q4_k_m", "token_embd.weight", TUFF_STORE_Q4_K);
    expect_type(&llama7, "q4_k_m", "output.weight", TUFF_STORE_Q6_K);
    expect_type(&llama7, "q4_k_s", "blk.10.attn_v.weight", TUFF_STORE_Q4_K); /* after 9, not after 1 */
    expect_type(&llama7, "q4_k_s", "blk.3.attn_v.weight", TUFF_STORE_Q5_K);
}

/* Shared keys and values, the table as output, one matrix of queries, keys and values, experts, many layers.
 */
static void test_families(void **state)
{
    (void)state;
    const model shared = {"llama", 32, 32, 8, 4096, 14336, 0, false, false},
                tied = {"qwen2", 24, 14, 2, 896, 4864, 0, true, false},
                fused = {"phi3", 32, 32, 32, 3072, 8192, 0, false, true},
                mixtral = {"llama", 32, 32, 8, 4096, 14336, 8, false, false},
                large = {"llama", 80, 64, 8, 8192, 28672, 0, false, false},
                falcon = {"falcon", 32, 32, 32, 4096, 16384, 0, false, true};
    expect(&shared, "q2_k", false, "Q6_K 1, Q4_K 32, Q3_K 64, Q2_K 129, F32 65");
    expect(&shared, "iq4_nl", false, "IQ4_NL 189, Q6_K 1, Q5_K 36, F32 65");
    /* rows of 896 are no multiple of 256 */
    expect(&tied, "q4_k_m", false, "Q6_K 12, Q4_K 12, Q8_0 13, Q5_0 132, F32 49");
    expect_type(&tied, "q4_k_m", "token_embd.weight", TUFF_STORE_Q8_0);
    expect_type(&tied, "q4_0", "token_embd.weight", TUFF_STORE_Q8_0);
    expect_type(&tied, "q2_k", "blk.0.attn_q.weight", TUFF_STORE_Q4_0);
    expect_type(&tied, "q5_k_s", "blk.0.attn_q.weight", TUFF_STORE_Q5_1);
    expect(&fused, "q4_k_m", false, "Q6_K 33, Q4_K 129, F32 65");
    expect(&mixtral, "q4_k_m", false, "Q6_K 17, Q5_K 32, Q4_K 113, Q8_0 64, F32 97");
    expect(&mixtral, "mxfp4", false, "MXFP4 96, Q8_0 130, F32 97");
    expect(&large, "q4_k_m", false, "Q6_K 81, Q5_K 40, Q4_K 441, F32 161");
    expect(&large, "q3_k_s", false, "Q6_K 1, Q5_K 80, Q3_K 481, F32 161");
    expect_type(&falcon, "q4_k_m", "output.weight", TUFF_STORE_Q8_0);
    expect_type(&falcon, "q4_k_m", "blk.1.ffn_down.weight", TUFF_STORE_Q6_K);
    expect_type(&falcon, "q4_k_m", "blk.3.ffn_down.weight", TUFF_STORE_Q5_K);
    expect_type(&falcon, "q4_k_m", "blk.4.ffn_down.weight", TUFF_STORE_Q4_K);
    expect_type(&falcon, "q2_k", "blk.0.attn_output.weight", TUFF_STORE_Q2_K);
}

/* What is too small, of another kind or of no width that fits. */
static void test_whole_tensors(void **state)
{
    (void)state;
    const model odd = {"bert", 2, 2, 2, 48, 96, 0, true, false};
    const tuff_arch arch = {.gguf = "bert"};
    const tuff_config config = {.arch = &arch, .layers = 2, .heads = 2, .kv_heads = 2};
    tuff_save_item items[] = {{"position_embd.weight", 0, 2, {512, 256}},
                              {"token_types.weight", 0, 2, {2, 256}},
                              {"blk.0.attn_q_norm.weight", 0, 2, {4, 64}},
                              {"blk.0.attn_q.bias", 0, 1, {256}},
                              {"blk.0.attn_q.weight", 0, 2, {256, 256}}};
    const int count = sizeof items / sizeof *items;
    tuff_mix_apply(TUFF_MIX_Q4_K_M, &config, false, items, (size_t)count);
    for (int i = 0; i < count; i++)
        assert_int_equal(items[i].storage, i + 1 < count ? TUFF_STORE_F32 : TUFF_STORE_Q4_K);
    expect_type(&odd, "q8_0", "blk.0.attn_q.weight", TUFF_STORE_F16);
    expect_type(&odd, "q4_k_m", "blk.0.attn_q.weight", TUFF_STORE_F16);
    expect_type(&odd, "q4_k_m", "blk.0.ffn_down.weight", TUFF_STORE_Q5_0);
    expect_type(&odd, "q4_k_m", "blk.1.ffn_down.weight", TUFF_STORE_Q8_0);
    assert_int_equal(tuff_mix_of("q4_k"), TUFF_MIX_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama_7b), cmocka_unit_test(test_weighed),       cmocka_unit_test(test_places),
        cmocka_unit_test(test_families), cmocka_unit_test(test_whole_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
