/* Training and evaluating, whole and by LoRA, and what is written. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <tuff/train.h>

#include "base/json.h"
#include "kit/command.h"
#include "formats/npy.h"
#include "formats/safetensors.h"

#define TRAIN_AT(rate, model, out, ...)                                                                   \
    KIT_TUFF("train", "--model", model, "--train-file", kit_text(), "--output-dir", out, "--block-size",  \
             "32", "--per-device-train-batch-size", "2", "--learning-rate", rate, "--logging-steps", "2", \
             __VA_ARGS__)
#define TRAIN(model, out, ...) TRAIN_AT("1e-3", model, out, __VA_ARGS__)

/* Loss of the lines of a log, in order; returns how many. */
static int read_log(const char *path, double *losses, int capacity, double *out_eval)
{
    tuff_buf log;
    int n = 0;
    kit_read_file(path, &log);
    for (char *line = log.data; *line;) {
        size_t size = strcspn(line, "\n");
        cJSON *json = kit_parse(line, size);
        if (cJSON_HasObjectItem(json, "eval_loss")) {
            *out_eval = kit_number(json, "eval_loss");
            assert_true(fabs(kit_number(json, "eval_perplexity") / exp(*out_eval) - 1) < 1e-9);
        } else {
            assert_true(n < capacity);
            losses[n++] = kit_number(json, "loss");
            assert_true(kit_number(json, "step") == n);
            assert_true(kit_number(json, "grad_norm") > 0);
            assert_true(kit_number(json, "learning_rate") >= 0);
            assert_true(kit_number(json, "tokens") == 64.0 * n);
        }
        cJSON_Delete(json);
        line += size + (line[size] == '\n');
    }
    tuff_buf_free(&log);
    return n;
}

static double eval_loss(const char *model, const char *adapter)
{
    kit_result r =
        adapter ? KIT_TUFF("eval", "--model", model, "--file", kit_text(), "--block-size", "32", "--json",
                           "--adapter", adapter)
                : KIT_TUFF("eval", "--model", model, "--file", kit_text(), "--block-size", "32", "--json");
    cJSON *json = kit_parse(r.out.data, r.out.size);
    double loss = kit_number(json, "loss");
    assert_true(fabs(kit_number(json, "perplexity") / exp(loss) - 1) < 1e-9);
    assert_true(kit_number(json, "tokens") > 100);
    cJSON_Delete(json);
    kit_result_free(&r);
    return loss;
}

static void test_full(void **state)
{
    (void)state;
    static const char *const models[] = {"llama", "gpt2"};
    for (int i = 0; i < 2; i++) {
        const char *model = kit_golden(models[i]), *out = kit_path(i ? "full1" : "full0");
        kit_result r = TRAIN(model, out, "--max-steps", "6", "--validation-file", kit_text(), "--eval-steps",
                             "3", "--json");
        assert_non_null(strstr(r.err.data, "memory   weights"));
        assert_non_null(strstr(r.err.data, "step 6/6"));
        assert_non_null(strstr(r.err.data, "validation loss"));
        cJSON *json = kit_parse(r.out.data, r.out.size);
        assert_true(kit_number(json, "steps") == 6);
        double losses[8], held_out = 0, before = eval_loss(model, NULL), after = eval_loss(out, NULL);
        assert_int_equal(read_log(kit_join(out, "train_log.jsonl"), losses, 8, &held_out), 6);
        assert_true(losses[5] < losses[0]);
        assert_true(after < before);
        assert_true(fabs(held_out / after - 1) < 1e-6);
        assert_true(fabs(kit_number(json, "eval_loss") / after - 1) < 1e-6);
        cJSON_Delete(json);
        kit_result_free(&r);
        KIT_DO("generate", "--model", out, "--prompt", "the", "--max-new-tokens", "4");
    }
}

/* What is said of the memory: where gradients lie, and what an evaluation takes. */
static void test_memory_lines(void **state)
{
    (void)state;
    const char *model = kit_golden("llama");
    kit_result r = TRAIN(model, kit_path("memory0"), "--max-steps", "1", "--verbose");
    assert_non_null(strstr(r.err.data, " lie in it"));
    assert_null(strstr(r.err.data, "+ gradients"));
    assert_null(strstr(r.err.data, "+ evaluation"));
    kit_result_free(&r);
    r = TRAIN(model, kit_path("memory1"), "--max-steps", "1", "--gradient-accumulation-steps", "2",
              "--validation-file", kit_text(), "--verbose");
    assert_non_null(strstr(r.err.data, "the gradients lie beside it"));
    assert_non_null(strstr(r.err.data, "no plan of this step"));
    assert_non_null(strstr(r.err.data, " + gradients 152 kB + arena "));
    assert_non_null(strstr(r.err.data, " + evaluation "));
    kit_result_free(&r);
}

static void read_file(const char *directory, const char *name, tuff_buf *out)
{
    kit_read_file(kit_join(directory, name), out);
}

/* What only developers can use is said to them only. */
static void test_plain_lines(void **state)
{
    (void)state;
    kit_result r = TRAIN(kit_golden("llama"), kit_path("memory2"), "--max-steps", "1");
    assert_non_null(strstr(r.err.data, "memory   weights"));
    assert_null(strstr(r.err.data, "no plan"));
    kit_result_free(&r);
}

/* What to load an adapter onto whose base is a GGUF file. */
static void test_lora_on_gguf(void **state)
{
    (void)state;
    const char *model = kit_path("base.gguf"), *out = kit_path("lora-gguf");
    char part[1024];
    KIT_DO("convert", kit_golden("llama"), "--to", "gguf", "--output", model);
    kit_result r = TRAIN(model, out, "--max-steps", "1", "--lora-rank", "2");
    snprintf(part, sizeof part, "tuff generate --model %s --adapter %s", model, out);
    assert_non_null(strstr(r.err.data, part));
    assert_non_null(strstr(r.err.data, "tuff convert"));
    kit_result_free(&r);
    tuff_buf config;
    read_file(out, "adapter_config.json", &config);
    assert_non_null(strstr(config.data, "\"base_model_name_or_path\": null"));
    tuff_buf_free(&config);
    r = TRAIN(kit_golden("llama"), kit_path("lora-hf"), "--max-steps", "1", "--lora-rank", "2");
    assert_null(strstr(r.err.data, "tuff convert"));
    kit_result_free(&r);
}

static void test_lora(void **state)
{
    (void)state;
    static const char *const models[] = {"llama", "gpt2"};
    for (int i = 0; i < 2; i++) {
        const char *model = kit_golden(models[i]), *out = kit_path(i ? "lora1" : "lora0");
        kit_result r = TRAIN_AT("2e-2", model, out, "--max-steps", "6", "--lora-rank", "4", "--lora-alpha",
                                "8", "--lora-dropout", "0.05", "--quiet");
        assert_int_equal(r.err.size, 0);
        kit_result_free(&r);
        assert_true(tuff_is_file(kit_join(out, "adapter_model.safetensors")));
        assert_false(tuff_is_file(kit_join(out, "model.safetensors")));
        assert_true(eval_loss(model, out) < eval_loss(model, NULL));
        kit_result plain =
                       KIT_TUFF("generate", "--model", model, "--prompt", "the", "--max-new-tokens", "20"),
                   adapted = KIT_TUFF("generate", "--model", model, "--adapter", out, "--prompt", "the",
                                      "--max-new-tokens", "20");
        assert_string_not_equal(plain.out.data, adapted.out.data);
        kit_result_free(&plain);
        kit_result_free(&adapted);
        KIT_DO("inspect", out);
    }
}

/* The initial state is what was there; a fresh adapter changes nothing. */
static void test_no_steps(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *full = kit_path("initial"), *lora = kit_path("initial-lora");
    kit_result r = TRAIN(model, full, "--max-steps", "0"),
               s = TRAIN(model, lora, "--max-steps", "0", "--lora-rank", "2");
    kit_result_free(&r);
    kit_result_free(&s);
    tuff_weights *a, *b;
    KIT_OK(tuff_safetensors_open(kit_join(model, "model.safetensors"), &a));
    KIT_OK(tuff_safetensors_open(kit_join(full, "model.safetensors"), &b));
    for (size_t i = 0; i < a->count; i++) {
        const tuff_weight *v = tuff_weights_find(b, a->items[i].name);
        assert_non_null(v);
        assert_memory_equal(kit_stored(v), kit_stored(&a->items[i]), a->items[i].bytes);
    }
    tuff_weights_destroy(&a);
    tuff_weights_destroy(&b);
    assert_true(eval_loss(model, lora) == eval_loss(model, NULL));
    assert_false(tuff_is_file(kit_join(full, "train_log.jsonl")));
}

/* The dropouts of the model's config are said and act unless an option says otherwise. */
static void test_dropout(void **state)
{
    (void)state;
    static const struct {
        const char *value, *said;
    } runs[] = {{"config", "0.1 of embeddings, attention, attention's output, feed-forward's output"},
                {"0.25", "0.25 of embeddings, attention, attention's output, feed-forward's output"},
                {"none", NULL},
                {"0", NULL}};
    static const char *const names[] = {"drop0", "drop1", "drop2", "drop3", "drop4"};
    double first[5], held_out;
    for (int i = 0; i < 5; i++) {
        const char *model = kit_golden("gpt2"), *out = kit_path(names[i]), *said = runs[i % 4].said;
        kit_result r = i < 4 ? TRAIN(model, out, "--max-steps", "1", "--dropout", runs[i].value)
                             : TRAIN(model, out, "--max-steps", "1");
        if (said == NULL && strstr(r.err.data, "dropout  ")) fail_msg("%s", r.err.data);
        if (said) assert_non_null(strstr(r.err.data, said));
        assert_int_equal(read_log(kit_join(out, "train_log.jsonl"), &first[i], 1, &held_out), 1);
        kit_result_free(&r);
    }
    assert_true(first[0] == first[4]);
    assert_true(first[2] == first[3]);
    assert_true(first[0] != first[1] && first[0] != first[2] && first[1] != first[2]);
    tuff_buf settings;
    read_file(kit_path("drop1"), "run.json", &settings);
    assert_non_null(strstr(settings.data, "\"dropout\": \"0.25\""));
    tuff_buf_free(&settings);
}

static void expect_same_file(const char *a, const char *b, const char *name, bool same)
{
    tuff_buf x, y;
    read_file(a, name, &x);
    read_file(b, name, &y);
    bool equal = x.size == y.size && memcmp(x.data, y.data, x.size) == 0;
    if (equal != same) fail_msg("%s of %s and %s %s", name, a, b, same ? "differ" : "are the same");
    tuff_buf_free(&x);
    tuff_buf_free(&y);
}

static void test_seeds_repeat(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"),
               *out[] = {kit_path("seed-a"), kit_path("seed-b"), kit_path("seed-c")};
    for (int i = 0; i < 3; i++) {
        kit_result r = TRAIN(model, out[i], "--max-steps", "3", "--lora-rank", "4", "--lora-dropout", "0.1",
                             "--seed", i < 2 ? "7" : "8");
        kit_result_free(&r);
    }
    expect_same_file(out[0], out[1], "adapter_model.safetensors", true);
    expect_same_file(out[0], out[1], "train_log.jsonl", true);
    expect_same_file(out[0], out[2], "adapter_model.safetensors", false);
}

/* The batches are blocks of the kit_text(); an epoch has each once; without shuffling they come in order. */
static void test_dump_batches(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *file = kit_path("batches.npy");
    kit_result r = TRAIN(model, kit_path("dumped"), "--max-steps", "3", "--gradient-accumulation-steps", "2",
                         "--dump-batches", file, "--no-shuffle");
    kit_result_free(&r);
    tuff_model *loaded;
    const tuff_tokenizer *tokenizer;
    tuff_buf bytes, words;
    tuff_npy npy;
    int32_t *ids;
    size_t n;
    KIT_OK(tuff_model_load(model, &loaded));
    KIT_OK(tuff_model_get_tokenizer(loaded, &tokenizer));
    kit_read_file(kit_text(), &words);
    KIT_OK(tuff_tokenizer_encode(tokenizer, words.data, words.size, 0, &ids, &n));
    kit_read_file(file, &bytes);
    KIT_OK(tuff_npy_parse((const uint8_t *)bytes.data, bytes.size, file, &npy));
    assert_string_equal(npy.type, "<i4");
    assert_int_equal(npy.rank, 3);
    assert_int_equal(npy.shape[0], 6);
    assert_int_equal(npy.shape[1], 2);
    assert_int_equal(npy.shape[2], 32);
    assert_memory_equal(npy.data, ids, npy.count * sizeof *ids);
    tuff_free(ids);
    tuff_model_destroy(&loaded);
    tuff_buf_free(&bytes);
    tuff_buf_free(&words);
}

static void test_overwrite(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *out = kit_path("twice");
    kit_result r = TRAIN(model, out, "--max-steps", "1");
    kit_result_free(&r);
    r = TRAIN(model, out, "--max-steps", "2", "--overwrite-output-dir");
    kit_result_free(&r);
    double losses[4], unused;
    assert_int_equal(read_log(kit_join(out, "train_log.jsonl"), losses, 4, &unused), 2);
}

static void test_plan_profile_and_log(void **state)
{
    (void)state;
    const char *model = kit_golden("llama"), *log = kit_path("own.jsonl"), *trace = kit_path("trace.json");
    kit_result r =
        KIT_TUFF("train", "--model", model, "--train-file", kit_text(), "--block-size", "32", "--print-plan");
    assert_non_null(strstr(r.out.data, "matmul"));
    kit_result_free(&r);
    r = TRAIN(model, kit_path("profiled"), "--max-steps", "2", "--log-file", log, "--profile", trace);
    assert_non_null(strstr(r.err.data, "attention"));
    kit_result_free(&r);
    double losses[4], unused;
    assert_int_equal(read_log(log, losses, 4, &unused), 2);
    cJSON *json;
    KIT_OK(tuff_json_read(trace, &json));
    cJSON_Delete(json);
}

static kit_result train_wild(const char *model, const char *out, const char *const *more)
{
    const char *arguments[KIT_ARGUMENTS] = {"train",    "--model",
                                            model,      "--train-file",
                                            kit_text(), "--output-dir",
                                            out,        "--block-size",
                                            "32",       "--per-device-train-batch-size",
                                            "2"};
    for (int i = 0; more[i]; i++)
        arguments[11 + i] = more[i];
    kit_result r;
    kit_run_tuff(&r, arguments);
    return r;
}
#define WILD(model, out, ...) train_wild(model, out, (const char *const[]){__VA_ARGS__, NULL})

/* A model whose numbers overflow: its steps are skipped and change nothing; the training is a failure and is
 * not saved unless that is asked for. */
static void test_skipped_steps(void **state)
{
    (void)state;
    static const float huge[2] = {3e38f, 3e38f}; /* of the last norm */
    const char *model = kit_copy_model(kit_golden("llama"), "wild"), *out = kit_path("tamed");
    kit_poke_file(kit_join(model, "model.safetensors"), -8, huge, sizeof huge);
    kit_result r = WILD(model, out, "--max-steps", "100");
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "step 1 was skipped"));
    assert_non_null(strstr(r.err.data, "10 steps in a row, up to step 10, are not finite"));
    assert_non_null(strstr(r.err.data, "a lower learning rate"));
    assert_non_null(strstr(r.err.data, "nothing is saved"));
    assert_false(tuff_is_directory(out));
    kit_result_free(&r);
    r = WILD(model, out, "--max-steps", "100", "--max-nonfinite", "2");
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "2 steps in a row, up to step 2, are not finite"));
    kit_result_free(&r);
    /* too short for as many in a row */
    r = WILD(model, out, "--max-steps", "4");
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "4 of its 4 steps were skipped"));
    assert_false(tuff_is_directory(out));
    kit_result_free(&r);
    r = WILD(model, out, "--max-steps", "4", "--save-anyway");
    assert_int_equal(r.exit_code, 1);
    kit_result_free(&r);
    expect_same_file(model, out, "model.safetensors", true);
}

/* A loss that ends above where it began is warned of; one that falls is not. One that is far above ends the
 * training as failed, in every build. */
static void test_rising_loss(void **state)
{
    (void)state;
    kit_result r = TRAIN_AT("3", kit_golden("llama"), kit_path("risen"), "--max-steps", "20");
    assert_int_equal(r.exit_code, 0);
    assert_non_null(strstr(r.err.data, "warning: the loss rose from"));
    kit_result_free(&r);
    r = TRAIN_AT("1e-2", kit_golden("llama"), kit_path("fallen"), "--max-steps", "20");
    assert_null(strstr(r.err.data, "the loss rose from"));
    kit_result_free(&r);
    const char *out = kit_path("blown");
    double losses[20], eval;
#define BLOWN(out, steps)                                                                                  \
    kit_run_tuff(&r, (const char *const[]){"train", "--model", kit_golden("qwen3"), "--train-file",        \
                                           kit_text(), "--output-dir", out, "--block-size", "32",          \
                                           "--per-device-train-batch-size", "2", "--learning-rate", "1e3", \
                                           "--max-steps", steps, NULL})
    BLOWN(out, "100");
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "the training failed: the loss rose from"));
    assert_non_null(strstr(r.err.data, "nothing is saved"));
    assert_false(tuff_is_directory(out));
    assert_int_equal(read_log(kit_path("blown.train_log.jsonl"), losses, 20, &eval), 20);
    kit_result_free(&r);
    /* a few steps may be of another kind than the first, but not of such a kind */
    BLOWN(kit_path("short"), "8");
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "the training failed: the loss rose from"));
    assert_non_null(strstr(r.err.data, "the mean of the last 4;"));
    assert_false(tuff_is_directory(kit_path("short")));
    kit_result_free(&r);
    r = TRAIN_AT("3", kit_golden("llama"), kit_path("short"), "--max-steps", "8");
    assert_non_null(strstr(r.err.data, "warning: the loss rose from"));
    kit_result_free(&r);
}

/* The loss of a regression has the range of its data: what comes first may be easy. */
static void test_rising_numbers(void **state)
{
    (void)state;
    tuff_buf table = {0};
    tuff_buf_text(&table, "text,label\n");
    for (int i = 0; i < 24; i++)
        tuff_buf_printf(&table, "w%d,%s\n", i % 8, i < 10 ? "0.5" : "40.5");
    const char *data = kit_path("ages.csv");
    kit_write_file(data, table.data, table.size);
    kit_result r = KIT_TUFF("train", "--model", kit_golden("llama"), "--task", "classification",
                            "--train-file", data, "--output-dir", kit_path("aged"), "--max-steps", "24",
                            "--per-device-train-batch-size", "1", "--no-shuffle", "--learning-rate", "1e-7");
    assert_int_equal(r.exit_code, 0);
    assert_non_null(strstr(r.err.data, "warning: the loss rose from"));
    assert_non_null(strstr(r.err.data, "at the first steps to"));
    kit_result_free(&r);
    tuff_buf_free(&table);
}

/* Stopped from outside in the middle, a run saves what it has and says so by its exit code. */
static void test_interrupted(void **state)
{
    (void)state;
    const char *tuff = getenv("TUFF_TEST_TUFF"), *out = kit_path("stopped");
    if (!tuff) skip();
    kit_result r;
    kit_run((const char *const[]){"sh", "-c",
                                  "log=$1; shift; \"$@\" & child=$!\n"
                                  "while kill -0 $child && ! [ -s \"$log\" ]; do sleep 0.02; done\n"
                                  "kill -TERM $child; wait $child",
                                  "sh", kit_path(".stopped.tuff-stage/train_log.jsonl"), tuff, "train",
                                  "--model", kit_golden("llama"), "--train-file", kit_text(), "--output-dir",
                                  out, "--block-size", "16", "--num-train-epochs", "1e6", NULL},
            &r);
    assert_int_equal(r.exit_code, 1);
    assert_non_null(strstr(r.err.data, "(interrupted)"));
    kit_result_free(&r);
    assert_true(tuff_is_file(kit_join(out, "train_log.jsonl")));
    KIT_DO("eval", "--model", out, "--file", kit_text());
}

/* Vectors are trained, measured meanwhile, saved for sentence-transformers, and measured by `tuff eval`. */
static void test_embeddings(void **state)
{
    (void)state;
    const char *model = kit_golden("embedding/bert"), *pairs = kit_golden("embedding/pairs.csv"),
               *out = kit_path("vectors");
    kit_result r =
        KIT_TUFF("train", "--task", "embedding", "--model", model, "--train-file", pairs, "--validation-file",
                 pairs, "--loss", "cosine", "--learning-rate", "1e-2", "--num-train-epochs", "4",
                 "--gradient-cache-batch", "8", "--output-dir", out, "--json");
    assert_non_null(strstr(r.err.data, "30 examples"));
    assert_non_null(strstr(r.err.data, "spearman "));
    assert_null(strstr(r.err.data, "perplexity"));
    cJSON *json = kit_parse(r.out.data, r.out.size);
    double spearman = kit_number(json, "eval_spearman");
    assert_true(kit_number(json, "steps") == 16 && spearman > 0);
    cJSON_Delete(json);
    kit_result_free(&r);
    r = KIT_TUFF("eval", "--task", "sts", "--model", out, "--file", pairs, "--json");
    json = kit_parse(r.out.data, r.out.size);
    assert_true(fabs(kit_number(json, "spearman") - spearman) < 5e-3);
    cJSON_Delete(json);
    kit_result_free(&r);
    KIT_REFUSES(2, "are of --task embedding", "train", "--model", model, "--train-file", pairs,
                "--output-dir", out, "--loss", "cosine");
    KIT_REFUSES(2, "are of --task causal-lm", "train", "--task", "embedding", "--model", model,
                "--train-file", pairs, "--output-dir", out, "--block-size", "8");
    KIT_REFUSES(1, "has no column \"anchor\"; it has sentence1, sentence2, score", "train", "--task",
                "embedding", "--model", model, "--train-file", pairs, "--loss", "triplet", "--output-dir",
                kit_path("none"));
}

/* ... and measured by search, from before the first step on, as `tuff eval` measures what is saved. */
static void test_embeddings_by_search(void **state)
{
    (void)state;
    static const char docs[] = "_id,text\n1,the sea\n2,a ship\n3,the old bell of the ship\n",
                      asked[] = "_id,text\n1,a bell\n2,at sea\n", judged[] = "1 0 3 1\n2 0 1 1\n";
    const char *model = kit_golden("embedding/bert"), *pairs = kit_golden("embedding/pairs.csv"),
               *out = kit_path("found"), *d = kit_path("d.csv"), *q = kit_path("q.csv"),
               *judgements = kit_path("rel.txt");
    kit_write_file(d, docs, sizeof docs - 1);
    kit_write_file(q, asked, sizeof asked - 1);
    kit_write_file(judgements, judged, sizeof judged - 1);
    kit_result r =
        KIT_TUFF("train", "--task", "embedding", "--model", model, "--train-file", pairs, "--loss", "cosine",
                 "--learning-rate", "1e-2", "--max-steps", "6", "--eval-steps", "3", "--eval-docs", d,
                 "--eval-queries", q, "--eval-qrels", judgements, "--output-dir", out, "--json");
    assert_non_null(strstr(r.err.data, "step 0/6  ndcg@10 "));
    assert_non_null(strstr(r.err.data, "step 3/6  ndcg@10 "));
    assert_null(strstr(r.err.data, "validation loss"));
    assert_null(strstr(r.out.data, "eval_loss"));
    cJSON *json = kit_parse(r.out.data, r.out.size);
    double ndcg = kit_number(json, "eval_ndcg@10"), recall = kit_number(json, "eval_recall@1"),
           mrr = kit_number(json, "eval_mrr@10");
    cJSON_Delete(json);
    kit_result_free(&r);
    tuff_buf log = {0};
    KIT_OK(tuff_read_file(kit_join(out, "train_log.jsonl"), 1 << 20, &log));
    assert_non_null(strstr(log.data, "{\"step\": 0, \"eval_ndcg@10\": "));
    assert_non_null(strstr(log.data, "{\"step\": 6, \"eval_ndcg@10\": "));
    tuff_buf_free(&log);
    r = KIT_TUFF("eval", "--task", "retrieval", "--model", out, "--docs", d, "--queries", q, "--qrels",
                 judgements, "--json");
    json = kit_parse(r.out.data, r.out.size);
    assert_true(kit_number(json, "ndcg@10") == ndcg && kit_number(json, "recall@1") == recall);
    assert_true(kit_number(json, "mrr@10") == mrr);
    cJSON_Delete(json);
    kit_result_free(&r);
    KIT_REFUSES(2, "a search needs --eval-docs, --eval-queries and --eval-qrels", "train", "--task",
                "embedding", "--model", model, "--train-file", pairs, "--output-dir", kit_path("no"),
                "--eval-docs", d);
    KIT_REFUSES(2, "are of --task embedding", "train", "--model", model, "--train-file", pairs,
                "--output-dir", kit_path("no"), "--eval-docs", d, "--eval-queries", q, "--eval-qrels",
                judgements);
    KIT_REFUSES(1, "expected \"query iteration document relevance\" or", "train", "--task", "embedding",
                "--model", model, "--loss", "cosine", "--train-file", pairs, "--output-dir", kit_path("no"),
                "--eval-docs", d, "--eval-queries", d, "--eval-qrels", pairs, "--quiet");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embeddings),
        cmocka_unit_test(test_embeddings_by_search),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_memory_lines),
        cmocka_unit_test(test_lora),
        cmocka_unit_test(test_no_steps),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_seeds_repeat),
        cmocka_unit_test(test_dump_batches),
        cmocka_unit_test(test_overwrite),
        cmocka_unit_test(test_plan_profile_and_log),
        cmocka_unit_test(test_skipped_steps),
        cmocka_unit_test(test_rising_loss),
        cmocka_unit_test(test_rising_numbers),
        cmocka_unit_test(test_plain_lines),
        cmocka_unit_test(test_lora_on_gguf),
        cmocka_unit_test(test_interrupted),
    };
    return cmocka_run_group_tests(tests, kit_command_setup, NULL);
}
