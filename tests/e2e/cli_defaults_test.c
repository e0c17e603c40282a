/* What generation_config.json says where no option of tuff generate does. */
#include <string.h>

#include "base/memory.h"
#include "kit/command.h"
#include "kit/files.h"

/* A copy of a golden model whose generation_config.json is this. */
static const char *model_with(const char *name, const char *config)
{
    const char *model = kit_copy_model(kit_golden(name), "defaults");
    kit_write_file(kit_join(model, "generation_config.json"), config, strlen(config));
    return model;
}

typedef const char *options[12];

/* What the command prints of a prompt; free it. What it says is checked to have, or not to have, a part. */
static char *made(const char *model, const options more, const char *said, bool is_said)
{
    const char *arguments[20] = {"generate", "--model", model, "--prompt", "the river"};
    for (size_t n = 5; *more; more++)
        arguments[n++] = *more;
    kit_result r;
    kit_run_tuff(&r, arguments);
    if (r.exit_code != 0) fail_msg("%s", r.err.data);
    if (!strstr(r.err.data, said) == is_said) fail_msg("%s", r.err.data);
    char *text = tuff_strdup(r.out.data);
    assert_non_null(text);
    kit_result_free(&r);
    return text;
}

static void check_same(char *a, char *b, bool same)
{
    if (strcmp(a, b) == 0 ? !same : same) fail_msg("%s: \"%s\" and \"%s\"", same ? "same" : "not same", a, b);
    tuff_free(a);
    tuff_free(b);
}

#define SAID "tuff: by the model's generation_config.json: "

static void tokens_are_drawn_as_the_file_says(void **state)
{
    (void)state;
    const char *plain = kit_golden("gpt2"),
               *model = model_with("gpt2", "{\"do_sample\": true, \"temperature\": 1.5, \"top_k\": 90, "
                                           "\"repetition_penalty\": 1.25, \"max_new_tokens\": 20}");
    static const char line[] = SAID "temperature 1.5, top-k 90, repetition-penalty 1.25, max-new-tokens 20\n";
    const options none = {NULL}, quiet = {"--quiet"}, few = {"--max-new-tokens", "20"},
                  ignoring = {"--max-new-tokens", "20", "--ignore-generation-config"},
                  asked = {"--temperature",        "1.5",  "--top-k",          "90",
                           "--repetition-penalty", "1.25", "--max-new-tokens", "20"},
                  greedy = {"--temperature", "0", "--repetition-penalty", "1"},
                  wilder = {"--temperature", "3", "--top-k", "0", "--repetition-penalty", "1"},
                  wild = {"--temperature", "3", "--max-new-tokens", "20"};
    check_same(made(model, none, line, true), made(plain, asked, SAID, false), true);
    check_same(made(model, quiet, SAID, false), made(plain, asked, SAID, false), true);
    check_same(made(model, none, line, true), made(plain, few, SAID, false), false);
    check_same(made(model, ignoring, SAID, false), made(plain, few, SAID, false), true);
    check_same(made(model, greedy, SAID "max-new-tokens 20\n", true), made(plain, few, SAID, false), true);
    check_same(made(model, wilder, SAID "max-new-tokens 20\n", true), made(plain, wild, SAID, false), true);
}

static void biases_join_those_of_options(void **state)
{
    (void)state;
    const char *plain = kit_golden("gpt2"), *model = model_with("gpt2", "{\"suppress_tokens\": [2, 57], "
                                                                        "\"sequence_bias\": [[[40], 500]]}");
    const options few = {"--max-new-tokens", "12", "--logit-bias", "58=1"},
                  asked = {"--max-new-tokens", "12",           "--logit-bias", "58=1",         "--logit-bias",
                           "2=-inf",           "--logit-bias", "57=-inf",      "--logit-bias", "40=500"};
    check_same(made(model, few, SAID "3 token biases\n", true), made(plain, asked, SAID, false), true);
    check_same(made(model, few, SAID, true), made(plain, few, SAID, false), false);
}

static void lengths_count_the_prompt(void **state)
{
    (void)state;
    const char *model = model_with("gpt2", "{\"max_length\": 12, \"min_length\": 3}");
    for (int given = 0; given < 2; given++) {
        kit_result r =
            given ? KIT_TUFF("generate", "--model", model, "--prompt", "the river", "--json", "--ignore-eos",
                             "--max-new-tokens", "3")
                  : KIT_TUFF("generate", "--model", model, "--prompt", "the river", "--json", "--ignore-eos");
        cJSON *json = kit_parse(r.out.data, r.out.size);
        const double tokens = kit_number(json, "new_tokens");
        assert_true(given ? tokens == 3 : tokens + kit_number(json, "prompt_tokens") == 12);
        assert_true(given ? !strstr(r.err.data, "max_length")
                          : !!strstr(r.err.data, "max_length 12, min_length 3"));
        cJSON_Delete(json);
        kit_result_free(&r);
    }
}

static void what_tuff_has_not_is_told(void **state)
{
    (void)state;
    const char *model = model_with("gpt2", "{\"guidance_scale\": 2, \"max_new_tokens\": 2}");
    const options none = {NULL}, quiet = {"--quiet"};
    check_same(made(model, none, "warning: ", true), made(model, quiet, "warning: ", false), true);
    check_same(made(model, none,
                    "generation_config.json asks for guidance_scale, which Tuff has not; the text is made "
                    "without it\n",
                    true),
               made(model, none, SAID "max-new-tokens 2\n", true), true);
    model = model_with("gpt2", "{\"top_p\": 2}");
    KIT_REFUSES(1, "has a top_p of 2, expected 0 to 1", "generate", "--model", model, "--prompt", "a");
    model = model_with("gpt2", "{\"suppress_tokens\": 2}");
    KIT_REFUSES(1, "has a suppress_tokens that is not a list of ids", "generate", "--model", model,
                "--prompt", "a");
}

/* Stop texts of the file end a text, those that are given come in their place. */
static void stop_texts_are_the_files(void **state)
{
    (void)state;
    const char *plain = kit_golden("gpt2"),
               *model =
                   model_with("gpt2", "{\"stop_strings\": [\"e\", \"a\", \" \"], \"max_new_tokens\": 20}");
    const options none = {NULL},
                  asked = {"--stop", "e", "--stop", "a", "--stop", " ", "--max-new-tokens", "20"},
                  other = {"--stop", "never"}, all = {"--max-new-tokens", "20"};
    check_same(made(model, none, SAID "max-new-tokens 20, 3 stop texts\n", true),
               made(plain, asked, SAID, false), true);
    check_same(made(model, other, "stop text", false), made(plain, all, SAID, false), true);
}

/* A search whose tokens are drawn is none that Tuff has: which of both it is to be has to be said. */
static void a_drawn_search_is_one_or_the_other(void **state)
{
    (void)state;
    const char *model = model_with("gpt2", "{\"do_sample\": true, \"num_beams\": 3, \"max_new_tokens\": 6}"),
               *plain = kit_golden("gpt2");
    const options searched = {"--temperature", "0"}, asked = {"--num-beams", "3", "--max-new-tokens", "6"},
                  beams = {"--num-beams", "3"}, drawn = {"--num-beams", "1"},
                  one = {"--temperature", "1", "--max-new-tokens", "6"};
    KIT_REFUSES(1, "asks for a search with beams whose tokens are drawn (num_beams and do_sample)",
                "generate", "--model", model, "--prompt", "a");
    check_same(made(model, searched, SAID "num-beams 3, ", true), made(plain, asked, SAID, false), true);
    check_same(made(model, beams, SAID "max-new-tokens 6\n", true), made(plain, asked, SAID, false), true);
    check_same(made(model, drawn, SAID "temperature 1, max-new-tokens 6\n", true),
               made(plain, one, SAID, false), true);
}

/* Options that no search goes with take its place, which is said. */
static void a_search_that_is_left_out_is_told(void **state)
{
    (void)state;
    const char *model = model_with("gpt2", "{\"num_beams\": 3, \"max_new_tokens\": 6}"),
               *plain = kit_golden("gpt2");
    const options stopped = {"--stop", "never"}, drawn = {"--temperature", "0.5", "--seed", "1"},
                  one = {"--num-beams", "1"}, quiet = {"--stop", "never", "--quiet"},
                  greedy = {"--max-new-tokens", "6"},
                  asked = {"--temperature", "0.5", "--seed", "1", "--max-new-tokens", "6"};
    check_same(made(model, stopped, "search with 3 beams, which --stop does not go with", true),
               made(plain, greedy, "search", false), true);
    check_same(made(model, drawn, "search with 3 beams, which --temperature does not go with", true),
               made(plain, asked, "search", false), true);
    check_same(made(model, one, "search", false), made(model, quiet, "search", false), true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_drawn_as_the_file_says),
        cmocka_unit_test(biases_join_those_of_options),
        cmocka_unit_test(lengths_count_the_prompt),
        cmocka_unit_test(what_tuff_has_not_is_told),
        cmocka_unit_test(stop_texts_are_the_files),
        cmocka_unit_test(a_drawn_search_is_one_or_the_other),
        cmocka_unit_test(a_search_that_is_left_out_is_told),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
