/* Angles of rotary positions by config.json and GGUF: what transformers 5.23 gives for the same parameters,
 * of heads of 8 dims and 64 positions. */
#include <math.h>

#include "formats/gguf.h"
#include "model_fixture.h"
#include "models/model.h"

#define LONG_NUMBERS                                                                                      \
    "\"original_max_position_embeddings\": 16, \"short_factor\": [1.0, 1.1, 1.5, 2.0], \"long_factor\": " \
    "[1.0, 3.0, 5.0, 9.0]"
#define LONG "\"rope_type\": \"longrope\", " LONG_NUMBERS
#define YARN "\"rope_type\": \"yarn\", \"factor\": 4.0, \"original_max_position_embeddings\": 16"

static const struct given {
    const char *rope;  /* besides rope_theta */
    int64_t positions; /* that a table is made for */
    float angles[4], scale;
    bool gguf; /* GGUF can say it */
} given[] = {
    {"\"rope_type\": \"default\"", 64, {1, 0.1f, 0.01f, 0.001f}, 1, true},
    {"\"rope_type\": \"linear\", \"factor\": 3.0",
     64,
     {0.333333343f, 0.0333333351f, 0.00333333318f, 0.000333333359f},
     1,
     true},
    {"\"rope_type\": \"dynamic\", \"factor\": 4.0",
     64,
     {1, 0.100000001f, 0.00999999978f, 0.00100000005f},
     1,
     false},
    {"\"rope_type\": \"dynamic\", \"factor\": 4.0",
     200,
     {1, 0.0472163223f, 0.00222938065f, 0.000105263156f},
     1,
     false},
    {YARN, 64, {1, 0.0250000004f, 0.00249999994f, 0.000250000012f}, 1.13862944f, true},
    {YARN ", \"truncate\": false, \"beta_fast\": 2.0, \"beta_slow\": 0.25",
     64,
     {1, 0.0256643984f, 0.00249999994f, 0.000250000012f},
     1.13862944f,
     true},
    {YARN ", \"mscale\": 1.0, \"mscale_all_dim\": 0.5",
     64,
     {1, 0.0250000004f, 0.00249999994f, 0.000250000012f},
     1.06482163f,
     true},
    {LONG, 16, {1, 0.0909090936f, 0.00666666683f, 0.000500000024f}, 1.22474487f, true},
    {LONG, 17, {1, 0.0333333351f, 0.00200000009f, 0.000111111112f}, 1.22474487f, true},
    {"\"type\": \"su\", " LONG_NUMBERS,
     17,
     {1, 0.0333333351f, 0.00200000009f, 0.000111111112f},
     1.22474487f,
     true},
    {"\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
     "\"original_max_position_embeddings\": 40",
     64,
     {1, 0.0125000002f, 0.00124999997f, 0.000125000006f},
     1,
     true},
};

static tuff_model *open_with(const char *rope, const char *theta)
{
    char text[512];
    snprintf(text, sizeof text, "\"rope_parameters\": {\"rope_theta\": %s, %s}", theta, rope);
    const char *directory = model_copy("llama", "angles", "\"rope_scaling\": null", text);
    kit_edit_file(kit_join(directory, "config.json"), "\"max_position_embeddings\": 128",
                  "\"max_position_embeddings\": 64");
    return model_open(directory);
}

static void check(const tuff_model *model, const struct given *want, const char *format)
{
    float angles[4];
    assert_int_equal(tuff_rope_dims(&model->config), 8);
    double scale = tuff_rope_angles(&model->config, &model->config.rope, want->positions, angles);
    if (fabs(scale - (double)want->scale) > 1e-6) fail_msg("%s, %s: scale %.9g", want->rope, format, scale);
    for (int i = 0; i < 4; i++)
        if (fabsf(angles[i] - want->angles[i]) > 1e-6f * want->angles[i])
            fail_msg("%s, %s: angle %d is %.9g, transformers has %.9g", want->rope, format, i,
                     (double)angles[i], (double)want->angles[i]);
}

static void angles_are_those_of_transformers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        tuff_model *model = open_with(given[i].rope, "10000.0");
        check(model, &given[i], "hf");
        tuff_model_destroy(&model);
    }
}

/* To GGUF and back; the config.json that is made of it says the same. */
static void gguf_keeps_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        if (!given[i].gguf) continue;
        const char *file = kit_temp_path("angles.gguf"), *directory = kit_temp_path("angles-again");
        tuff_model *model = open_with(given[i].rope, "10000.0");
        KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, file));
        tuff_model *through = model_open(file);
        check(through, &given[i], "gguf");
        KIT_OK(tuff_model_save(through, TUFF_FORMAT_HF, TUFF_F32, directory));
        tuff_model *back = model_open(directory);
        check(back, &given[i], "hf made of gguf");
        tuff_model_destroy(&back);
        tuff_model_destroy(&through);
        tuff_model_destroy(&model);
    }
}

/* Encoders' angles, which are scaled the same way; of two tables GGUF has the scaling of the first. */
static void encoders_keep_them(void **state)
{
    (void)state;
    static const char from[] = "\"rope_type\": \"default\"";
    static const char *const to[] = {"\"rope_type\": \"linear\", \"factor\": 3.0", YARN};
    for (int i = 0; i < 4; i++) {
        const char *file = kit_temp_path("encoder.gguf"), *directory = kit_temp_path("encoder-again");
        tuff_model *model =
            model_open(model_copy(i < 2 ? "nomic_bert" : "modernbert", "encoder", from, to[i % 2]));
        KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, file));
        tuff_model *through = model_open(file);
        KIT_OK(tuff_model_save(through, TUFF_FORMAT_HF, TUFF_F32, directory));
        tuff_model *back = model_open(directory);
        const tuff_rope_spec *want = &model->config.rope, *got = &back->config.rope;
        assert_int_not_equal(want->scaling, TUFF_ROPE_PLAIN);
        assert_true(got->scaling == want->scaling && got->factor == want->factor &&
                    got->theta == want->theta);
        assert_true(got->original == want->original && got->exact == want->exact);
        assert_int_equal(back->config.rope_local.scaling, TUFF_ROPE_PLAIN);
        tuff_model_destroy(&back);
        tuff_model_destroy(&through);
        tuff_model_destroy(&model);
    }
    tuff_model *none = NULL;
    KIT_FAILS(tuff_model_load(model_copy("modernbert", "encoder", from, YARN ", \"truncate\": false"), &none),
              TUFF_UNSUPPORTED, "truncate is false");
    const char *directory = model_copy("modernbert", "encoder", "\"rope_theta\": 20.0,",
                                       "\"rope_theta\": 20.0, \"factor\": 2.0, \"type\": \"linear\",");
    kit_edit_file(kit_join(directory, "config.json"),
                  "\"type\": \"linear\",\n      \"rope_type\": \"default\"", "\"rope_type\": \"linear\"");
    tuff_model *model = model_open(directory);
    KIT_FAILS(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, kit_temp_path("encoder.gguf")),
              TUFF_UNSUPPORTED, "layers with a window are scaled (linear)");
    tuff_model_destroy(&model);
}

/* Llama 3.1's own numbers are found again in the factors that a GGUF has of them. */
static void llama3_is_known_by_its_factors(void **state)
{
    (void)state;
    const char *file = kit_temp_path("llama3.gguf");
    tuff_model *model = open_with("\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, "
                                  "\"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 8192",
                                  "500000.0");
    KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, file));
    tuff_model *through = model_open(file);
    assert_int_equal(through->config.rope.scaling, TUFF_ROPE_LLAMA3);
    assert_true(through->config.rope.factor == 8 && through->config.rope.original == 8192);
    tuff_model_destroy(&through);
    tuff_model_destroy(&model);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *rope, *part;
    } edits[] = {
        {"\"rope_type\": \"linear\"", "factor of its rotary embeddings is 0"},
        {"\"rope_type\": \"linear\", \"factor\": -1", "factor of its rotary embeddings is -1"},
        {YARN ", \"beta_fast\": 1, \"beta_slow\": 2", "beta_slow is 2 and beta_fast 1"},
        {"\"rope_type\": \"longrope\", \"short_factor\": [1.0]", "short_factor must be a list of 4 numbers"},
        {"\"rope_type\": \"longrope\", \"short_factor\": [1, 1, 1, 0]", "short_factor must hold numbers"},
        {"\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 1",
         "high_freq_factor is 1"},
        /* what would make angles or their factor infinite, negative or none */
        {"\"rope_type\": \"linear\", \"factor\": 1e-300",
         "factor of its rotary embeddings is 1e-300, or missing; expected 1e-06 to 1e+09"},
        {"\"rope_type\": \"longrope\", \"short_factor\": [1, 1, 1, 1e-300]",
         "short_factor must hold numbers from 1e-06 to 1e+09"},
        {"\"rope_type\": \"longrope\", \"original_max_position_embeddings\": 1, \"short_factor\": [1, 1, 1, 1], "
         "\"long_factor\": [1, 1, 1, 1]",
         "the attention factor of its rotary embeddings is inf by factor and original_max_position_embeddings"},
        {"\"rope_type\": \"llama3\", \"factor\": 8, \"original_max_position_embeddings\": -5",
         "original_max_position_embeddings of its rotary embeddings is -5"},
        {YARN ", \"attention_factor\": -1",
         "the attention factor of its rotary embeddings is -1 by attention_factor, expected 1e-06 to 1e+06"},
        {YARN ", \"attention_factor\": 1e300", "is 1e+300 by attention_factor"},
        {"\"rope_type\": \"linear\", \"factor\": 2, \"attention_factor\": 0", "is 0 by attention_factor"},
        {YARN ", \"mscale\": 1, \"mscale_all_dim\": -100", "by factor, mscale and mscale_all_dim"},
        {YARN ", \"rope_theta\": 1", "rope_theta is 1, expected more than 1 where YaRN scales"},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        char text[512];
        tuff_model *model = NULL;
        snprintf(text, sizeof text, "\"rope_parameters\": {%s}", edits[i].rope);
        KIT_FAILS(tuff_model_load(model_copy("llama", "bad-angles", "\"rope_scaling\": null", text), &model),
                  TUFF_BAD_FORMAT, edits[i].part);
    }
    tuff_model *model = NULL;
    KIT_FAILS(tuff_model_load(model_copy("gpt_neox", "bad-angles", "{", "{\"rotary_pct\": -0.5, "), &model),
              TUFF_BAD_FORMAT, "rotary_pct is -0.5, expected more than 0 and at most 1");
}

/* The same in GGUF. */
static void what_does_not_fit_in_gguf_is_refused(void **state)
{
    (void)state;
    const char *file = kit_temp_path("bad-angles.gguf");
    static const struct {
        const char *rope;
        double attention, original;
        const char *part;
    } edits[] = {
        {YARN, INFINITY, 16, "is inf by llama.rope.scaling.attn_factor, expected 1e-06 to 1e+06"},
        {YARN, -1, 16, "is -1 by llama.rope.scaling.attn_factor"},
        {LONG, NAN, 16, "is nan by llama.rope.scaling.attn_factor"},
        {LONG, 1, 0, "llama.rope.scaling.original_context_length is 0, expected 1e-06 to 1e+09"},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        tuff_model *model = open_with(edits[i].rope, "10000.0"), *none = NULL;
        model->config.rope.attention = edits[i].attention;
        model->config.rope.original = edits[i].original;
        KIT_OK(tuff_model_save(model, TUFF_FORMAT_GGUF, TUFF_F32, file));
        tuff_model_destroy(&model);
        KIT_FAILS(tuff_model_load(file, &none), TUFF_BAD_FORMAT, edits[i].part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(angles_are_those_of_transformers),
        cmocka_unit_test(gguf_keeps_them),
        cmocka_unit_test(encoders_keep_them),
        cmocka_unit_test(llama3_is_known_by_its_factors),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(what_does_not_fit_in_gguf_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
