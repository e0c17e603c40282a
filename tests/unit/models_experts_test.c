/* Models with experts: stacks of a file's tensors as parameters, and what is refused of them. */
#include "adapters/adapter.h"
#include "formats/safetensors.h"
#include "model_fixture.h"
#include "models/model.h"

static const char *const golden[] = {"mixtral",    "mixtral-balanced", "olmoe",
                                     "olmoe-clip", "qwen3_moe",        "qwen3_moe-dense"};
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
        cmocka_unit_test(files_have_the_same_bytes),
        cmocka_unit_test(rows_come_from_their_tensors),
        cmocka_unit_test(impossible_experts_are_refused),
        cmocka_unit_test(adapters_leave_experts_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
