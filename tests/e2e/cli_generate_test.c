/* Generating and converting, against the truths of the goldens. */
#define _POSIX_C_SOURCE 200809L
#include <tuff/tokenizer.h>

#include "base/json.h"
#include "kit/command.h"
#include "kit/files.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"

static const char *const models[] = {"gpt2", "llama", "llama-tied", "mistral", "qwen2"};
enum { MODELS = sizeof models / sizeof models[0] };

/* What greedy generation must print: the prompt, then what the truth's ids decode to behind it. */
typedef struct truth {
    char prompt[256], count[24];
    tuff_buf out;
} truth;

static void read_truth(const char *model, truth *t)
{
    *t = (truth){0};
    cJSON *json;
    const char *prompt = NULL;
    KIT_OK(tuff_json_read(kit_join(model, "truth.json"), &json));
    KIT_OK(tuff_json_text(json, "prompt", "truth.json", &prompt));
    assert_non_null(prompt);
    snprintf(t->prompt, sizeof t->prompt, "%s", prompt);
    cJSON_Delete(json);
    tuff_weights *weights;
    KIT_OK(tuff_safetensors_open(kit_join(model, "truth.safetensors"), &weights));
    const tuff_weight *before = tuff_weights_find(weights, "prompt_ids"),
                      *after = tuff_weights_find(weights, "greedy_ids");
    assert_non_null(before);
    assert_non_null(after);
    size_t n = before->bytes / 4, m = after->bytes / 4;
    int32_t ids[512];
    assert_true(n + m <= 512);
    memcpy(ids, kit_stored(before), before->bytes);
    memcpy(ids + n, kit_stored(after), after->bytes);
    tuff_tokenizer *tokenizer;
    char *all, *head;
    size_t all_size, head_size;
    KIT_OK(tuff_tokenizer_load(model, &tokenizer));
    KIT_OK(tuff_tokenizer_decode(tokenizer, ids, n + m, true, &all, &all_size));
    KIT_OK(tuff_tokenizer_decode(tokenizer, ids, n, true, &head, &head_size));
    tuff_buf_text(&t->out, t->prompt);
    tuff_buf_bytes(&t->out, all + head_size, all_size - head_size);
    tuff_buf_char(&t->out, '\n');
    snprintf(t->count, sizeof t->count, "%zu", m);
    tuff_free(all);
    tuff_free(head);
    tuff_tokenizer_destroy(&tokenizer);
    tuff_weights_destroy(&weights);
}

static void expect_greedy(const char *model, const truth *t)
{
    kit_result r = KIT_TUFF("generate", "--model", model, "--prompt", t->prompt, "--max-new-tokens", t->count,
                            "--ignore-eos");
    if (r.out.size != t->out.size || memcmp(r.out.data, t->out.data, t->out.size) != 0)
        fail_msg("%s: %s\ninstead of %s", model, r.out.data, t->out.data);
    assert_non_null(strstr(r.err.data, "tokens/s"));
    kit_result_free(&r);
}

static void test_greedy_is_the_truth(void **state)
{
    (void)state;
    for (int i = 0; i < MODELS; i++) {
        truth t;
        read_truth(kit_golden(models[i]), &t);
        expect_greedy(kit_golden(models[i]), &t);
        tuff_buf_free(&t.out);
    }
}

static void expect_equal_tensors(const char *a, const char *b)
{
    tuff_weights *x, *y;
    KIT_OK(tuff_safetensors_open(a, &x));
    KIT_OK(tuff_safetensors_open(b, &y));
    for (size_t i = 0; i < x->count; i++) {
        const tuff_weight *w = &x->items[i], *v = tuff_weights_find(y, w->name);
        if (!v || v->storage != w->storage || v->bytes != w->bytes ||
            memcmp(kit_stored(v), kit_stored(w), w->bytes) != 0)
            fail_msg("%s is another tensor in %s", w->name, b);
    }
    assert_int_equal(x->count, y->count);
    tuff_weights_destroy(&x);
    tuff_weights_destroy(&y);
}

/* To GGUF and back: the same tensors, bit for bit, the same text on the way. */
static void test_there_and_back(void **state)
{
    (void)state;
    for (int i = 0; i < MODELS; i++) {
        const char *model = kit_golden(models[i]);
        const char *gguf = kit_path("there.gguf"), *back = kit_path("back");
        truth t;
        read_truth(model, &t);
        KIT_DO("convert", model, "--to", "gguf", "--output", gguf, "--overwrite");
        expect_greedy(gguf, &t);
        KIT_DO("convert", gguf, "--to", "hf", "--output", back, "--overwrite");
        expect_equal_tensors(kit_join(model, "model.safetensors"), kit_join(back, "model.safetensors"));
        expect_greedy(back, &t);
        tuff_buf_free(&t.out);
    }
}

static void test_convert_types(void **state)
{
    (void)state;
    static const struct {
        const char *dtype;
        tuff_storage storage;
    } kinds[] = {{"f16", TUFF_STORE_F16}, {"bf16", TUFF_STORE_BF16}, {"f32", TUFF_STORE_F32}};
    const char *model = kit_golden("llama");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const char *to = kit_path(kinds[i].dtype), *again = kit_join(to, "again");
        KIT_DO("convert", model, "--to", "hf", "--output", to, "--dtype", kinds[i].dtype);
        tuff_weights *w;
        KIT_OK(tuff_safetensors_open(kit_join(to, "model.safetensors"), &w));
        for (size_t k = 0; k < w->count; k++)
            assert_int_equal(w->items[k].storage, kinds[i].storage);
        tuff_weights_destroy(&w);
        KIT_DO("convert", to, "--to", "hf", "--output", again); /* as stored */
        expect_equal_tensors(kit_join(to, "model.safetensors"), kit_join(again, "model.safetensors"));
        KIT_DO("generate", "--model", to, "--prompt", "The", "--max-new-tokens", "3");
    }
}

static void test_json_and_prompt_file(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *file = kit_path("prompt.txt");
    kit_write_file(file, "It isn't \"the\"\n", 15);
    kit_result r = KIT_TUFF("generate", "--model", model, "--prompt-file", file, "--max-new-tokens", "5",
                            "--json", "--quiet", "--ignore-eos");
    assert_int_equal(r.err.size, 0);
    cJSON *json = kit_parse(r.out.data, r.out.size);
    assert_string_equal(kit_string(json, "prompt"), "It isn't \"the\"");
    assert_string_equal(kit_string(json, "finish"), "length");
    assert_true(kit_number(json, "new_tokens") == 5);
    assert_true(kit_number(json, "prompt_tokens") > 3);
    cJSON_Delete(json);
    kit_result_free(&r);
}

/* One U+FFFD for each maximal broken sequence, as Python's decode("utf-8", "replace") has them. */
static void test_broken_text_as_json(void **state)
{
    (void)state;
    static const struct {
        const char *prompt, *shown;
    } cases[] = {
        {"a\xe2\x82z", "a\xef\xbf\xbdz"},
        {"\xf0\x9f\x98\xf0\x9f\x98\x80", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90z\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd"},
        {"b\xf1\x80\x80", "b\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kit_result r = KIT_TUFF("generate", "--model", kit_golden("llama"), "--prompt", cases[i].prompt,
                                "--max-new-tokens", "1", "--json");
        assert_int_equal(r.exit_code, 0);
        cJSON *json = kit_parse(r.out.data, r.out.size);
        assert_string_equal(kit_string(json, "prompt"), cases[i].shown);
        cJSON_Delete(json);
        kit_result_free(&r);
    }
}

/* Lines of JSON, one per text, in the order of the file, each what the prompt gives alone. */
static void test_many_prompts(void **state)
{
    (void)state;
    enum { COPIES = 2, PROMPTS = 3 };
    static const char *const prompts[PROMPTS] = {"it", "The river and the old stone bridge", "a"};
    static const char lines[] =
        "{\"q\": \"it\"}\n{\"q\": \"The river and the old stone bridge\"}\n{\"q\": \"a\"}\n";
    const char *model = kit_golden("llama"), *file = kit_path("prompts.jsonl");
    kit_write_file(file, lines, sizeof lines - 1);
    kit_result r = KIT_TUFF("generate", "--model", model, "--file", file, "--field", "q", "--max-new-tokens",
                            "9", "--num-return-sequences", "2", "--batch-size", "4", "--json", "--quiet",
                            "--ignore-eos", "--invariant");
    assert_int_equal(r.exit_code, 0);
    assert_int_equal(r.err.size, 0);
    const char *at = r.out.data;
    for (int i = 0; i < PROMPTS * COPIES; i++) {
        const char *line_end = strchr(at, '\n');
        assert_non_null(line_end);
        cJSON *json = kit_parse(at, (size_t)(line_end - at));
        kit_result alone = KIT_TUFF("generate", "--model", model, "--prompt", prompts[i / COPIES],
                                    "--max-new-tokens", "9", "--ignore-eos", "--json");
        cJSON *want = kit_parse(alone.out.data, alone.out.size);
        assert_true(kit_number(json, "record") == i / COPIES && kit_number(json, "number") == i % COPIES);
        assert_string_equal(kit_string(json, "prompt"), prompts[i / COPIES]);
        assert_string_equal(kit_string(json, "text"), kit_string(want, "text"));
        assert_string_equal(kit_string(json, "finish"), "length");
        cJSON_Delete(json);
        cJSON_Delete(want);
        kit_result_free(&alone);
        at = line_end + 1;
    }
    assert_int_equal(*at, 0);
    kit_result_free(&r);
    /* as text: drawn differently each, the first as it is alone; a prompt that is too long is told of */
    r = KIT_TUFF("generate", "--model", model, "--prompt", "it", "--num-return-sequences", "3",
                 "--max-new-tokens", "6", "--ignore-eos", "--temperature", "1", "--seed", "4");
    kit_result alone = KIT_TUFF("generate", "--model", model, "--prompt", "it", "--max-new-tokens", "6",
                                "--ignore-eos", "--temperature", "1", "--seed", "4");
    assert_memory_equal(r.out.data, alone.out.data, alone.out.size);
    assert_non_null(strstr(r.err.data, "3 texts"));
    kit_result_free(&r);
    kit_result_free(&alone);
    kit_run_tuff(&r, (const char *const[]){"generate", "--model", model, "--file", file, "--field", "q",
                                           "--max-new-tokens", "3", "--context-length", "8", "--ignore-eos",
                                           NULL});
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "prompt 2: the prompt has"));
    assert_non_null(strstr(r.err.data, "2 texts"));
    kit_result_free(&r);
    r = KIT_TUFF("generate", "--model", model, "--prompt", "it", "--num-return-sequences", "2",
                 "--max-new-tokens", "2", "--ignore-eos");
    assert_non_null(strstr(r.err.data, "without --temperature all texts of a prompt are the same"));
    kit_result_free(&r);
    KIT_REFUSES(2, "not several", "generate", "--model", model, "--file", file, "--prompt", "a");
    KIT_REFUSES(2, "one text only", "generate", "--model", model, "--file", file, "--profile");
    KIT_REFUSES(1, "prompts.jsonl, line 1", "generate", "--model", model, "--file", file);
}

static void test_seeds(void **state)
{
    (void)state;
    const char *model = kit_golden("gpt2");
#define SAMPLE(seed)                                                                                        \
    KIT_TUFF("generate", "--model", model, "--prompt", "it", "--max-new-tokens", "30", "--temperature",     \
             "1.5", "--top-k", "100", "--top-p", "0.95", "--min-p", "0.001", "--repetition-penalty", "1.1", \
             "--ignore-eos", "--seed", seed)
    kit_result a = SAMPLE("1"), b = SAMPLE("1"), c = SAMPLE("2");
    assert_string_equal(a.out.data, b.out.data);
    assert_string_not_equal(a.out.data, c.out.data);
    kit_result_free(&a);
    kit_result_free(&b);
    kit_result_free(&c);
}

/* The new text of a prompt, as JSON's "text"; free it. */
static char *made_with(const char *model, const char *const *options)
{
    const char *arguments[16] = {"generate",         "--model", model,          "--prompt", "it",
                                 "--max-new-tokens", "8",       "--ignore-eos", "--json"};
    size_t n = 9;
    for (; *options; options++)
        arguments[n++] = *options;
    kit_result r;
    kit_run_tuff(&r, arguments);
    if (r.exit_code != 0) fail_msg("%s", r.err.data);
    cJSON *json = kit_parse(r.out.data, r.out.size);
    char *text = tuff_strdup(kit_string(json, "text"));
    assert_non_null(text);
    cJSON_Delete(json);
    kit_result_free(&r);
    return text;
}
#define MADE_WITH(...) made_with(model, (const char *const[]){__VA_ARGS__, NULL})

static void test_biases_and_penalties(void **state)
{
    (void)state;
    const char *model = kit_golden("gpt2");
    tuff_tokenizer *tokenizer;
    char id[32], *usual = MADE_WITH("--min-tokens-to-keep", "1");
    int32_t *ids;
    size_t n;
    KIT_OK(tuff_tokenizer_load(model, &tokenizer));
    KIT_OK(tuff_tokenizer_encode(tokenizer, "a", 1, 0, &ids, &n));
    assert_int_equal(n, 1);
    snprintf(id, sizeof id, "%d=1000", ids[0]);
    /* a token by its id and by its text, with a bias that all others are behind; then forbidden, or in pairs
     */
    char *by_id = MADE_WITH("--logit-bias", id), *by_text = MADE_WITH("--logit-bias", "a=1000");
    assert_string_equal(by_id, "aaaaaaaa");
    assert_string_equal(by_text, "aaaaaaaa");
    char *without = MADE_WITH("--logit-bias", id, "--bad-words", "aaa");
    assert_string_not_equal(without, "aaaaaaaa");
    assert_null(strstr(without, "aaa"));
    assert_non_null(strstr(without, "aa"));
    char *bigrams = MADE_WITH("--logit-bias", id, "--no-repeat-ngram-size", "2");
    assert_memory_equal(bigrams, "aa", 2);
    assert_null(strstr(bigrams, "aaa"));
    char *once = MADE_WITH("--logit-bias", id, "--presence-penalty", "100", "--frequency-penalty", "100");
    assert_string_equal(once, "aaaaaaaa"); /* 1000 is more than all penalties */
    char *penalized = MADE_WITH("--logit-bias", "a=150", "--frequency-penalty", "100");
    assert_string_not_equal(penalized, "aaaaaaaa");
    assert_int_equal(penalized[0], 'a');
    char *typical = MADE_WITH("--temperature", "1", "--typical-p", "0.01");
    assert_string_not_equal(typical, usual);
    tuff_free(usual);
    tuff_free(by_id);
    tuff_free(by_text);
    tuff_free(without);
    tuff_free(bigrams);
    tuff_free(once);
    tuff_free(penalized);
    tuff_free(typical);
    tuff_free(ids);
    tuff_tokenizer_destroy(&tokenizer);
    KIT_REFUSES(1, "is for id 2147483647, which is outside the vocabulary", "generate", "--model", model,
                "--prompt", "a", "--logit-bias", "99999999999999=1");
    KIT_REFUSES(2, "--bad-words is empty", "generate", "--model", model, "--prompt", "a", "--bad-words", "");
    static const char *const wrong[] = {"5", "=5", "5=", "5=x", "5=inf", "5=nan", "5=2e6"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        KIT_REFUSES(2, "expected ID=VALUE or TEXT=VALUE", "generate", "--model", model, "--prompt", "a",
                    "--logit-bias", wrong[i]);
}

/* One text and many, as JSON and as lines under the text. */
static void test_logprobs(void **state)
{
    (void)state;
    const char *model = kit_asset("model");
    kit_result r = KIT_TUFF("generate", "--model", model, "--prompt", "Once", "--max-new-tokens", "4",
                            "--ignore-eos", "--json", "--logprobs", "2");
    cJSON *json = kit_parse(r.out.data, r.out.size), *token;
    const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(json, "tokens");
    tuff_buf text = {0};
    assert_int_equal(cJSON_GetArraySize(tokens), 4);
    cJSON_ArrayForEach(token, tokens)
    {
        const cJSON *top = cJSON_GetObjectItemCaseSensitive(token, "top");
        assert_int_equal(cJSON_GetArraySize(top), 2);
        assert_true(kit_number(token, "logprob") < 0 && kit_number(token, "id") >= 0);
        assert_true(kit_number(top->child, "id") == kit_number(token, "id")); /* greedy */
        assert_true(kit_number(top->child, "logprob") >= kit_number(top->child->next, "logprob"));
        tuff_buf_text(&text, kit_string(token, "text"));
    }
    assert_string_equal(text.data, kit_string(json, "text"));
    cJSON_Delete(json);
    kit_result_free(&r);
    r = KIT_TUFF("generate", "--model", model, "--prompt", "Once", "--max-new-tokens", "4", "--ignore-eos",
                 "--json", "--logprobs", "0", "--num-return-sequences", "2", "--temperature", "1");
    assert_non_null(strstr(r.out.data, "\"tokens\": [{\"id\": "));
    assert_non_null(strstr(r.out.data, "\"top\": []}"));
    kit_result_free(&r);
    r = KIT_TUFF("generate", "--model", model, "--prompt", "Once", "--max-new-tokens", "4", "--ignore-eos",
                 "--logprobs", "1");
    int lines = 0;
    for (const char *at = r.out.data; (at = strstr(at, "  of: \"")); at++)
        lines++;
    assert_int_equal(lines, 4);
    assert_memory_equal(r.out.data, "Once", 4);
    assert_memory_equal(r.out.data + 4, text.data, text.size);
    tuff_buf_free(&text);
    kit_result_free(&r);
    KIT_REFUSES(2, "gives no --logprobs with --num-beams", "generate", "--model", model, "--prompt", "a",
                "--num-beams", "2", "--logprobs", "1");
    KIT_REFUSES(2, "--eos-token-id is \"x\"", "generate", "--model", model, "--prompt", "a", "--eos-token-id",
                "x");
    KIT_REFUSES(1, "is to end the text, but the model's vocabulary has", "generate", "--model", model,
                "--prompt", "a", "--eos-token-id", "999999999");
}

/* The best texts of each prompt of a file: the first as it is alone, then others; a prompt that cannot be
 * continued fails alone. */
static void test_beams(void **state)
{
    (void)state;
    char model[512], file[512]; /* the kit's paths live for a few calls */
    snprintf(model, sizeof model, "%s", kit_asset("model"));
    snprintf(file, sizeof file, "%s", kit_path("beams.jsonl"));
    static const char *const prompts[] = {"Once upon a time", "One day", "The cat"};
    char line[512];
    tuff_buf lines = {0};
    for (int i = 0; i < 3; i++) {
        snprintf(line, sizeof line, "{\"prompt\": \"%s\"}\n", prompts[i]);
        tuff_buf_text(&lines, line);
    }
    kit_write_file(file, lines.data, lines.size);
    tuff_buf_free(&lines);
    kit_result r =
        KIT_TUFF("generate", "--model", model, "--file", file, "--max-new-tokens", "9", "--num-beams", "4",
                 "--num-return-sequences", "2", "--no-repeat-ngram-size", "3", "--json");
    const char *at = r.out.data;
    for (int i = 0; i < 6; i++) {
        const char *line_end = strchr(at, '\n');
        assert_non_null(line_end);
        cJSON *json = kit_parse(at, (size_t)(line_end - at));
        kit_result one =
            KIT_TUFF("generate", "--model", model, "--prompt", prompts[i / 2], "--max-new-tokens", "9",
                     "--num-beams", "4", "--no-repeat-ngram-size", "3", "--json");
        cJSON *alone = kit_parse(one.out.data, one.out.size);
        assert_true(kit_number(json, "record") == i / 2 && kit_number(json, "number") == i % 2);
        const bool same = strcmp(kit_string(json, "text"), kit_string(alone, "text")) == 0;
        assert_true(same == (i % 2 == 0));
        cJSON_Delete(json);
        cJSON_Delete(alone);
        kit_result_free(&one);
        at = line_end + 1;
    }
    assert_int_equal(*at, 0);
    kit_result_free(&r);
    kit_run_tuff(&r, (const char *const[]){"generate", "--model", model, "--file", file, "--max-new-tokens",
                                           "2", "--context-length", "3", "--num-beams", "2", NULL});
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "prompt 1: the prompt has"));
    assert_non_null(strstr(r.err.data, "1 text in"));
    kit_result_free(&r);
    KIT_REFUSES(1, "beams takes no temperature", "generate", "--model", model, "--file", file, "--num-beams",
                "2", "--temperature", "1");
}

static void test_ends(void **state)
{
    (void)state;
    const char *model = kit_golden("qwen2");
    truth t;
    read_truth(model, &t);
    /* the truth's text up to a letter in it */
    const char *made = t.out.data + strlen(t.prompt);
    size_t at = 3;
    while (made[at] && ((unsigned char)made[at] >= 0x80 || memchr(made, made[at], at)))
        at++;
    assert_true(made[at]);
    char stop[2] = {made[at], 0};
    kit_result r = KIT_TUFF("generate", "--model", model, "--prompt", t.prompt, "--max-new-tokens", t.count,
                            "--ignore-eos", "--stop", "never this", "--stop", stop);
    size_t size = strlen(t.prompt) + at;
    assert_int_equal(r.out.size, size + 1);
    assert_memory_equal(r.out.data, t.out.data, size);
    assert_non_null(strstr(r.err.data, "a stop text came"));
    kit_result_free(&r);
    tuff_buf_free(&t.out);

    r = KIT_TUFF("generate", "--model", model, "--prompt", "it", "--ignore-eos", "--context-length", "12");
    assert_non_null(strstr(r.err.data, "the context is full"));
    kit_result_free(&r);
    r = KIT_TUFF("generate", "--model", model, "--prompt", "it", "--ignore-eos", "--max-new-tokens", "3",
                 "--cache-f16");
    assert_non_null(strstr(r.err.data, "--max-new-tokens reached"));
    kit_result_free(&r);
}

static void test_profile(void **state)
{
    (void)state;
    const char *trace = kit_path("trace.json");
    kit_result r = KIT_TUFF("generate", "--model", kit_golden("llama"), "--prompt", "it", "--ignore-eos",
                            "--max-new-tokens", "3", "--profile", trace);
    assert_non_null(strstr(r.err.data, "matmul"));
    kit_result_free(&r);
    cJSON *json;
    KIT_OK(tuff_json_read(trace, &json));
    cJSON_Delete(json);
}

/* Nothing to continue: the model begins a text of its own. */
static void test_empty_prompt(void **state)
{
    (void)state;
    const char *model = kit_golden("gpt2");
    kit_result r = KIT_TUFF("generate", "--model", model, "--prompt", "", "--max-new-tokens", "8", "--json"),
               spelled = KIT_TUFF("generate", "--model", model, "--prompt", "<|endoftext|>",
                                  "--max-new-tokens", "8", "--json");
    cJSON *json = kit_parse(r.out.data, r.out.size), *want = kit_parse(spelled.out.data, spelled.out.size);
    assert_true(kit_number(json, "prompt_tokens") == 1);
    assert_string_equal(kit_string(json, "prompt"), "");
    assert_string_equal(kit_string(json, "text"), kit_string(want, "text"));
    cJSON_Delete(json);
    cJSON_Delete(want);
    kit_result_free(&r);
    kit_result_free(&spelled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy_is_the_truth),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_convert_types),
        cmocka_unit_test(test_json_and_prompt_file),
        cmocka_unit_test(test_broken_text_as_json),
        cmocka_unit_test(test_many_prompts),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_biases_and_penalties),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_beams),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_empty_prompt),
        cmocka_unit_test(test_profile),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
