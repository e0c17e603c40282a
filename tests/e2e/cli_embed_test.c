/* tuff embed: vectors on standard output and in files, and what is refused. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>

#include "base/json.h"
#include "formats/npy.h"
#include "kit/command.h"

static const char *const llama = "llama";

static void texts_give_lines_of_numbers(void **state)
{
    (void)state;
    const char *model = kit_golden(llama);
    kit_result r =
        KIT_TUFF("embed", "--model", model, "--text", "the ship", "--text", "a bell", "--device", "cpu");
    assert_int_equal(r.exit_code, 0);
    cJSON *first = NULL;
    const char *end = strchr(r.out.data, '\n');
    assert_non_null(end);
    KIT_OK(tuff_json_parse(r.out.data, (size_t)(end - r.out.data), "out", &first));
    assert_int_equal(cJSON_GetArraySize(first), 32);
    double norm = 0;
    for (int i = 0; i < 32; i++)
        norm += cJSON_GetArrayItem(first, i)->valuedouble * cJSON_GetArrayItem(first, i)->valuedouble;
    assert_true(norm > 0.99999 && norm < 1.00001);
    cJSON_Delete(first);
    kit_result alone =
        KIT_TUFF("embed", "--model", model, "--text", "a bell", "--device", "cpu", "--threads", "1");
    assert_string_equal(end + 1, alone.out.data); /* a text's vector is the same alone */
    kit_result_free(&alone);
    kit_result_free(&r);

    r = KIT_TUFF("embed", "--model", model, "--text", "the ship", "--format", "csv", "--dimensions", "3",
                 "--device", "cpu");
    assert_int_equal(r.exit_code, 0);
    double x, y, z;
    assert_int_equal(sscanf(r.out.data, "%lf,%lf,%lf\n", &x, &y, &z), 3);
    assert_true(x * x + y * y + z * z > 0.99999);
    kit_result_free(&r);
    /* as an array, and its numbers alone */
    kit_result raw = KIT_TUFF("embed", "--model", model, "--text", "the ship", "--text", "a bell", "--format",
                              "raw", "--dimensions", "3", "--device", "cpu");
    r = KIT_TUFF("embed", "--model", model, "--text", "the ship", "--text", "a bell", "--format", "npy",
                 "--dimensions", "3", "--device", "cpu");
    float numbers[6];
    assert_int_equal(raw.out.size, sizeof numbers);
    memcpy(numbers, raw.out.data, sizeof numbers);
    assert_true(fabs((double)numbers[0] - x) < 1e-7 && fabs((double)numbers[2] - z) < 1e-7);
    tuff_npy array;
    KIT_OK(tuff_npy_parse((const uint8_t *)r.out.data, r.out.size, "out", &array));
    assert_true(array.rank == 2 && array.shape[0] == 2 && array.shape[1] == 3);
    assert_memory_equal(array.data, numbers, sizeof numbers);
    kit_result_free(&raw);
    kit_result_free(&r);
}

static void files_become_arrays(void **state)
{
    (void)state;
    const char *model = kit_golden(llama), *csv = kit_path("texts.csv"), *out = kit_path("vectors.npy");
    kit_write_file(csv, "id,body\n1,the ship\n2,\"a bell, twice\"\n", 36);
    kit_result r = KIT_TUFF("embed", "--model", model, "--file", csv, "--field", "body", "--output", out,
                            "--type", "f16", "--device", "cpu");
    assert_int_equal(r.exit_code, 0);
    assert_int_equal(r.out.size, 0);
    assert_non_null(strstr(r.err.data, "2 vectors of 32 numbers"));
    kit_result_free(&r);
    tuff_buf bytes = {0};
    kit_read_file(out, &bytes);
    assert_int_equal(bytes.size, 128 + 2 * 32 * 2);
    assert_non_null(strstr(bytes.data + 10, "'<f2', 'fortran_order': False, 'shape': (2, 32)"));
    tuff_buf_free(&bytes);
}

/* Queries get their prompt by themselves, and documents would not be like them. */
static void a_prompt_for_documents_is_told_of(void **state)
{
    (void)state;
    static const char prompts[] = "{\"prompts\": {\"query\": \"q: \", \"passage\": \"p: \"}}",
                      none[] = "{\"prompts\": {\"query\": \"\", \"passage\": \"\"}}",
                      modules[] = "[{\"path\": \"\", \"type\": \"Transformer\"}]";
    const char *model = kit_copy_model(kit_golden(llama), "prompts"), *csv = kit_path("prompts.csv"),
               *out = kit_path("prompts.npy"),
               *settings = kit_join(model, "config_sentence_transformers.json");
    kit_write_file(csv, "text\nthe ship\n", 14);
    kit_write_file(kit_join(model, "modules.json"), modules, sizeof modules - 1);
    static const struct {
        const char *settings, *name;
        bool told;
    } cases[] = {{prompts, NULL, true}, {prompts, "passage", false}, {none, NULL, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kit_write_file(settings, cases[i].settings, strlen(cases[i].settings));
        kit_result r = cases[i].name ? KIT_TUFF("embed", "--model", model, "--file", csv, "--output", out,
                                                "--device", "cpu", "--prompt-name", cases[i].name)
                                     : KIT_TUFF("embed", "--model", model, "--file", csv, "--output", out,
                                                "--device", "cpu");
        assert_int_equal(r.exit_code, 0);
        assert_int_equal(strstr(r.err.data, "unless --prompt-name passage is given") != NULL, cases[i].told);
        kit_result_free(&r);
    }
}

static void what_cannot_be_done_is_said(void **state)
{
    (void)state;
    const char *model = kit_golden(llama), *csv = kit_path("two.csv");
    kit_write_file(csv, "id,body\n1,the ship\n", 19);
    KIT_REFUSES(2, "give --text TEXT or --file FILE", "embed", "--model", model);
    KIT_REFUSES(2, "not both", "embed", "--model", model, "--text", "a", "--file", csv);
    KIT_REFUSES(2, "--file needs --output", "embed", "--model", model, "--file", csv);
    KIT_REFUSES(2, "--output is for --file", "embed", "--model", model, "--text", "a", "--output", "x");
    KIT_REFUSES(1, "no column \"text\"; its first row names id, body", "embed", "--model", model, "--file",
                csv, "--output", kit_path("x.npy"), "--device", "cpu");
    KIT_REFUSES(1, "name no prompt \"query\"", "embed", "--model", model, "--text", "a", "--prompt-name",
                "query", "--device", "cpu");
    KIT_REFUSES(1, "dimensions is 33, expected 1 to 32", "embed", "--model", model, "--text", "a",
                "--dimensions", "33", "--device", "cpu");
    KIT_REFUSES(1, "no-such-directory", "embed", "--model", model, "--file", csv, "--field", "body",
                "--output", kit_path("no-such-directory/x.npy"), "--device", "cpu");
}

static void search_shows_the_nearest_texts(void **state)
{
    (void)state;
    const char *model = kit_golden(llama), *docs = kit_path("docs.jsonl"), *out = kit_path("docs.npy");
    static const char lines[] =
        "{\"body\": \"the ship\"}\n{\"body\": \"a bell\"}\n{\"body\": \"old\\nrope\\u001b[2J\\u009b2J\"}\n";
    kit_write_file(docs, lines, sizeof lines - 1);
    kit_result r = KIT_TUFF("embed", "--model", model, "--file", docs, "--field", "body", "--output", out,
                            "--device", "cpu");
    assert_int_equal(r.exit_code, 0);
    kit_result_free(&r);
    r = KIT_TUFF("search", "--model", model, "--index", out, "--docs", docs, "--field", "body", "--query",
                 "a bell", "-k", "3", "--device", "cpu");
    assert_non_null(strstr(r.out.data, "2  old rope [2J 2J\n")); /* nothing that a terminal would obey */
    kit_result_free(&r);
    r = KIT_TUFF("search", "--model", model, "--index", out, "--docs", docs, "--field", "body", "--query",
                 "a bell", "-k", "2", "--device", "cpu");
    assert_int_equal(r.exit_code, 0);
    assert_memory_equal(r.out.data, "1.0000  1  a bell\n", 18);
    const char *second = strchr(r.out.data, '\n') + 1;
    assert_ptr_equal(strchr(second, '\n') + 1, r.out.data + r.out.size); /* two lines */
    kit_result_free(&r);
    r = KIT_TUFF("search", "--model", model, "--index", out, "--query", "a bell", "--json", "-k", "1",
                 "--device", "cpu");
    assert_non_null(strstr(r.out.data, "{\"query\": \"a bell\", \"row\": 1, \"score\": "));
    kit_result_free(&r);
    /* vectors that were cut: said, unless nothing is to be said */
    const char *cut = kit_path("cut.npy");
    r = KIT_TUFF("embed", "--model", model, "--file", docs, "--field", "body", "--output", cut,
                 "--dimensions", "8", "--device", "cpu");
    assert_int_equal(r.exit_code, 0);
    kit_result_free(&r);
    r = KIT_TUFF("search", "--model", model, "--index", cut, "--query", "a bell", "-k", "1", "--device",
                 "cpu");
    assert_non_null(strstr(r.err.data, "cut.npy has vectors of 8 numbers, the model makes 32: the first 8"));
    kit_result_free(&r);
    r = KIT_TUFF("search", "--model", model, "--index", cut, "--query", "a bell", "-k", "1", "--device",
                 "cpu", "--quiet");
    assert_int_equal(r.exit_code, 0);
    assert_int_equal(r.err.size, 0);
    kit_result_free(&r);
    /* a model, or a way, that makes other vectors of the same size */
    KIT_REFUSES(1, "docs.npy was made by another model than", "search", "--model", model, "--index", out,
                "--query", "a bell", "-k", "1", "--pooling", "mean", "--device", "cpu");
    KIT_REFUSES(1, "docs.npy was made by another model than", "search", "--model", kit_golden("llama-yarn"),
                "--index", out, "--query", "a bell", "-k", "1", "--device", "cpu");
    /* a file that is no longer the one that was embedded */
    kit_write_file(docs, "{\"body\": \"the ship\"}\n{\"body\": \"a bell\"}\n", 40);
    KIT_REFUSES(1, "docs.jsonl has fewer than the 3 records that", "search", "--model", model, "--index", out,
                "--docs", docs, "--field", "body", "--query", "a bell", "-k", "1", "--device", "cpu");
    kit_write_file(docs, "{\"body\": \"a\"}\n{\"body\": \"b\"}\n{\"body\": \"c\"}\n{\"body\": \"d\"}\n", 56);
    KIT_REFUSES(1, "docs.jsonl has more than the 3 records that", "search", "--model", model, "--index", out,
                "--docs", docs, "--field", "body", "--query", "a bell", "-k", "1", "--device", "cpu");
    /* as many, one of them with another text; an array without its hash is taken at its word */
    static const char other[] =
        "{\"body\": \"the ship\"}\n{\"body\": \"a bill\"}\n{\"body\": \"old\\nrope\\u001b[2J\\u009b2J\"}\n";
    kit_write_file(docs, other, sizeof other - 1);
    KIT_REFUSES(1, "are not the 3 texts that", "search", "--model", model, "--index", out, "--docs", docs,
                "--field", "body", "--query", "a bell", "-k", "1", "--device", "cpu");
    assert_int_equal(remove(kit_path("docs.origin.json")), 0);
    r = KIT_TUFF("search", "--model", model, "--index", out, "--docs", docs, "--field", "body", "--query",
                 "a bell", "-k", "1", "--device", "cpu");
    assert_int_equal(r.exit_code, 0);
    kit_result_free(&r);
    KIT_REFUSES(2, "give --query TEXT", "search", "--model", model, "--index", out);
    KIT_REFUSES(1, "none.npy", "search", "--model", model, "--index", kit_path("none.npy"), "--query", "a",
                "--device", "cpu");
    KIT_REFUSES(1, "bert makes vectors of 16 numbers: dimensions is 32, expected 1 to 16", "search",
                "--model", kit_golden("bert"), "--index", out, "--query", "a", "--device", "cpu");
}

static void vectors_are_measured(void **state)
{
    (void)state;
    const char *model = kit_golden(llama), *pairs = kit_path("pairs.csv"), *docs = kit_path("corpus.jsonl"),
               *queries = kit_path("queries.jsonl"), *qrels = kit_path("qrels.txt");
    static const char rows[] =
        "sentence1,sentence2,score\nthe ship,the ship,5\na bell,old rope,1\nthe sea,land,2\n";
    static const char corpus[] =
        "{\"_id\": \"a\", \"text\": \"the ship\"}\n{\"_id\": \"b\", \"text\": \"a bell\"}\n";
    kit_write_file(pairs, rows, sizeof rows - 1);
    kit_write_file(docs, corpus, sizeof corpus - 1);
    kit_write_file(queries, corpus, sizeof corpus - 1);
    kit_write_file(qrels, "a 0 a 1\nb 0 c 1\n", 16);
    kit_result r =
        KIT_TUFF("eval", "--task", "sts", "--model", model, "--file", pairs, "--json", "--device", "cpu");
    cJSON *json = kit_parse(r.out.data, r.out.size);
    assert_true(kit_number(json, "spearman") >= 0.5 && kit_number(json, "spearman") <= 1);
    assert_true(kit_number(json, "pearson") > 0 && kit_number(json, "pearson") <= 1);
    assert_true(kit_number(json, "pairs") == 3);
    cJSON_Delete(json);
    kit_result_free(&r);
    r = KIT_TUFF("eval", "--task", "retrieval", "--model", model, "--docs", docs, "--queries", queries,
                 "--qrels", qrels, "--json", "--device", "cpu");
    assert_non_null(strstr(r.err.data, "1 relevant document is not in "));
    json = kit_parse(r.out.data, r.out.size);
    assert_true(kit_number(json, "ndcg@10") == 0.5); /* one query finds its own, one none */
    assert_true(kit_number(json, "recall@1") == 0.5);
    assert_true(kit_number(json, "precision@100") == 0.005);
    assert_true(kit_number(json, "missing") == 1);
    cJSON_Delete(json);
    kit_result_free(&r);
    r = KIT_TUFF("eval", "--task", "retrieval", "--model", model, "--docs", docs, "--queries", queries,
                 "--qrels", qrels, "--device", "cpu");
    assert_non_null(strstr(r.out.data, "ndcg@10        0.5000\n"));
    assert_non_null(strstr(r.out.data, "documents      2\n"));
    kit_result_free(&r);
    KIT_REFUSES(2, "--task retrieval needs --docs FILE", "eval", "--task", "retrieval", "--model", model);
    KIT_REFUSES(2, "no --file", "eval", "--task", "retrieval", "--model", model, "--docs", docs, "--queries",
                queries, "--qrels", qrels, "--file", pairs);
    KIT_REFUSES(2, "give --file", "eval", "--task", "sts", "--model", model);
    KIT_REFUSES(2, "are of --task retrieval", "eval", "--model", model, "--file", pairs, "--docs", docs);
    KIT_REFUSES(2, "--dump-logits and --block-size are of --task causal-lm", "eval", "--task", "sts",
                "--model", model, "--file", pairs, "--dump-logits", kit_path("x.safetensors"));
    KIT_REFUSES(1, "no column \"likeness\"", "eval", "--task", "sts", "--model", model, "--file", pairs,
                "--score", "likeness", "--device", "cpu");
}

static void tokens_stay_apart(void **state)
{
    (void)state;
    const char *model = kit_golden(llama), *docs = kit_path("tokens.txt"), *out = kit_path("tokens.npy");
    kit_result r =
        KIT_TUFF("embed", "--model", model, "--text", "the ship", "--pooling", "none", "--device", "cpu");
    cJSON *json = kit_parse(r.out.data, r.out.size);
    assert_true(cJSON_GetArraySize(json) > 1);
    assert_int_equal(cJSON_GetArraySize(json->child), 32);
    cJSON_Delete(json);
    kit_result_free(&r);
    kit_write_file(docs, "the ship\na bell\n", 16);
    KIT_DO("embed", "--model", model, "--file", docs, "--output", out, "--pooling", "none", "--device",
           "cpu");
    assert_true(tuff_is_file(kit_path("tokens.offsets.npy")));
    KIT_REFUSES(1, "has a vector per token", "search", "--model", model, "--index", out, "--query", "a",
                "--device", "cpu");
    KIT_REFUSES(2, "give one of both", "embed", "--model", model, "--file", docs, "--output", out,
                "--pooling", "none", "--chunk", "9");
}

/* Also where one record's chunks are nearer than all others. */
static void as_many_records_are_found_as_are_asked_for(void **state)
{
    (void)state;
    const char *model = kit_golden(llama), *docs = kit_path("book.txt"), *out = kit_path("book.npy");
    tuff_buf text = {0};
    for (int i = 0; i < 300; i++)
        tuff_buf_text(&text, "the bell rang over the water. ");
    tuff_buf_text(&text, "\nx\ny\nz\n");
    kit_write_file(docs, text.data, text.size);
    KIT_DO("embed", "--model", model, "--file", docs, "--output", out, "--chunk", "12", "--device", "cpu");
    kit_result r = KIT_TUFF("search", "--model", model, "--index", out, "--query",
                            "the bell rang over the water.", "-k", "4", "--device", "cpu");
    int lines = 0;
    for (const char *at = r.out.data; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, 4);
    kit_result_free(&r);
    tuff_buf_free(&text);
}

/* Chunks of one record are one hit, shown by its nearest. */
static void chunks_lead_to_their_records(void **state)
{
    (void)state;
    const char *model = kit_golden(llama), *docs = kit_path("long.txt"), *out = kit_path("long.npy");
    static const char text[] =
        "the ship\nthe old ship ran past the mill and the bell rang over the water in the night\n";
    kit_write_file(docs, text, sizeof text - 1);
    kit_result r = KIT_TUFF("embed", "--model", model, "--file", docs, "--output", out, "--chunk", "12",
                            "--chunk-overlap", "3", "--device", "cpu");
    assert_non_null(strstr(r.err.data, "2 texts in chunks of at most 12 tokens"));
    kit_result_free(&r);
    r = KIT_TUFF("search", "--model", model, "--index", out, "--docs", docs, "--query", "the bell", "--json",
                 "-k", "5", "--device", "cpu");
    const char *end = strchr(r.out.data, '\n');
    assert_non_null(end);
    assert_non_null(strstr(end + 1, "\"begin\": "));
    assert_null(strchr(strchr(end + 1, '\n') + 1, '\n')); /* two records, two lines */
    kit_result_free(&r);
    KIT_REFUSES(2, "--chunk-overlap needs --chunk", "embed", "--model", model, "--file", docs, "--output",
                out, "--chunk-overlap", "3");
    KIT_REFUSES(2, "are for --file", "embed", "--model", model, "--text", "a", "--chunk", "3");
    KIT_REFUSES(1, "none are left to go on", "embed", "--model", model, "--file", docs, "--output",
                kit_path("no.npy"), "--chunk", "5", "--chunk-overlap", "5", "--device", "cpu");
    kit_write_file(kit_path("long.chunks.npy"), text, sizeof text - 1);
    KIT_REFUSES(1, "long.chunks.npy", "search", "--model", model, "--index", out, "--query", "a", "--device",
                "cpu");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_give_lines_of_numbers),
        cmocka_unit_test(files_become_arrays),
        cmocka_unit_test(search_shows_the_nearest_texts),
        cmocka_unit_test(chunks_lead_to_their_records),
        cmocka_unit_test(as_many_records_are_found_as_are_asked_for),
        cmocka_unit_test(tokens_stay_apart),
        cmocka_unit_test(vectors_are_measured),
        cmocka_unit_test(a_prompt_for_documents_is_told_of),
        cmocka_unit_test(what_cannot_be_done_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
