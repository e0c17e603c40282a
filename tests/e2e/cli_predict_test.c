/* tuff fill-mask, classify and answer: what they print for people and machines, and what is refused. */
#define _POSIX_C_SOURCE 200809L
#include "base/json.h"
#include "kit/command.h"

static const char *with_tokenizer(const char *golden)
{
    const char *directory = kit_copy_model(kit_golden(golden), golden);
    kit_copy_file(kit_golden("predict/tokenizer.json"), kit_join(directory, "tokenizer.json"));
    return directory;
}

/* The object of line `line` of what was printed. */
static cJSON *object_at(const kit_result *r, int line)
{
    const char *at = r->out.data;
    cJSON *json = NULL;
    for (; line; line--) {
        at = strchr(at, '\n');
        assert_non_null(at);
        at++;
    }
    const char *end = strchr(at, '\n');
    assert_non_null(end);
    KIT_OK(tuff_json_parse(at, (size_t)(end - at), "out", &json));
    return json;
}

static const cJSON *first_of(const cJSON *object, const char *key)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsArray(list) && list->child);
    return list->child;
}

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static void masks_are_filled(void **state)
{
    (void)state;
    const char *model = with_tokenizer("bert-mlm");
    kit_result r =
        KIT_TUFF("fill-mask", "--model", model, "--device", "cpu", "--text", "ab [MASK] cad", "-k", "2");
    assert_int_equal(r.exit_code, 0);
    assert_string_equal(r.out.data, "0.0763  ##f\n0.0734  m\n");
    kit_result_free(&r);
    r = KIT_TUFF("fill-mask", "--model", model, "--device", "cpu", "--text", "[MASK] p [MASK]", "--json");
    assert_int_equal(r.exit_code, 0);
    cJSON *json = object_at(&r, 0);
    const cJSON *masks = cJSON_GetObjectItemCaseSensitive(json, "masks");
    assert_int_equal(cJSON_GetArraySize(masks), 2);
    assert_int_equal(cJSON_GetArraySize(masks->child), 5);
    assert_string_equal(text_of(masks->child->child, "text"), "##k");
    cJSON_Delete(json);
    kit_result_free(&r);
}

static void texts_are_classified(void **state)
{
    (void)state;
    const char *model = with_tokenizer("bert-classes"), *file = kit_path("texts.jsonl");
    kit_result r = KIT_TUFF("classify", "--model", model, "--device", "cpu", "--text", "ab cad", "-k", "9");
    assert_int_equal(r.exit_code, 0);
    assert_string_equal(r.out.data, "0.5500  so so\n0.3313  good\n0.1187  bad\n");
    kit_result_free(&r);
    r = KIT_TUFF("classify", "--model", model, "--device", "cpu", "--text", "ab cad", "--text-pair", "p",
                 "--json");
    cJSON *json = object_at(&r, 0);
    assert_string_equal(text_of(json, "pair"), "p");
    assert_string_equal(text_of(first_of(json, "labels"), "label"), "so so");
    cJSON_Delete(json);
    kit_result_free(&r);

    /* what comes before a broken record is there */
    static const char records[] =
        "{\"a\": \"ab\", \"b\": \"cad\"}\n{\"a\": \"p\", \"b\": \"\"}\n{\"a\": 7}\n";
    kit_write_file(file, records, sizeof records - 1);
    kit_run_tuff(&r, (const char *const[]){"classify", "--model", model, "--device", "cpu", "--file", file,
                                           "--field", "a", "--pair-field", "b", "--json", NULL});
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "line 3"));
    json = object_at(&r, 1);
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(json, "row")->valueint, 1);
    cJSON_Delete(json);
    kit_result_free(&r);
    static const char lines[] = "ab\n\np\n";
    const char *text = kit_path("lines.txt");
    kit_write_file(text, lines, sizeof lines - 1);
    r = KIT_TUFF("classify", "--model", model, "--device", "cpu", "--file", text, "--max-length", "2");
    assert_int_equal(r.exit_code, 0);
    assert_non_null(strstr(r.out.data, "\n2  "));
    assert_non_null(strstr(r.err.data, "2 of the texts were longer than 2 tokens"));
    kit_result_free(&r);
}

static void names_are_found(void **state)
{
    (void)state;
    const char *model = with_tokenizer("bert-tokens");
    kit_result r = KIT_TUFF("classify", "--model", model, "--device", "cpu", "--text", "hook, dip");
    assert_int_equal(r.exit_code, 0);
    assert_non_null(strstr(r.out.data, "  PER  "));
    kit_result_free(&r);
    r = KIT_TUFF("classify", "--model", model, "--device", "cpu", "--text", "hook", "--aggregation-strategy",
                 "none", "--json");
    cJSON *json = object_at(&r, 0);
    const cJSON *entity = first_of(json, "entities");
    assert_true(strncmp(text_of(entity, "label"), "I-", 2) == 0 ||
                strncmp(text_of(entity, "label"), "B-", 2) == 0);
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(entity, "end")->valueint, 1);
    cJSON_Delete(json);
    kit_result_free(&r);
}

static void questions_are_answered(void **state)
{
    (void)state;
    const char *model = with_tokenizer("bert-spans"), *file = kit_path("context.txt");
    static const char context[] = "ab cad ponk dim fed go, hid ak job mole";
    kit_write_file(file, context, sizeof context - 1);
    kit_result r =
        KIT_TUFF("answer", "--model", model, "--device", "cpu", "--question", "a lop", "--context", context);
    assert_int_equal(r.exit_code, 0);
    kit_result same = KIT_TUFF("answer", "--model", model, "--device", "cpu", "--question", "a lop",
                               "--context-file", file);
    assert_string_equal(r.out.data, same.out.data);
    assert_string_equal(r.out.data, "0.0326  mole\n");
    kit_result_free(&same);
    kit_result_free(&r);
    r = KIT_TUFF("answer", "--model", model, "--device", "cpu", "--question", "a", "--question", "b",
                 "--context", "", "--handle-impossible-answer", "--json");
    cJSON *json = object_at(&r, 1);
    assert_string_equal(text_of(json, "question"), "b");
    assert_string_equal(text_of(first_of(json, "answers"), "answer"), "");
    cJSON_Delete(json);
    kit_result_free(&r);
}

/* In a pipe, too: how much there is, before it is begun. */
static void long_work_is_told(void **state)
{
    (void)state;
    enum { WORDS = 12000 };
    static char context[3 * WORDS];
    const char *model = with_tokenizer("bert-spans"), *file = kit_path("long-context.txt");
    for (size_t i = 0; i < sizeof context; i++)
        context[i] = "ab "[i % 3];
    kit_write_file(file, context, sizeof context);
    kit_result r = KIT_TUFF("answer", "--model", model, "--device", "cpu", "--question", "a",
                            "--context-file", file, "--doc-stride", "1");
    assert_int_equal(r.exit_code, 0);
    assert_memory_equal(r.err.data, "predicting: 3", 13);
    assert_non_null(strstr(r.err.data, " tokens\n"));
    kit_result quiet = KIT_TUFF("answer", "--model", model, "--device", "cpu", "--question", "a",
                                "--context-file", file, "--doc-stride", "1", "--quiet");
    assert_string_equal(quiet.out.data, r.out.data);
    assert_int_equal(quiet.err.size, 0);
    kit_result_free(&quiet);
    kit_result_free(&r);
}

static void what_cannot_be_done_is_said(void **state)
{
    (void)state;
    const char *masked = with_tokenizer("bert-mlm"), *spans = with_tokenizer("bert-spans");
    KIT_REFUSES(2, "give --text TEXT", "fill-mask", "--model", masked);
    KIT_REFUSES(2, "give --text TEXT or --file FILE", "classify", "--model", masked);
    KIT_REFUSES(2, "not both", "classify", "--model", masked, "--text", "a", "--file", "b");
    KIT_REFUSES(2, "are of --file", "classify", "--model", masked, "--text", "a", "--field", "b");
    KIT_REFUSES(2, "give --question TEXT", "answer", "--model", spans);
    KIT_REFUSES(2, "give --context TEXT or --context-file FILE", "answer", "--model", spans, "--question",
                "a");
    KIT_REFUSES(1, "input 0 has no [MASK]", "fill-mask", "--model", masked, "--text", "ab", "--device",
                "cpu");
    KIT_REFUSES(1, "classes of texts are asked for", "classify", "--model", masked, "--text", "ab",
                "--device", "cpu");
    KIT_REFUSES(1, "answers are asked for", "answer", "--model", masked, "--question", "ab", "--context", "p",
                "--device", "cpu");
    KIT_REFUSES(1, "whose head is: language model", "fill-mask", "--model", kit_golden("gpt2"), "--text", "a",
                "--device", "cpu");
    KIT_REFUSES(1, "leaves no room for the context", "answer", "--model", spans, "--question", "a b c d",
                "--context", "p", "--max-length", "6", "--device", "cpu");
    KIT_REFUSES(1, "none.txt", "answer", "--model", spans, "--question", "a", "--context-file",
                kit_path("none.txt"), "--device", "cpu");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_filled),  cmocka_unit_test(texts_are_classified),
        cmocka_unit_test(names_are_found),   cmocka_unit_test(questions_are_answered),
        cmocka_unit_test(long_work_is_told), cmocka_unit_test(what_cannot_be_done_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
