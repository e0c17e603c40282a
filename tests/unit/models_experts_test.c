/* Models with experts: stacks of a file's tensors as parameters, and what is refused of them. */
#include <math.h>

#include "adapters/adapter.h"
#include "formats/safetensors.h"
#include "model_fixture.h"
#include "models/heads/head.h"
#include "models/model.h"

static const char *const golden[] = {"mixtral",   "mixtral-balanced", "olmoe",   "olmoe-clip",
                                     "qwen3_moe", "qwen3_moe-dense",  "gpt_oss", "gpt_oss-limit"};
enum { GOLDENS = sizeof golden / sizeof *golden };

static void same_tensors(const char *path, const char *other)
{
    tuff_weights *a = NULL, *b = NULL;
    KIT_OK(tuff_safetensors_open(path, &a));
    KIT_OK(tuff_safetensors_open(other, &b));
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const tuff_weight *x = &a->items[i], *y = tuff_weights_find(b, x->name);
        if (!y || !tuff_weight_is_copy(x, y)) fail_msg("%s: %s differs", other, x->name);
    }
    tuff_weights_destroy(&a);
    tuff_weights_destroy(&b);
}

/* Through GGUF, which has one tensor of all experts, and back: the same bytes, in each of the types. */
static void files_have_the_same_bytes(void **state)
{
    (void)state;
    static const tuff_dtype types[] = {TUFF_F32, TUFF_BF16, TUFF_F16};
    for (int g = 0; g < GOLDENS; g++)
        for (int t = 0; t < 3; t++) {
            const char *first = kit_temp_path("first"), *gguf = kit_temp_path("second.gguf"),
                       *back = kit_temp_path("back");
            tuff_model *model = model_open(golden[g]);
            KIT_OK(tuff_model_save(model, TUFF_FORMAT_HF, types[t], first));
            tuff_model_destroy(&model);
            model = model_open(first);
            KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, types[t], gguf));
            tuff_model_destroy(&model);
            model = model_open(gguf);
            assert_int_equal(tuff_model_matrix_dtype(model), types[t]);
            KIT_OK(tuff_model_save(model, TUFF_FORMAT_HF, types[t], back));
            tuff_model_destroy(&model);
            same_tensors(kit_join(first, "model.safetensors"), kit_join(back, "model.safetensors"));
            if (t == 0)
                same_tensors(kit_join(kit_golden(golden[g]), "model.safetensors"),
                             kit_join(back, "model.safetensors"));
        }
}

/* Rows of a stack that are read by pieces, across the ends of its tensors. */
static void rows_come_from_their_tensors(void **state)
{
    (void)state;
    tuff_model *model = model_open("mixtral");
    const tuff_param *p =
        tuff_params_find(&model->params, "model.layers.1.block_sparse_moe.experts.*.w2.weight");
    const int64_t shape[] = {5, 32, 40}, rows = 5 * 32, columns = 40;
    float all[5 * 32 * 40], part[5 * 32 * 40];
    assert_non_null(p);
    assert_int_equal(p->rank, 3);
    assert_memory_equal(p->shape, shape, sizeof shape);
    assert_int_equal(tuff_param_rows(p), rows);
    for (int64_t e = 0; e < 5; e++)
        KIT_OK(tuff_weight_read(tuff_model_weight_at(model, p, e), TUFF_F32, all + e * 32 * columns));
    for (int64_t begin = 0; begin < rows; begin += 7)
        for (int64_t end = begin + 1; end <= rows; end += 29) {
            KIT_OK(tuff_model_read(model, p, NULL, begin, end, part));
            assert_memory_equal(part, all + begin * columns,
                                (size_t)((end - begin) * columns) * sizeof *part);
        }
    tuff_model_destroy(&model);
}

/* What a packed file holds: bytes from a rule; scales near 127, which is 1. */
static uint8_t packed_byte(const char *name, size_t i)
{
    const uint8_t mixed = (uint8_t)((i * 2654435761u) >> 13 ^ strlen(name) * 37);
    return tuff_ends_with(name, "_scales") ? (uint8_t)(120 + mixed % 9) : mixed;
}

typedef struct packed {
    const tuff_weights *from;
    const tuff_save_item *items;
} packed;

static tuff_status give_packed(void *user, size_t index, tuff_sink *sink)
{
    const packed *x = user;
    const tuff_save_item *item = &x->items[index];
    const tuff_weight *w = tuff_weights_find(x->from, item->name);
    if (w) return tuff_sink_write(sink, kit_stored(w), w->bytes);
    const size_t n = (size_t)(item->shape[0] * item->shape[1] * item->shape[2] * item->shape[3]);
    for (size_t i = 0; i < n; i++) {
        const uint8_t byte = packed_byte(item->name, i);
        TUFF_TRY(tuff_sink_write(sink, &byte, 1));
    }
    return TUFF_OK;
}

/* The golden gpt-oss with its experts packed as those of OpenAI are. */
static const char *pack(const char *name, int64_t blocks)
{
    enum { MOST = 64 };
    tuff_save_item items[MOST] = {{0}};
    char names[MOST][128];
    tuff_weights *from = NULL;
    const char *directory = kit_copy_model(kit_golden("gpt_oss"), name);
    KIT_OK(tuff_safetensors_open(kit_join(kit_golden("gpt_oss"), "model.safetensors"), &from));
    size_t n = 0;
    for (size_t i = 0; i < from->count; i++) {
        const tuff_weight *w = &from->items[i];
        assert_true(n + 2 <= MOST);
        const bool matrix =
            tuff_ends_with(w->name, "experts.gate_up_proj") || tuff_ends_with(w->name, "experts.down_proj");
        for (int k = 0; k < (matrix ? 2 : 1); k++) {
            tuff_save_item *item = &items[n];
            snprintf(names[n], sizeof names[n], "%s%s", w->name, matrix ? k ? "_scales" : "_blocks" : "");
            *item = (tuff_save_item){.name = names[n++], .storage = TUFF_STORE_F32, .rank = w->rank};
            memcpy(item->shape, w->shape, sizeof w->shape);
            if (!matrix) continue;
            item->storage = TUFF_STORE_U8;
            item->rank = k ? 3 : 4;
            item->shape[1] = w->shape[2];
            item->shape[2] = blocks;
            item->shape[3] = k ? 1 : 16;
        }
    }
    KIT_OK(tuff_safetensors_save(kit_join(directory, "model.safetensors"), items, n, give_packed,
                                 &(packed){from, items}));
    kit_edit_file(kit_join(directory, "config.json"), "\"model_type\"",
                  "\"quantization_config\": {\"quant_method\": \"mxfp4\"}, \"model_type\"");
    tuff_weights_destroy(&from);
    return directory;
}

/* So many bytes of a tensor of a file, from one on. */
static void set_bytes(const char *path, const char *tensor, size_t at, size_t n, uint8_t value)
{
    tuff_weights *weights = NULL;
    KIT_OK(tuff_safetensors_open(path, &weights));
    const tuff_weight *w = tuff_weights_find(weights, tensor);
    assert_non_null(w);
    assert_true(at + n <= w->bytes);
    const long place = (long)(w->source_at + at);
    tuff_weights_destroy(&weights);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, place, SEEK_SET), 0);
    while (n-- > 0)
        assert_int_equal(fputc(value, file), value);
    assert_int_equal(fclose(file), 0);
}

/* A number of a packed row, which has one block, by OpenAI's rule. */
static float unpacked(const char *name, int64_t row, int64_t i)
{
    static const float numbers[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    char text[160];
    snprintf(text, sizeof text, "%s_blocks", name);
    const int code = packed_byte(text, (size_t)(row * 16 + i / 2)) >> i % 2 * 4 & 15;
    snprintf(text, sizeof text, "%s_scales", name);
    return ldexpf(code & 8 ? -numbers[code & 7] : numbers[code], packed_byte(text, (size_t)row) - 127);
}

/* Its numbers, which stay packed on a device, are the same there and in files that are made of it. */
static void packed_experts_are_read(void **state)
{
    (void)state;
    tuff_model *model = model_open(pack("packed", 1));
    const char *const own[] = {"gate_proj", "up_proj", "down_proj"};
    for (int which = 0; which < 3; which++) {
        char name[128], file[128];
        float values[4 * 32 * 32];
        snprintf(name, sizeof name, "model.layers.1.mlp.experts.%s.weight", own[which]);
        snprintf(file, sizeof file, "model.layers.1.mlp.experts.%s",
                 which < 2 ? "gate_up_proj" : "down_proj");
        const tuff_param *p = tuff_params_find(&model->params, name);
        assert_non_null(p);
        assert_int_equal(p->stored, TUFF_MXFP4);
        assert_int_equal(tuff_param_elements(p), 4 * 32 * 32);
        KIT_OK(tuff_model_read(model, p, NULL, 0, 4 * 32, values));
        for (int64_t r = 0; r < 4 * 32; r++)
            for (int64_t i = 0; i < 32; i++)
                assert_true(values[r * 32 + i] == unpacked(file, which < 2 ? 2 * r + which : r, i));
    }
    const char *gguf = kit_path("packed.gguf"), *plain = kit_path("unpacked");
    tuff_save_params params = TUFF_SAVE_PARAMS_INIT;
    params.format = TUFF_FORMAT_GGUF;
    params.type = "mxfp4";
    KIT_OK(tuff_model_save_with(model, &params, gguf));
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_HF, TUFF_F32, plain));
    const char *const copies[] = {gguf, plain};
    for (int c = 0; c < 2; c++) {
        tuff_model *copy = model_open(copies[c]);
        for (size_t i = 0; i < model->params.count; i++) {
            const tuff_param *p = &model->params.items[i], *q = tuff_params_find(&copy->params, p->name);
            float x[4 * 32 * 32], y[4 * 32 * 32];
            if (p->rank < 3) continue;
            assert_int_equal(q->stored, c ? TUFF_F32 : TUFF_MXFP4);
            KIT_OK(tuff_model_read(model, p, NULL, 0, 4 * 32, x));
            KIT_OK(tuff_model_read(copy, q, NULL, 0, 4 * 32, y));
            for (int k = 0; k < 4 * 32 * 32; k++)
                assert_true(x[k] == y[k]); /* also 0 and -0 */
        }
        tuff_model_destroy(&copy);
    }
    const tuff_head_wish wish = {.head = &tuff_head_classes, .label_count = 2};
    tuff_model *other = NULL;
    KIT_OK(tuff_model_with_head(model, &wish, &other));
    for (size_t i = 0; i < other->params.count; i++)
        assert_true(other->params.items[i].fresh ==
                    (strcmp(other->params.items[i].name, "score.weight") == 0));
    tuff_model_destroy(&other);
    params.type = "q4_0";
    KIT_FAILS(tuff_model_save_with(model, &params, kit_path("again.gguf")), TUFF_UNSUPPORTED,
              "is quantized already, as MXFP4");
    tuff_model_destroy(&model);
    KIT_FAILS(tuff_model_load(pack("misshapen", 2), &model), TUFF_BAD_FORMAT,
              "the config expects U8 [4, 64, 1, 16]");
}

/* Where the tensors of a fused file come from: those of its experts one after the other. */
typedef struct fusion {
    const tuff_weights *from;
    const tuff_save_item *items;
    const char *const *own; /* what the matrices are called apart: gate, up, down */
    const char *module;     /* in which the experts are apart */
} fusion;

static const tuff_weight *apart(const fusion *f, const char *layer, int64_t expert, const char *matrix)
{
    char name[160];
    snprintf(name, sizeof name, "%s%s.experts.%lld.%s.weight", layer, f->module, (long long)expert, matrix);
    return tuff_weights_find(f->from, name);
}

static tuff_status give_fused(void *user, size_t index, tuff_sink *sink)
{
    const fusion *f = user;
    const tuff_save_item *item = &f->items[index];
    const tuff_weight *w = tuff_weights_find(f->from, item->name);
    const char *at = strstr(item->name, "mlp.");
    char layer[64], own[160];
    if (w) return tuff_sink_write(sink, kit_stored(w), w->bytes);
    snprintf(layer, sizeof layer, "%.*s", (int)(at - item->name), item->name);
    snprintf(own, sizeof own, "%s%s.gate.weight", layer, f->module);
    w = tuff_weights_find(f->from, own);
    if (tuff_ends_with(item->name, "mlp.gate.weight")) return tuff_sink_write(sink, kit_stored(w), w->bytes);
    const bool both = tuff_ends_with(item->name, "gate_up_proj");
    for (int64_t e = 0; e < item->shape[0]; e++)
        for (int k = both ? 0 : 2; k < (both ? 2 : 3); k++) {
            w = apart(f, layer, e, f->own[k]);
            TUFF_TRY(tuff_sink_write(sink, kit_stored(w), w->bytes));
        }
    return TUFF_OK;
}

/* A golden with its experts fused, as transformers 5 writes them with save_original_format=False. */
static const char *fuse(const char *name, fusion *f)
{
    enum { MOST = 80 };
    tuff_save_item items[MOST] = {{0}};
    char names[MOST][160];
    tuff_weights *from = NULL;
    const char *directory = kit_copy_model(kit_golden(name), "fused");
    size_t n = 0;
    KIT_OK(tuff_safetensors_open(kit_join(kit_golden(name), "model.safetensors"), &from));
    for (size_t i = 0; i < from->count; i++) {
        const tuff_weight *w = &from->items[i];
        const char *module = strstr(w->name, f->module), *first = strstr(w->name, ".experts.0.");
        if (strstr(w->name, ".experts.") && (!first || strstr(first, f->own[1]))) continue;
        tuff_save_item *item = &items[n];
        assert_true(n < MOST);
        snprintf(names[n], sizeof names[n], "%s", w->name);
        *item = (tuff_save_item){.name = names[n], .storage = TUFF_STORE_F32, .rank = w->rank};
        memcpy(item->shape, w->shape, sizeof w->shape);
        if (first) {
            const bool both = strstr(first, f->own[0]);
            const fusion whole = {from, items, f->own, f->module};
            char layer[64];
            int64_t experts = 0;
            snprintf(layer, sizeof layer, "%.*s", (int)(module - w->name), w->name);
            while (apart(&whole, layer, experts, f->own[2]))
                experts++;
            snprintf(names[n], sizeof names[n], "%smlp.experts.%s", layer,
                     both ? "gate_up_proj" : "down_proj");
            item->rank = 3;
            item->shape[0] = experts;
            item->shape[1] = (both ? 2 : 1) * w->shape[0];
            item->shape[2] = w->shape[1];
        } else if (module && strstr(module, ".gate.weight")) {
            snprintf(names[n], sizeof names[n], "%.*smlp.gate.weight", (int)(module - w->name), w->name);
        }
        n++;
    }
    f->from = from;
    f->items = items;
    KIT_OK(tuff_safetensors_save(kit_join(directory, "model.safetensors"), items, n, give_fused, f));
    tuff_weights_destroy(&from);
    return directory;
}

/* In pieces across the ends of experts; what is saved has them apart again, byte by byte. */
static void fused_experts_are_read(void **state)
{
    (void)state;
    static const char *const of_mixtral[] = {"w1", "w3", "w2"}, *const of_others[] = {"gate_proj", "up_proj",
                                                                                      "down_proj"};
    static const struct {
        const char *name, *module;
        const char *const *own;
    } kinds[] = {{"mixtral", "block_sparse_moe", of_mixtral},
                 {"olmoe", "mlp", of_others},
                 {"qwen3_moe", "mlp", of_others},
                 {"qwen3_moe-dense", "mlp", of_others}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        fusion f = {.own = kinds[i].own, .module = kinds[i].module};
        tuff_model *model = model_open(kinds[i].name), *fused = model_open(fuse(kinds[i].name, &f));
        const char *back = kit_temp_path("apart");
        int stacks = 0;
        for (size_t k = 0; k < model->params.count; k++) {
            const tuff_param *p = &model->params.items[k], *q = tuff_params_find(&fused->params, p->name);
            float x[8192], y[8192];
            if (p->rank < 3) continue;
            stacks++;
            assert_true(q->is_fused && !p->is_fused && tuff_param_elements(p) <= 8192);
            const int64_t rows = tuff_param_rows(p), columns = tuff_param_columns(p);
            for (int64_t begin = 0; begin < rows; begin += 7)
                for (int64_t end = begin + 1; end <= rows; end += 29) {
                    KIT_OK(tuff_model_read(model, p, NULL, begin, end, x));
                    KIT_OK(tuff_model_read(fused, q, NULL, begin, end, y));
                    assert_memory_equal(x, y, (size_t)((end - begin) * columns) * sizeof *x);
                }
        }
        assert_true(stacks >= 3);
        KIT_OK(tuff_model_save(fused, TUFF_FORMAT_HF, TUFF_F32, back));
        same_tensors(kit_join(kit_golden(kinds[i].name), "model.safetensors"),
                     kit_join(back, "model.safetensors"));
        tuff_model_destroy(&fused);
        tuff_model_destroy(&model);
    }
    fusion f = {.own = of_mixtral, .module = "block_sparse_moe"};
    const char *directory = fuse("mixtral", &f);
    tuff_model *model = NULL;
    kit_edit_file(kit_join(directory, "config.json"), "\"intermediate_size\": 40",
                  "\"intermediate_size\": 41");
    KIT_FAILS(tuff_model_load(directory, &model), TUFF_BAD_FORMAT,
              "mlp.experts.gate_up_proj has shape [5, 80, 32], the config expects [5, 82, 32]");
}

/* The largest scales there are: of the numbers of their blocks some are infinite in f32, or none. */
static void packed_experts_are_finite(void **state)
{
    (void)state;
    static const struct {
        uint8_t scale, numbers; /* two of them a byte */
        const char *what;       /* NULL: fine */
    } cases[] = {{255, 0x11, "is NaN"},      {254, 0x77, "is infinite"}, {253, 0x77, "is infinite"},
                 {253, 0xff, "is infinite"}, {253, 0x11, NULL},          {252, 0x77, NULL}};
    static const char name[] = "model.layers.1.mlp.experts.down_proj";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32], blocks[64], scales[64];
        snprintf(text, sizeof text, "large%zu", i);
        snprintf(blocks, sizeof blocks, "%s_blocks", name);
        snprintf(scales, sizeof scales, "%s_scales", name);
        const char *file = kit_join(pack(text, 1), "model.safetensors");
        set_bytes(file, blocks, 5 * 16, 16, cases[i].numbers);
        set_bytes(file, scales, 5, 1, cases[i].scale);
        tuff_model *model = NULL;
        if (cases[i].what)
            KIT_FAILS(tuff_model_load(kit_path(text), &model), TUFF_NOT_FINITE, cases[i].what);
        else
            KIT_OK(tuff_model_load(kit_path(text), &model));
        tuff_model_destroy(&model);
    }
}

static void impossible_experts_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *part;
    } cases[] = {
        {"\"num_local_experts\": 5", "\"num_local_experts\": 0",
         "the number of experts is 0, expected 1 or more"},
        {"\"num_experts_per_tok\": 2", "\"num_experts_per_tok\": 6",
         "the number of experts that a token uses is 6, expected 1 to 5"},
        {"\"num_experts_per_tok\": 2", "\"num_experts_per_tok\": 0", "a token uses is 0, expected 1 to 5"},
        {"\"num_local_experts\": 5", "\"num_local_experts\": 4",
         "block_sparse_moe.gate.weight has shape [5, 32], the config expects [4, 32]"},
        {"\"intermediate_size\": 40", "\"intermediate_size\": 41",
         "experts.0.w1.weight has shape [40, 32], the config expects [41, 32]"},
        {"\"router_jitter_noise\": 0.0", "\"router_jitter_noise\": 0.1", "router_jitter_noise is 0.1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_model *model = NULL;
        const char *path = model_copy("mixtral", "edited", cases[i].from, cases[i].to);
        tuff_status status = tuff_model_load(path, &model);
        assert_null(model);
        assert_int_not_equal(status, TUFF_OK);
        if (!strstr(tuff_error_message(), cases[i].part))
            fail_msg("expected \"%s\", found \"%s\"", cases[i].part, tuff_error_message());
    }
}

/* To PEFT experts and routers are parameters, not modules that LoRA is for. */
static void adapters_leave_experts_alone(void **state)
{
    (void)state;
    tuff_model *model = model_open("mixtral");
    tuff_adapter *lora = NULL;
    tuff_adapter_settings settings = {.peft_type = "lora", .rank = 2, .alpha = 4, .targets = "w1", .seed = 1};
    KIT_FAILS(tuff_adapter_create(model, &settings, &lora), TUFF_INVALID_ARGUMENT,
              "\"w1\" is a matrix of each expert");
    settings.targets = "gate";
    KIT_FAILS(tuff_adapter_create(model, &settings, &lora), TUFF_INVALID_ARGUMENT,
              "\"gate\" is what chooses experts");
    settings.targets = "all-linear";
    KIT_OK(tuff_adapter_create(model, &settings, &lora));
    assert_int_equal(lora->count, 2 * 4 * 2); /* A and B of q, k, v and the output, in two layers */
    tuff_adapter_destroy(&lora);
    settings.targets = NULL;
    KIT_OK(tuff_adapter_create(model, &settings, &lora));
    assert_int_equal(lora->count, 2 * 2 * 2); /* of q and v */
    tuff_adapter_destroy(&lora);
    tuff_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_have_the_same_bytes),    cmocka_unit_test(rows_come_from_their_tensors),
        cmocka_unit_test(packed_experts_are_read),      cmocka_unit_test(fused_experts_are_read),
        cmocka_unit_test(packed_experts_are_finite),    cmocka_unit_test(impossible_experts_are_refused),
        cmocka_unit_test(adapters_leave_experts_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
